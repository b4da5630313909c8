"""EXAdam: Adam whose two moments correct each other."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w, where
from lucidgen.specs.adam import beta1, beta2, betas, eps, lr, m, v

weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

v_tilde = series("v_tilde")
# The sum of the paper's m_tilde and g_tilde, which share a factor.
u = series("u")

EXAdam = OptimizerSpec(
    "EXAdam",
    reading="paper",
    paper="Adly 2024, arXiv:2412.20302, Algorithm 1",
    summary="EXAdam: adaptive cross-moments.",
    notes="The weight decay is decoupled. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, betas, eps, weight_decay),
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_tilde[t], v[t] / (1 - beta2**t) * (1 + m[t] ** 2 / (m[t] ** 2 + eps) * beta1**t)),
        Eq(u[t], (m[t] + grad[t]) / (1 - beta1**t) * (1 + v[t] / (v[t] + eps) * beta2**t)),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * u[t] / (sqrt(v_tilde[t]) + eps),
        ),
    ),
)
