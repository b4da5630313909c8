"""Stochastic gradient Langevin dynamics: weights that walk through the posterior."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, normal, series, sqrt, t, w

lr = hyper("lr", 1e-4, at_least=0, doc="Step size; the variance of the noise, too.")
data_size = hyper(
    "data_size",
    1.0,
    above=0,
    doc="What the gradient is multiplied by: the number of samples, where it is of a mean.",
)
weight_decay = hyper(
    "weight_decay",
    0.0,
    at_least=0,
    special=0,
    doc="Weight decay (L2, added to the gradient): the precision of a normal prior.",
)
temperature = hyper(
    "temperature",
    1.0,
    at_least=0,
    special=0,
    doc="What the variance of the noise is multiplied by: 1 samples, 0 goes downhill.",
)

g = series("g")

SGLD = OptimizerSpec(
    "SGLD",
    reading="paper",
    paper="Welling & Teh 2011, Proc. ICML, equation (4)",
    summary="Stochastic gradient Langevin dynamics, which samples from the posterior.",
    notes="The gradient is that of the negative log likelihood.",
    arguments=(lr, data_size, weight_decay, temperature),
    equations=(
        Eq(g[t], data_size * grad[t] + weight_decay * w[t - 1]),
        Eq(w[t], w[t - 1] - lr / 2 * g[t] + sqrt(temperature * lr) * normal()),
    ),
)
