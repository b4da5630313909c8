"""AvaGrad: Adam whose rates of all elements together have a norm of one."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    mean,
    over_group,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import beta1, beta2, betas, m, v

lr = hyper("lr", 1e-1, at_least=0, doc="Learning rate.")
eps = hyper("eps", 1e-1, above=0, doc="Added to the root of the second moment; tunes adaptivity.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
weight_decouple = flag(
    "weight_decouple", True, doc="Whether the decay multiplies the weights, as in AdamW."
)

g, rate, scale, gamma = map(series, ("g", "rate", "scale", "gamma"))

kept = when(weight_decouple, 1 - lr * weight_decay, 1) * w[t - 1]

AvaGrad = OptimizerSpec(
    "AvaGrad",
    reading="paper",
    paper="Savarese et al. 2019, arXiv:1912.01823, Algorithm 1",
    summary="AvaGrad: adaptive rates that are normalised, so that lr and eps are tuned apart.",
    notes="Rates are normalised over each group of parameters, those that have a gradient. The "
    "weight decay, which the algorithm does not have, is decoupled by default.",
    arguments=(lr, betas, eps, weight_decay, weight_decouple),
    equations=(
        Eq(g[t], grad[t] + when(weight_decouple, 0, weight_decay * w[t - 1])),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t]),
        Eq(rate[t], 1 / (sqrt(v[t - 1]) + eps)),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(scale[t], 1 / sqrt(over_group(mean(rate[t] ** 2)))),
        Eq(w[t], kept - lr * scale[t] * rate[t] * m[t]),
    ),
)

AvaGrad.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/avagrad.py; as the authors' code",
    notes="Moments are corrected for their bias, rates have the norm of the last step's, and the "
    "first step only decays.",
    drop=(scale[t],),
    add=(
        Eq(gamma[t], 1 / sqrt(over_group(mean(rate[t] ** 2)))),
        Eq(w[1], when(weight_decouple, 1 - lr * weight_decay, 1) * w[0]),
    ),
    replace=(
        Eq(rate[t], 1 / (sqrt(v[t - 1] / (1 - beta2**t)) + eps)),
        Eq(
            w[t],
            kept
            - lr
            * gamma[t - 1]
            / (1 - beta1**t)
            * m[t]
            / (sqrt(v[t - 1] / (1 - beta2 ** (t - 1))) + eps),
        ),
    ),
)
