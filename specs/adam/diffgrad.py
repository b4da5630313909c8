"""diffGrad: Adam that slows down where gradients change little."""

from lucidgen.spec import (
    Abs,
    Eq,
    OptimizerSpec,
    Rational,
    exp,
    grad,
    hyper,
    series,
    sqrt,
    t,
    w,
    where,
)
from lucidgen.specs.adam import beta1, beta2, betas, eps, lr, m, m_hat, v, v_hat

weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

xi = series("xi")
g_before = series("g_before", saved_as="previous_grad")

DiffGrad = OptimizerSpec(
    "DiffGrad",
    reading="paper",
    paper="Dubey et al. 2019, arXiv:1909.11015, Algorithm 1",
    summary="diffGrad: Adam with a friction coefficient from the change of the gradient.",
    notes="The weight decay, which the paper does not have, is decoupled.",
    arguments=(lr, betas, eps, weight_decay),
    equations=(
        Eq(g_before[t], grad[t]),
        Eq(xi[t], 1 / (1 + exp(-Abs(g_before[t - 1] - grad[t])))),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * xi[t] * m_hat[t] / (sqrt(v_hat[t]) + eps),
        ),
    ),
)

DiffGrad.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/diffgrad.py; the authors' code but for its 1e-15",
    notes="eps is added before the bias correction.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "previous_grad": g_before[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
            "rectify": False,
            "ams_bound": False,
        }
    },
    drop=(m_hat[t], v_hat[t]),
    replace=(
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr
            * sqrt(1 - beta2**t)
            / (1 - beta1**t)
            * xi[t]
            * m[t]
            / (sqrt(v[t] + Rational(1, 10**15)) + eps),
        ),
    ),
)
