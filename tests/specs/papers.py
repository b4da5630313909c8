"""Optimizers from the literature that ask for every part of the language."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    column_mean,
    grad,
    group,
    hyper,
    mean,
    row_mean,
    series,
    sign,
    sqrt,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-3, at_least=0)
beta1, beta2 = betas = hyper("betas", (0.9, 0.99), at_least=0, below=1)
eps = hyper("eps", 1e-8, at_least=0)
weight_decay = hyper("weight_decay", 0.01, at_least=0, special=0)
g, d, m, v, n, c, z, s, k = (series(name) for name in "gdmvnczsk")

# Associations that no pass may change.
KahanSGD = OptimizerSpec(
    "KahanSGD",
    paper="Kahan 1965, CACM 8(1); Zamirai et al. 2020, arXiv:2010.06192",
    arguments=(lr,),
    equations=(
        Eq(d[t], -lr * grad[t] - k[t - 1]),
        Eq(c[t], group(w[t - 1] + d[t])),
        Eq(k[t], group(group(c[t] - w[t - 1]) - d[t])),
        Eq(w[t], c[t]),
    ),
)

average = series("average", keep=True)

# A series that only the user reads.
AveragedSGD = OptimizerSpec(
    "AveragedSGD",
    paper="Polyak & Juditsky 1992",
    arguments=(lr,),
    equations=(
        Eq(w[t], w[t - 1] - lr * grad[t]),
        Eq(average[0], w[0]),
        Eq(average[t], average[t - 1] + (w[t] - average[t - 1]) / t),
    ),
)

rows, columns = series("rows"), series("columns")

# States per row and per column.
Factored = OptimizerSpec(
    "Factored",
    paper="Shazeer & Stern 2018, arXiv:1804.04235, Algorithm 2, without clipping",
    arguments=(lr, betas),
    equations=(
        Eq(rows[t], beta2 * rows[t - 1] + (1 - beta2) * row_mean(grad[t] ** 2)),
        Eq(columns[t], beta2 * columns[t - 1] + (1 - beta2) * column_mean(grad[t] ** 2)),
        Eq(m[t], grad[t] * sqrt(mean(rows[t])) / sqrt(rows[t] * columns[t])),
        Eq(w[t], w[t - 1] - lr * (beta1 * m[t] + (1 - beta1) * grad[t])),
    ),
)

# Selects within selects, and a start from a hyperparameter.
Rprop = OptimizerSpec(
    "Rprop",
    paper="Igel & Huesken 2000, Rprop-",
    arguments=(lr,),
    equations=(
        Eq(g[t], when(grad[t] * g[t - 1] < 0, 0, grad[t])),
        Eq(s[0], lr),
        Eq(
            s[t],
            when(
                grad[t] * g[t - 1] > 0,
                Min(s[t - 1] * Rational(6, 5), 50),
                when(grad[t] * g[t - 1] < 0, Max(s[t - 1] / 2, Rational(1, 10**6)), s[t - 1]),
            ),
        ),
        Eq(w[t], w[t - 1] - sign(g[t]) * s[t]),
    ),
)
