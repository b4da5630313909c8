"""Adam-mini: Adam with one second moment for each row."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    mean,
    ndim,
    row_mean,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import beta1, beta2, betas, eps, lr, m, m_hat, v_hat

weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
by_row = flag(
    "by_row", True, doc="Whether each row of a matrix is a block of its own, or the whole tensor."
)

v = series("v", saved_as="v_mean")
v_row = series("v_row", saved_as="v_mean_row")

AdamMini = OptimizerSpec(
    "AdamMini",
    reading="paper",
    paper="Zhang et al. 2024, arXiv:2406.16793",
    summary="Adam-mini: Adam with one second moment for each block of the weights.",
    notes="Blocks are rows: what belongs to one output neuron, or to one token of an embedding. A "
    "tensor of more than two axes has one for each index of the first. The paper takes queries and "
    "keys by heads, which are several rows: give each head a parameter and by_row=False. A vector "
    "is one block. The decay is decoupled.",
    arguments=(lr, betas, eps, weight_decay, by_row),
    also_called=("Adam_mini",),
    matrices="first",
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v_row[t], beta2 * v_row[t - 1] + (1 - beta2) * row_mean(grad[t] ** 2)),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * mean(grad[t] ** 2)),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], when(by_row & (ndim >= 2), v_row[t], v[t]) / (1 - beta2**t)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)
