"""Yogi: Adam whose second moment changes by no more than the square of the gradient."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sign, sqrt, t, w, where
from lucidgen.specs.adam import beta1, beta2, betas, in_optax, m, m_hat, v, v_hat

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
eps = hyper("eps", 1e-3, at_least=0, doc="Added to the denominator for numerical stability.")
initial_accumulator = hyper(
    "initial_accumulator", 1e-6, at_least=0, doc="What the second moment starts from."
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

g_squared = series("g_squared")

Yogi = OptimizerSpec(
    "Yogi",
    reading="paper",
    paper="Zaheer et al. 2018, NeurIPS, Adaptive Methods for Nonconvex Optimization, Algorithm 2",
    summary="Yogi: Adam with additive updates of the second moment.",
    notes="There is no bias correction. The weight decay, which the paper does not have, is "
    "decoupled.",
    arguments=(lr, betas, eps, initial_accumulator, weight_decay),
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[0], initial_accumulator),
        Eq(g_squared[t], grad[t] ** 2),
        Eq(v[t], v[t - 1] + (1 - beta2) * sign(g_squared[t] - v[t - 1]) * g_squared[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m[t] / (sqrt(v[t]) + eps)),
    ),
)

Yogi.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/yogi.py; optax 0.2.8 does the same",
    notes="Both moments start from initial_accumulator and are corrected for their bias.",
    saved_elsewhere={
        "optax": in_optax,
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        },
    },
    add=(
        Eq(m[0], initial_accumulator),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
    ),
    replace=(
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)
