"""MARS: AdamW on gradients whose variance is reduced by their change."""

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    Rational,
    grad,
    hyper,
    norm,
    series,
    sqrt,
    t,
    w,
)
from lucidgen.specs.adam import eps, m, m_hat, v, v_hat

lr = hyper("lr", 3e-3, at_least=0, doc="Learning rate.")
beta1, beta2 = betas = hyper(
    "betas",
    (0.95, 0.99),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the corrected gradient and of its square.",
)
gamma = hyper("gamma", 0.025, at_least=0, doc="Strength of the correction.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

c, c_norm, c_clipped = series("c"), series("c_norm"), series("c_clipped")
g_before = series("g_before", saved_as="last_grad")

MARS = OptimizerSpec(
    "MARS",
    reading="paper",
    paper="Yuan et al. 2024, arXiv:2411.10438, Algorithm 2 (MARS-AdamW), in its approximate form",
    summary="MARS: variance reduction for adaptive methods, by the difference of two gradients.",
    notes="The last gradient stands for that of the last weights on the new data. Each tensor is "
    "clipped by itself. The weight decay is decoupled. Vectors take the same steps as matrices, as "
    "with the authors' optimize_1d=True.",
    arguments=(lr, betas, gamma, eps, weight_decay),
    equations=(
        Eq(g_before[t], grad[t]),
        Eq(c[t], grad[t] + gamma * beta1 / (1 - beta1) * (grad[t] - g_before[t - 1])),
        Eq(c_norm[t], norm(c[t])),
        Eq(c_clipped[t], c[t] / Max(1, c_norm[t])),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * c_clipped[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * c_clipped[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

MARS.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/mars.py, with optimize_1d=True",
    notes="eps is added before the bias correction.",
    drop=(m_hat[t], v_hat[t]),
    replace=(
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr
            * sqrt(1 - beta2**t)
            / (1 - beta1**t)
            * m[t]
            / (sqrt(v[t] + Rational(1, 10**15)) + eps),
        ),
    ),
)
