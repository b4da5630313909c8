"""AdamG: Adam with the golden step size, which needs no tuning."""

from lucidgen.spec import Eq, Min, OptimizerSpec, grad, hyper, series, sqrt, t, w, where
from lucidgen.specs.adam import eps, m_hat, v_hat

lr = hyper("lr", 1.0, at_least=0, doc="Learning rate, which falls to at most t**-0.5.")
beta1, beta2, beta3 = betas = hyper(
    "betas",
    (0.95, 0.999, 0.95),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the scaled gradient, of its square and of the "
    "golden step size.",
)
p = hyper("p", 0.2, above=0, doc="Factor of the golden step size p * v**q.")
q = hyper("q", 0.24, above=0, doc="Power of the golden step size p * v**q.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")

g, m, v, r = series("g"), series("m"), series("v"), series("r")

AdamG = OptimizerSpec(
    "AdamG",
    reading="paper",
    paper="Pan et al. 2024, arXiv:2405.04376, Algorithm 2",
    summary="AdamG: Adam whose gradients are scaled by the golden step size.",
    notes="pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, betas, p, q, weight_decay, eps),
    saved_elsewhere={
        "pytorch_optimizer": {
            "m": m[t],
            "v": v[t],
            "r": r[t],
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(r[t], beta3 * r[t - 1] + (1 - beta3) * p * v[t] ** q),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * r[t] * g[t]),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(w[t], w[t - 1] - Min(lr, 1 / sqrt(t)) * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)
