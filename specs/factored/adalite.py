"""Adalite: a momentum and a second moment of matrices in the memory of a few rows and columns."""

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    column_mean,
    column_total,
    exp,
    grad,
    hyper,
    largest,
    ndim,
    norm,
    row_mean,
    row_total,
    series,
    size,
    sqrt,
    t,
    total,
    w,
    when,
)
from lucidgen.specs.adam import beta1, beta2, betas, lr

weight_decay = hyper(
    "weight_decay", 1e-2, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
g_norm_min = hyper(
    "g_norm_min", 1e-10, above=0, doc="The least norm of a gradient that weights are measured by."
)
ratio_min = hyper("ratio_min", 1e-4, at_least=0, doc="The least ratio of weights to gradient.")
tau = hyper("tau", 1.0, above=0, doc="How evenly rows and columns count in what is kept of m.")
eps1 = hyper("eps1", 1e-6, above=0, doc="Added to the second moment under the root.")
eps2 = hyper("eps2", 1e-10, above=0, doc="The least that sums of what is kept are divided by.")

g, trust_ratio = series("g"), series("trust_ratio")
m_before, m_mixed, v_before = series("m_before"), series("m_mixed"), series("v_before")
v_row, v_column, u = series("v_row"), series("v_column"), series("u")
weight_row, weight_column = series("weight_row"), series("weight_column")
kept_row, kept_column = series("kept_row"), series("kept_column")
e_row, e_column, e_kept_row, e_kept_column = map(
    series, ("e_row", "e_column", "e_kept_row", "e_kept_column")
)
m = series("m", saved_as="m_avg")
v = series("v", saved_as="v_avg")
r = series("r", saved_as="v_avg_0")
c = series("c", saved_as="v_avg_1")
m_row = series("m_row", saved_as="m_avg_c")
m_column = series("m_column", saved_as="m_avg_r")
m_scale = series("m_scale", saved_as="m_avg_u")


def softmax(weight, e, x):
    """Weights of rows, or of columns, that are positive, grow with x, and have the sum 1."""
    return Eq(e[t], exp(x - largest(x))), Eq(weight[t], e[t] / total(e[t]))


Adalite = OptimizerSpec(
    "Adalite",
    reading="pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adalite.py; there is no paper",
    summary="Adalite: Adam on scaled gradients, with both moments of matrices factored.",
    notes="What has no rows and columns keeps whole moments. A tensor of more than two axes is a "
    "matrix of its first axis against the others. What has one element is not scaled. The decay "
    "is decoupled.",
    arguments=(lr, betas, weight_decay, g_norm_min, ratio_min, tau, eps1, eps2),
    matrices="first",
    equations=(
        Eq(
            trust_ratio[t],
            when(
                size > 1,
                Max(norm(w[t - 1]) / Max(norm(grad[t]), g_norm_min), ratio_min),
                1,
            ),
        ),
        Eq(g[t], trust_ratio[t] * grad[t]),
        Eq(m_before[t], when(ndim >= 2, m_row[t - 1] * m_scale[t - 1] * m_column[t - 1], m[t - 1])),
        Eq(
            v_before[t], when(ndim >= 2, r[t - 1] * c[t - 1] / Max(total(r[t - 1]), eps2), v[t - 1])
        ),
        Eq(m[t], beta1 * m_before[t] + (1 - beta1) * g[t]),
        Eq(v[t], beta2 * v_before[t] + (1 - beta2) * (g[t] - m[t]) ** 2),
        Eq(v_row[t], row_mean(v[t])),
        Eq(v_column[t], column_mean(v[t])),
        *softmax(weight_row, e_row, v_row[t]),
        *softmax(weight_column, e_column, v_column[t]),
        Eq(
            m_mixed[t],
            when(ndim >= 2, g[t] + weight_row[t] * weight_column[t] * (m[t] - g[t]), m[t]),
        ),
        Eq(u[t], beta1 * m_mixed[t] + (1 - beta1) * g[t]),
        Eq(r[t], row_total(v[t])),
        Eq(c[t], column_total(v[t]) / Max(total(v[t]), eps2)),
        *softmax(kept_row, e_kept_row, v_row[t] / tau),
        *softmax(kept_column, e_kept_column, v_column[t] / tau),
        Eq(m_row[t], row_total(m_mixed[t] * kept_column[t])),
        Eq(m_column[t], column_total(m_mixed[t] * kept_row[t])),
        Eq(
            m_scale[t],
            total(m_row[t] * m_mixed[t] * m_column[t])
            / Max(total(m_row[t] ** 2) * total(m_column[t] ** 2), eps2),
        ),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * u[t] / sqrt(v[t] / (1 - beta2**t) + eps1),
        ),
    ),
)
