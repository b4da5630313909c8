"""AdaBelief: Adam that divides by how far gradients stray from their moving average."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    keyword_only,
    series,
    sqrt,
    t,
    w,
    when,
    where,
)
from lucidgen.specs.adam import beta1, beta2, betas, lr, m, m_hat
from lucidgen.specs.radam import rect, rectification, rho

eps = hyper(
    "eps",
    1e-16,
    at_least=0,
    doc="Added to the second moment at every step and to the denominator, for numerical stability.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

rectify = flag(
    "rectify",
    False,
    doc="Whether the adaptive learning rate is rectified while its variance is unknown, as in "
    "RAdam.",
)

s = series("s", saved_as="exp_avg_var")
r, s_hat = series("r"), series("s_hat")

AdaBelief = OptimizerSpec(
    "AdaBelief",
    reading="paper",
    paper="Zhuang et al. 2020, arXiv:2010.07468, Algorithm 2",
    summary="AdaBelief: step sizes adapted by the belief in observed gradients.",
    notes="The weight decay is decoupled. pytorch_optimizer 4.1 and optax 0.2.8 compute the same; "
    "the default of eps is theirs and the authors', where the paper has 1e-8. The paper does not "
    "rectify; its authors' code does, from rho >= 5, and adds eps before the bias correction then.",
    arguments=(lr, betas, eps, weight_decay, keyword_only, rectify),
    saved_elsewhere={
        "optax": {"mu": m[t], "nu": s[t]},
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_var": s[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
            "ams_bound": False,
        },
    },
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(r[t], grad[t] - m[t]),
        Eq(s[t], beta2 * s[t - 1] + (1 - beta2) * r[t] ** 2 + eps),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(s_hat[t], s[t] / (1 - beta2**t)),
        *rectification,
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr
            * m_hat[t]
            * when(
                rectify,
                when(rho[t] >= 5, rect[t] * sqrt(1 - beta2**t) / (sqrt(s[t]) + eps), 1),
                1 / (sqrt(s_hat[t]) + eps),
            ),
        ),
    ),
)
