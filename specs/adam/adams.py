"""AdamS: Adam that divides by its momentum and its gradient, and keeps no second moment."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w
from lucidgen.specs.adam import eps, lr, m

beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.95),
    at_least=0,
    below=1,
    doc="Decay rate of the momentum, and what its square weighs in what steps are divided by.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

nu = series("nu")

AdamS = OptimizerSpec(
    "AdamS",
    reading="paper",
    paper="Zhang, Wang & Chen 2025, arXiv:2505.16363, Algorithm 1",
    summary="AdamS: the momentum of the last step, and the gradient, stand for the second moment.",
    notes="The decay is decoupled, and nothing is corrected for a bias. What pytorch_optimizer has "
    "under this name, Adam with stable weight decay (arXiv:2011.11152), is another.",
    arguments=(lr, betas, eps, weight_decay),
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(nu[t], beta2 * m[t - 1] ** 2 + (1 - beta2) * grad[t] ** 2),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m[t] / (sqrt(nu[t]) + eps)),
    ),
)
