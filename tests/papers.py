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

alpha1, alpha2, alpha3 = alphas = hyper("alphas", (0.98, 0.92, 0.99), at_least=0, below=1)

# The gradient of the step before, and a series whose first value is special.
Adan = OptimizerSpec(
    "Adan",
    paper="Xie et al. 2022, arXiv:2208.06677, Algorithm 1",
    arguments=(lr, alphas, eps, weight_decay),
    equations=(
        Eq(g[t], grad[t]),
        Eq(d[1], 0),
        Eq(d[t], g[t] - g[t - 1]),
        Eq(m[t], alpha1 * m[t - 1] + (1 - alpha1) * g[t]),
        Eq(v[t], alpha2 * v[t - 1] + (1 - alpha2) * d[t]),
        Eq(n[t], alpha3 * n[t - 1] + (1 - alpha3) * (g[t] + alpha2 * d[t]) ** 2),
        Eq(
            w[t],
            (w[t - 1] - lr * (m[t] + alpha2 * v[t]) / (sqrt(n[t]) + eps)) / (1 + lr * weight_decay),
        ),
    ),
)

# First updates of states and of the parameter itself.
ADOPT = OptimizerSpec(
    "ADOPT",
    paper="Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2",
    arguments=(lr, betas, eps),
    equations=(
        Eq(v[1], grad[1] ** 2),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(m[1], 0),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t] / Max(sqrt(v[t - 1]), eps)),
        Eq(w[1], w[0]),
        Eq(w[t], w[t - 1] - lr * m[t]),
    ),
)

# A start that copies the parameter, and a cube root.
MADGRAD = OptimizerSpec(
    "MADGRAD",
    paper="Defazio & Jelassi 2021, arXiv:2101.11075, Algorithm 1",
    arguments=(lr, eps),
    equations=(
        Eq(z[0], w[0]),
        Eq(z[t], z[t - 1]),
        Eq(s[t], s[t - 1] + lr * sqrt(t) * grad[t]),
        Eq(v[t], v[t - 1] + lr * sqrt(t) * grad[t] ** 2),
        Eq(w[t], z[t] - s[t] / (v[t] ** Rational(1, 3) + eps)),
    ),
)

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
