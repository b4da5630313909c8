"""D-Adaptation: optimizers that find their learning rate from sums over all gradients."""

from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    flag,
    grad,
    hyper,
    keyword_only,
    norm,
    over_group,
    series,
    sign,
    sqrt,
    t,
    total,
    w,
    when,
)

lr = hyper("lr", 1.0, at_least=0, doc="Factor of the estimated learning rate; leave it at 1.")
beta1, beta2 = betas = hyper(
    "betas", (0.9, 0.999), at_least=0, below=1, doc="Decay rates of the two moments."
)
momentum = hyper("momentum", 0.9, at_least=0, below=1, special=0, doc="Momentum factor.")
d0 = hyper("d0", 1e-6, above=0, doc="First estimate of the distance, below the true one.")
growth_rate = hyper(
    "growth_rate",
    0.0,
    at_least=0,
    special=0,
    doc="How much the distance grows in a step at most, as a factor; 0 sets no limit.",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
weight_decouple = flag(
    "weight_decouple", False, doc="Whether the decay multiplies the weights, as in AdamW."
)
bias_correction = flag("bias_correction", False, doc="Whether to correct the moments' bias.")

g, step_size, d_hat, d = map(series, ("g", "step_size", "d_hat", "d"))
start = series("start", saved_as="x0")
m, v, s = series("m", saved_as="exp_avg"), series("v", saved_as="exp_avg_sq"), series("s")
numerator = series("numerator", saved_as="numerator_weighted")
length = series("length")

PAPER = "Defazio & Mishchenko 2023, arXiv:2301.07733"
GROUPS = (
    "The distance is one number per group of parameters, over those that have a gradient: give all "
    "parameters in one group if they are to have one (no_decay makes two of a group); the library "
    "adds up over all groups."
)

#: What a coupled decay makes of the gradient.
coupled = Eq(g[t], grad[t] + when(weight_decouple, 0, weight_decay * w[t - 1]))
#: What a decoupled one leaves of the weights.
kept = when(weight_decouple, 1 - step_size[t] * weight_decay, 1) * w[t - 1]
#: The estimate, within the limit of its growth.
limited = when(growth_rate, Min(d_hat[t], growth_rate * d[t - 1]), d_hat[t])
#: The distance, as far as there is an estimate of it.
distance = (
    Eq(d[0], d0),
    Eq(d[t], when((lr > 0) & (length[t] > 0), Max(d[t - 1], limited), d[t - 1])),
)

DAdaptAdam = OptimizerSpec(
    "DAdaptAdam",
    reading="pytorch_optimizer",
    paper=f"{PAPER}, section 6; pytorch_optimizer 4.1, optimizer/dadapt.py, the authors' third "
    "version",
    summary="Adam with D-Adaptation: its learning rate is an estimate of the distance.",
    notes=GROUPS,
    arguments=(
        *(lr, betas, eps, weight_decay, keyword_only),
        *(d0, growth_rate, weight_decouple, bias_correction),
    ),
    equations=(
        coupled,
        Eq(
            step_size[t],
            d[t - 1] * lr * when(bias_correction, sqrt(1 - beta2**t) / (1 - beta1**t), 1),
        ),
        Eq(
            numerator[t],
            sqrt(beta2) * numerator[t - 1]
            + (1 - sqrt(beta2))
            * step_size[t]
            * over_group(total(g[t] * s[t - 1] / (sqrt(v[t - 1]) + eps))),
        ),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * step_size[t] * g[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(s[t], sqrt(beta2) * s[t - 1] + (1 - sqrt(beta2)) * step_size[t] * g[t]),
        Eq(length[t], over_group(total(Abs(s[t])))),
        Eq(d_hat[t], numerator[t] / ((1 - sqrt(beta2)) * length[t])),
        *distance,
        Eq(w[t], kept - m[t] / (sqrt(v[t]) + eps)),
    ),
)

DAdaptLion = OptimizerSpec(
    "DAdaptLion",
    reading="pytorch_optimizer",
    paper=f"{PAPER}; pytorch_optimizer 4.1, optimizer/dadapt.py, as the authors' code",
    summary="Lion with D-Adaptation: the sign of a momentum that finds its learning rate.",
    notes=GROUPS,
    arguments=(lr, betas, weight_decay, keyword_only, d0, weight_decouple),
    equations=(
        coupled,
        Eq(step_size[t], d[t - 1] * lr),
        Eq(v[t], sign(beta1 * m[t - 1] + (1 - beta1) * g[t])),
        Eq(m[t], beta2 * m[t - 1] + (1 - beta2) * step_size[t] * g[t]),
        Eq(
            numerator[t],
            sqrt(beta2) * numerator[t - 1]
            + (1 - sqrt(beta2)) * step_size[t] * over_group(total(v[t] * s[t - 1])),
        ),
        Eq(s[t], sqrt(beta2) * s[t - 1] + (1 - sqrt(beta2)) * step_size[t] * v[t]),
        Eq(length[t], over_group(total(Abs(s[t])))),
        Eq(d_hat[t], numerator[t] / ((1 - sqrt(beta2)) * length[t])),
        Eq(d[0], d0),
        Eq(d[t], when((lr > 0) & (length[t] > 0), Max(d[t - 1], d_hat[t]), d[t - 1])),
        Eq(w[t], kept - step_size[t] * v[t]),
    ),
)

first_norm = series("first_norm", saved_as="g0_norm")

DAdaptSGD = OptimizerSpec(
    "DAdaptSGD",
    reading="pytorch_optimizer",
    paper=f"{PAPER}, section 5; pytorch_optimizer 4.1, optimizer/dadapt.py, as the authors' code",
    summary="SGD with D-Adaptation, with momentum as an average of iterates.",
    notes=f"{GROUPS} As long as all gradients are zero nothing moves.",
    arguments=(lr, momentum, weight_decay, keyword_only, d0, growth_rate, weight_decouple),
    equations=(
        coupled,
        Eq(start[0], w[0]),
        Eq(start[t], start[t - 1]),
        Eq(first_norm[1], over_group(norm(grad[1]))),
        Eq(first_norm[t], first_norm[t - 1]),
        Eq(step_size[t], when(first_norm[t] > 0, d[t - 1] * lr / first_norm[t], 0)),
        Eq(numerator[t], numerator[t - 1] + step_size[t] * over_group(total(g[t] * s[t - 1]))),
        Eq(s[t], s[t - 1] + step_size[t] * g[t]),
        Eq(length[t], over_group(norm(s[t]))),
        Eq(d_hat[t], 2 * numerator[t] / length[t]),
        *distance,
        Eq(w[t], when(momentum, momentum * kept, 0) + (1 - momentum) * (start[t] - s[t])),
    ),
)

a, sk = series("a", saved_as="alpha_k"), series("s", saved_as="sk")
gradients = series("gradients", saved_as="gsq_weighted")
sums = series("sums", saved_as="sk_sq_weighted")
lengths = series("length", saved_as="sk_l1")
no_eps = hyper("eps", 0.0, at_least=0, doc="Added to the denominator for numerical stability.")
no_momentum = hyper("momentum", 0.0, at_least=0, below=1, special=0, doc="Momentum factor.")

DAdaptAdaGrad = OptimizerSpec(
    "DAdaptAdaGrad",
    reading="pytorch_optimizer",
    paper=f"{PAPER}, section 4; pytorch_optimizer 4.1, optimizer/dadapt.py, as the authors' code",
    summary="Adagrad with D-Adaptation, in the form of dual averaging.",
    notes=f"{GROUPS} The weight decay is part of the gradient.",
    arguments=(lr, no_momentum, no_eps, weight_decay, keyword_only, d0, growth_rate),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(start[0], w[0]),
        Eq(start[t], start[t - 1]),
        Eq(step_size[t], d[t - 1] * lr),
        Eq(a[0], Rational(1, 10**6)),
        Eq(a[t], a[t - 1] + g[t] ** 2),
        Eq(sk[t], sk[t - 1] + step_size[t] * g[t]),
        Eq(
            gradients[t],
            gradients[t - 1]
            + step_size[t] ** 2 * over_group(total(g[t] ** 2 / (sqrt(a[t]) + no_eps))),
        ),
        Eq(
            sums[t],
            sums[t - 1]
            + over_group(
                total(
                    sk[t] ** 2 / (sqrt(a[t]) + no_eps) - sk[t - 1] ** 2 / (sqrt(a[t - 1]) + no_eps)
                )
            ),
        ),
        Eq(lengths[t], lengths[t - 1] + over_group(total(Abs(sk[t]) - Abs(sk[t - 1])))),
        Eq(d_hat[t], (sums[t] - gradients[t]) / lengths[t]),
        Eq(d[0], d0),
        Eq(d[t], when((lr > 0) & (lengths[t] > 0), Max(d[t - 1], limited), d[t - 1])),
        Eq(
            w[t],
            when(no_momentum, no_momentum * w[t - 1], 0)
            + (1 - no_momentum) * (start[t] - sk[t] / (sqrt(a[t]) + no_eps)),
        ),
    ),
)
