"""NovoGrad: momentum over gradients that are divided by the size of their tensor's."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    norm,
    series,
    sqrt,
    t,
    w,
    when,
    where,
)

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
beta1, beta2 = betas = hyper(
    "betas",
    (0.95, 0.98),
    at_least=0,
    below=1,
    doc="Decay rates of the momentum and of the average of the gradient's squared norm.",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the norm for numerical stability.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
grad_averaging = flag(
    "grad_averaging", False, doc="Whether the momentum is an average of gradients, and not a sum."
)

d, grad_norm = series("d"), series("grad_norm")
m = series("m", saved_as="moments")
v = series("v", saved_as="grads_ema")

NovoGrad = OptimizerSpec(
    "NovoGrad",
    reading="paper",
    paper="Ginsburg et al. 2019, arXiv:1905.11286, Algorithm 1",
    summary="NovoGrad: momentum over gradients that are normalized in each tensor.",
    notes="The decay is part of what the momentum follows. optax 0.2.8, whose defaults are "
    "betas=(0.9, 0.25) and eps=1e-6, and pytorch_optimizer 4.1 compute the same; the first "
    "gradient is not averaged, whatever grad_averaging says.",
    arguments=(lr, betas, eps, weight_decay, grad_averaging),
    saved_elsewhere={
        "optax": {"mu": m[t], "nu": v[t]},
        "pytorch_optimizer": {
            "moments": m[t],
            "grads_ema": v[t],
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        },
    },
    equations=(
        Eq(grad_norm[t], norm(grad[t])),
        Eq(v[1], grad_norm[1] ** 2),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad_norm[t] ** 2),
        Eq(d[t], grad[t] / (sqrt(v[t]) + eps) + weight_decay * w[t - 1]),
        Eq(m[1], d[1]),
        Eq(m[t], beta1 * m[t - 1] + when(grad_averaging, 1 - beta1, 1) * d[t]),
        Eq(w[t], w[t - 1] - lr * m[t]),
    ),
)
