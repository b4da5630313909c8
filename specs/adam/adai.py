"""Adai: adaptive inertia, a momentum for each element."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    mean,
    over_group,
    series,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
beta0, beta2 = betas = hyper(
    "betas",
    (0.1, 0.99),
    names=("beta0", "beta2"),
    at_least=0,
    below=1,
    doc="How far the momentum of an element of average gradients is from 1, and the decay rate of "
    "the second moment.",
)
eps = hyper("eps", 1e-3, above=0, below=1, doc="How far from 1 a momentum stays.")
dampening = hyper(
    "dampening", 1.0, at_least=0, below=1.5, special=1, doc="How far gradients are dampened."
)
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
weight_decouple = flag(
    "weight_decouple", False, doc="Whether the decay multiplies the weights, as in AdamW."
)

g, v_hat, v_mean, inertia = map(series, ("g", "v_hat", "v_mean", "inertia"))
m, v = series("m", saved_as="exp_avg"), series("v", saved_as="exp_avg_sq")
product = series("product", saved_as="beta1_prod")

Adai = OptimizerSpec(
    "Adai",
    reading="paper",
    paper="Xie et al. 2022, arXiv:2006.15815, Algorithm 2",
    summary="Adaptive inertia: the momentum, and not the rate, adapts to each element.",
    notes="The mean is over all parameters of a group that have a gradient.",
    arguments=(lr, betas, eps, weight_decay, dampening, weight_decouple),
    equations=(
        Eq(g[t], grad[t] + when(weight_decouple, 0, weight_decay * w[t - 1])),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(v_mean[t], over_group(mean(v_hat[t]))),
        Eq(inertia[t], Min(Max(1 - beta0 * v_hat[t] / v_mean[t], 0), 1 - eps)),
        Eq(product[0], 1),
        Eq(product[t], product[t - 1] * inertia[t]),
        Eq(m[t], inertia[t] * m[t - 1] + (1 - inertia[t]) * g[t]),
        Eq(
            w[t],
            when(weight_decouple, 1 - lr * weight_decay, 1) * w[t - 1]
            - lr * m[t] / (1 - product[t]),
        ),
    ),
)

Adai.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adai.py",
    notes="The mean is at least eps, and gradients may be dampened. The library takes the mean "
    "over all groups.",
    replace=(
        Eq(v_mean[t], Max(over_group(mean(v_hat[t])), eps)),
        Eq(
            inertia[t],
            Min(Max(1 - beta0 * (v_hat[t] / v_mean[t]) ** (1 / (3 - 2 * dampening)), 0), 1 - eps),
        ),
        Eq(m[t], inertia[t] * m[t - 1] + (1 - inertia[t]) ** dampening * g[t]),
        Eq(
            w[t],
            when(weight_decouple, 1 - lr * weight_decay, 1) * w[t - 1]
            - lr * beta0 ** (1 - dampening) * m[t] / (1 - product[t]),
        ),
    ),
)
