"""Padam: AMSGrad, partially adaptive: between SGD with momentum and Adam."""

from lucidgen.spec import Eq, Max, OptimizerSpec, grad, hyper, series, sqrt, t, w, where
from lucidgen.specs.adam import beta1, beta2, betas, eps, m, v, v_max

lr = hyper("lr", 0.1, at_least=0, doc="Learning rate; larger than Adam's, as SGD's.")
partial = hyper(
    "partial",
    0.25,
    above=0,
    at_most=0.5,
    doc="Power of the second moment: at 1/2 this is AMSGrad, near 0 SGD with momentum.",
)
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay (L2).")

g = series("g")

Padam = OptimizerSpec(
    "Padam",
    reading="paper",
    also_called=("PAdam",),
    paper="Chen et al. 2018, arXiv:1806.06763, Algorithm 1",
    summary="Padam: a partially adaptive momentum method.",
    notes="The paper has no eps, and as there, there is no bias correction. The weight decay goes "
    "through the gradient.",
    arguments=(lr, betas, partial, eps, weight_decay),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(v_max[t], Max(v_max[t - 1], v[t])),
        Eq(w[t], w[t - 1] - lr * m[t] / (sqrt(v_max[t]) + eps) ** (2 * partial)),
    ),
)

Padam.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/padam.py",
    notes="Adam and not AMSGrad: the second moment may fall, and biases are corrected.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        }
    },
    drop=(v_max[t],),
    replace=(
        Eq(
            w[t],
            w[t - 1]
            - lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m[t] / (sqrt(v[t]) + eps) ** (2 * partial),
        ),
    ),
)
