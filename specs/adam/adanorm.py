"""AdaNorm: Adam on gradients that are no shorter than they were on average."""

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
    when,
)
from lucidgen.specs.adam import amsgrad, eps, lr, m, m_hat, v, v_hat, v_max

beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.99),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the gradient and of its square.",
)
r = hyper("r", 0.95, at_least=0, below=1, doc="Decay rate of the average of the gradient's norm.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

grad_norm, s = series("grad_norm"), series("s")
e = series("e", saved_as="exp_grad_norm")

AdaNorm = OptimizerSpec(
    "AdaNorm",
    reading="paper",
    paper="Dubey, Singh & Chaudhuri 2022, arXiv:2210.06364, Algorithm 2 (AdamNorm)",
    summary="AdaNorm: Adam whose first moment follows gradients of at least their average norm.",
    notes="The decay is decoupled. A gradient of zero stays zero.",
    also_called=("AdamNorm",),
    arguments=(lr, betas, r, eps, weight_decay, amsgrad),
    equations=(
        Eq(grad_norm[t], norm(grad[t])),
        Eq(e[t], r * e[t - 1] + (1 - r) * grad_norm[t]),
        Eq(
            s[t],
            when((grad_norm[t] > 0) & (e[t] > grad_norm[t]), e[t] / grad_norm[t], 1) * grad[t],
        ),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * s[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_max[t], Max(v_max[t - 1], v[t])),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], when(amsgrad, v_max[t], v[t]) / (1 - beta2**t)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

AdaNorm.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adanorm.py",
    notes="eps is added before the bias correction, and 1e-15 under the root.",
    drop=(m_hat[t], v_hat[t]),
    replace=(
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr
            * sqrt(1 - beta2**t)
            / (1 - beta1**t)
            * m[t]
            / (sqrt(when(amsgrad, v_max[t], v[t]) + Rational(1, 10**15)) + eps),
        ),
    ),
)
