"""SM3: Adagrad whose sums are known by the largest of each row and of each column."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    OptimizerSpec,
    column_max,
    grad,
    hyper,
    ndim,
    row_max,
    series,
    sqrt,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-1, at_least=0, doc="Learning rate.")
momentum = hyper(
    "momentum", 0.0, at_least=0, below=1, special=0, doc="Decay rate of an average of the steps."
)
beta = hyper(
    "beta",
    0.0,
    at_least=0,
    below=1,
    special=0,
    doc="Decay rate of an average of squares; 0 is their sum.",
)
eps = hyper("eps", 1e-30, above=0, doc="Added under the root for numerical stability.")

cover, nu, u = series("cover"), series("nu"), series("u")
r = series("r", saved_as="accumulator_0")
c = series("c", saved_as="accumulator_1")
v = series("v", saved_as="accumulator")
m = series("m", saved_as="momentum_buffer")

SM3 = OptimizerSpec(
    "SM3",
    reading="paper",
    paper="Anil, Gupta, Koren & Singer 2019, arXiv:1901.11150, Algorithm SM3-II",
    summary="SM3: sums of squared gradients in the memory of one row and one column.",
    notes="The cover of a matrix is its rows and its columns; of a tensor of more axes, its slices "
    "along the first axis, and the lines across them. The sum of an element lies below that of its "
    "row and that of its column. A vector is Adagrad's. pytorch_optimizer 4.1 computes the same, "
    "with a further sum for each further axis.",
    arguments=(lr, momentum, beta, eps),
    matrices="first",
    equations=(
        Eq(cover[t], when(ndim >= 2, Min(r[t - 1], c[t - 1]), v[t - 1])),
        Eq(nu[t], when(beta, beta * cover[t] + (1 - beta) * grad[t] ** 2, cover[t] + grad[t] ** 2)),
        Eq(r[t], when(beta, Max(r[t - 1], row_max(nu[t])), row_max(nu[t]))),
        Eq(c[t], when(beta, Max(c[t - 1], column_max(nu[t])), column_max(nu[t]))),
        Eq(v[t], when(beta, Max(v[t - 1], nu[t]), nu[t])),
        Eq(u[t], grad[t] / sqrt(nu[t] + eps)),
        Eq(m[t], momentum * m[t - 1] + (1 - momentum) * u[t]),
        Eq(w[t], w[t - 1] - lr * when(momentum, m[t], u[t])),
    ),
)
