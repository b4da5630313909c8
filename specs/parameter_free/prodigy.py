"""Prodigy: Adam that finds its learning rate, from how far the weights have come."""

from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    Min,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    keyword_only,
    over_group,
    series,
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
beta3 = hyper(
    "beta3",
    0.0,
    at_least=0,
    below=1,
    special=0,
    doc="Decay rate of what estimates the distance; 0 stands for the root of beta2.",
)
d0 = hyper("d0", 1e-6, above=0, doc="First estimate of the distance, below the true one.")
d_coef = hyper("d_coef", 1.0, above=0, doc="Factor of the estimates of the distance.")
growth_rate = hyper(
    "growth_rate",
    0.0,
    at_least=0,
    special=0,
    doc="How much the distance grows in a step at most, as a factor; 0 sets no limit.",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator, times the distance.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
bias_correction = flag("bias_correction", False, doc="Whether to correct the moments' bias.")
safeguard_warmup = flag(
    "safeguard_warmup", False, doc="Whether to leave lr out of the estimate's denominator."
)

step_size, denominator = series("step_size"), series("denominator")
numerator = series("numerator", saved_as="d_numerator")
d_hat, d, d_max = series("d_hat"), series("d"), series("d_max")
start = series("start", saved_as="p0")
m, v, s = series("m", saved_as="exp_avg"), series("v", saved_as="exp_avg_sq"), series("s")

Prodigy = OptimizerSpec(
    "Prodigy",
    reading="paper",
    paper="Mishchenko & Defazio 2023, arXiv:2306.06101, Algorithm 4",
    summary="Prodigy: Adam whose learning rate is an estimate of the distance to the solution.",
    notes="The distance is one number per group of parameters, over those that have a gradient: "
    "give all parameters in one group if they are to have one (no_decay makes two of a group). The "
    "algorithm has no weight decay.",
    arguments=(
        *(lr, betas, eps, weight_decay, keyword_only),
        *(beta3, d0, d_coef, growth_rate, bias_correction, safeguard_warmup),
    ),
    equations=(
        Eq(start[0], w[0]),
        Eq(start[t], start[t - 1]),
        Eq(step_size[t], d[t - 1] * lr),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * d[t - 1] * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * d[t - 1] ** 2 * grad[t] ** 2),
        Eq(
            numerator[t],
            sqrt(beta2) * numerator[t - 1]
            + (1 - sqrt(beta2))
            * d[t - 1]
            * step_size[t]
            * over_group(total(grad[t] * (start[t] - w[t - 1]))),
        ),
        Eq(
            s[t],
            sqrt(beta2) * s[t - 1] + (1 - sqrt(beta2)) * d[t - 1] * step_size[t] * grad[t],
        ),
        Eq(denominator[t], over_group(total(Abs(s[t])))),
        Eq(d_hat[t], when(denominator[t] > 0, numerator[t] / denominator[t], 0)),
        Eq(d[0], d0),
        Eq(d[t], Max(d[t - 1], d_hat[t])),
        Eq(
            w[t],
            (1 - step_size[t] * weight_decay) * w[t - 1]
            - step_size[t] * m[t] / (sqrt(v[t]) + d[t - 1] * eps),
        ),
    ),
)

decay = series("decay")

Authors = Prodigy.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/prodigy.py; as the authors' code",
    notes="The sums are in units of d0, and d stands in the denominator as it is after the step. "
    "The library adds up over all groups, and d is one for all of them.",
    replace=(
        Eq(
            step_size[t],
            d[t - 1] * lr * when(bias_correction, sqrt(1 - beta2**t) / (1 - beta1**t), 1),
        ),
        Eq(
            numerator[t],
            decay[t] * numerator[t - 1]
            + d[t - 1] / d0 * step_size[t] * over_group(total(grad[t] * (start[t] - w[t - 1]))),
        ),
        Eq(
            s[t],
            decay[t] * s[t - 1]
            + d[t - 1] / d0 * when(safeguard_warmup, d[t - 1], step_size[t]) * grad[t],
        ),
        Eq(d_hat[t], when(denominator[t] > 0, d_coef * numerator[t] / denominator[t], 0)),
        Eq(
            d[t],
            when(
                growth_rate,
                Min(
                    d_max[t],
                    growth_rate * when(d[t - 1] > d0, d[t - 1], Max(d[t - 1], d_hat[t])),
                ),
                d_max[t],
            ),
        ),
        Eq(
            w[t],
            (1 - step_size[t] * weight_decay) * w[t - 1]
            - step_size[t] * m[t] / (sqrt(v[t]) + d[t] * eps),
        ),
    ),
    add=(
        Eq(decay[t], when(beta3, beta3, sqrt(beta2))),
        Eq(d_max[0], d0),
        Eq(d_max[t], Max(d_max[t - 1], d_hat[t])),
    ),
)

Prodigy.dialect(
    "optax",
    base=Authors,
    paper="optax.contrib.prodigy 0.2.8",
    notes="The bias is always corrected, and the growth has no limit.",
    drop=(d_max[0], d_max[t]),
    replace=(
        Eq(step_size[t], d[t - 1] * lr * sqrt(1 - beta2**t) / (1 - beta1**t)),
        Eq(d[t], Max(d[t - 1], d_hat[t])),
    ),
)
