"""Grams: Adam's magnitude with the gradient's sign."""

from lucidgen.spec import Abs, Eq, OptimizerSpec, grad, hyper, series, sign, sqrt, t, w, where
from lucidgen.specs.adam import beta1, beta2, betas, lr, m, m_hat, v, v_hat

eps = hyper("eps", 1e-6, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

u = series("u")

Grams = OptimizerSpec(
    "Grams",
    reading="paper",
    paper="Cao et al. 2024, arXiv:2412.17107, Algorithm 1",
    summary="Grams: gradient descent with adaptive momentum scaling.",
    notes="The weight decay is decoupled. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, betas, eps, weight_decay),
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "weight_decouple": where(weight_decay, True),
        }
    },
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(u[t], sign(grad[t]) * Abs(m_hat[t]) / (sqrt(v_hat[t]) + eps)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * u[t]),
    ),
)
