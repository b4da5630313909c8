"""MADGRAD: dual averaging with momentum, scaled by a cube root of summed squares."""

from lucidgen.spec import Eq, OptimizerSpec, Rational, grad, hyper, series, sqrt, t, w, where

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
momentum = hyper(
    "momentum",
    0.9,
    at_least=0,
    below=1,
    special=0,
    doc="How far a step stays with the parameter of before.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Weight decay (L2, added to the gradient)."
)
eps = hyper("eps", 1e-6, above=0, doc="Added to the denominator for numerical stability.")

g, scale, z = series("g"), series("scale"), series("z")
x0 = series("x0")
s = series("s")
v = series("v", saved_as="grad_sum_sq")

MADGRAD = OptimizerSpec(
    "MADGRAD",
    reading="paper",
    paper="Defazio & Jelassi 2021, arXiv:2101.11075, Algorithm 1",
    summary="MADGRAD: a momentumized, adaptive, dual averaged gradient method.",
    notes="The parameter's start is part of the state. The weight decay goes through the gradient.",
    arguments=(lr, momentum, weight_decay, eps),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(scale[t], lr * sqrt(t)),
        Eq(s[t], s[t - 1] + scale[t] * g[t]),
        Eq(v[t], v[t - 1] + scale[t] * g[t] ** 2),
        Eq(x0[0], w[0]),
        Eq(x0[t], x0[t - 1]),
        Eq(z[t], x0[t] - s[t] / (v[t] ** Rational(1, 3) + eps)),
        Eq(w[t], momentum * w[t - 1] + (1 - momentum) * z[t]),
    ),
)

MADGRAD.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/madgrad.py; optax 0.2.8 and the authors' code do the "
    "same",
    notes="eps is added to the learning rate too.",
    saved_elsewhere={
        "optax": {"grad_sum_sq": v[t], "s": s[t], "x0": x0[t]},
        "pytorch_optimizer": {
            "k": t,
            "grad_sum_sq": v[t],
            "s": s[t],
            "x0": x0[t],
            "weight_decouple": where(weight_decay, False),
        },
    },
    replace=(Eq(scale[t], (lr + eps) * sqrt(t)),),
)
