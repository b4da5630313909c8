"""Amos: steps and decay for every tensor, by the size that its weights are meant to have."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    Rational,
    columns,
    grad,
    hyper,
    mean,
    ndim,
    series,
    sqrt,
    t,
    w,
    when,
)

lr = hyper(
    "lr",
    1e-3,
    at_least=0,
    doc="Global learning rate, the part of its size that a weight may move in a step.",
)
beta = hyper("beta", 0.999, at_least=0, below=1, doc="Decay rate of the second moment.")
momentum = hyper(
    "momentum", 0.0, at_least=0, below=1, special=0, doc="Decay rate of an average of the steps."
)
eta = hyper(
    "eta",
    0.0,
    at_least=0,
    special=0,
    doc="The root mean square that weights are meant to have; 0 takes it from the shape.",
)
c_coef = hyper("c_coef", 0.25, at_least=0, doc="How fast the decay of weights fades.")
d_coef = hyper("d_coef", 0.25, at_least=0, doc="How fast steps become shorter.")
eps = hyper("eps", 1e-18, above=0, doc="Added to the second moment for numerical stability.")

g2, v_hat, scale = series("g2"), series("v_hat"), series("scale")
c, d, gamma, u = series("c"), series("d"), series("gamma"), series("u")
v = series("v", saved_as="exp_avg_sq")
decay = series("decay")
m = series("m", saved_as="exp_avg")

Amos = OptimizerSpec(
    "Amos",
    reading="paper",
    paper="Tian & Parikh 2022, arXiv:2210.11693, Algorithm 1",
    summary="Amos: Adam-style steps, with a decay towards the size that weights are meant to have.",
    notes="All elements of a tensor share one second moment. A model knows the size of its weights "
    "best: give groups their eta. By the shape it is sqrt(2/columns), as He et al. begin, and 1/2 "
    "for vectors; the columns of a tensor of more than two axes are all axes but the first. "
    "pytorch_optimizer 4.1 computes the same but for such tensors.",
    arguments=(lr, beta, momentum, eta, c_coef, d_coef, eps),
    matrices="first",
    equations=(
        Eq(g2[t], mean(grad[t] ** 2)),
        Eq(v[t], beta * v[t - 1] + (1 - beta) * g2[t]),
        Eq(v_hat[t], (v[t] + eps) / (1 - beta**t)),
        Eq(scale[t], when(eta, eta, when(ndim >= 2, sqrt(2 / columns), Rational(1, 2)))),
        Eq(c[t], 1 / sqrt(1 + c_coef * sqrt(lr) * decay[t - 1])),
        Eq(d[t], 1 / (1 + d_coef * sqrt(lr * scale[t]) * decay[t - 1])),
        Eq(gamma[t], c[t] * lr**2 * g2[t] / v_hat[t]),
        Eq(decay[t], decay[t - 1] + gamma[t] * (1 + decay[t - 1])),
        Eq(u[t], d[t] * (lr * scale[t] * grad[t] / sqrt(v_hat[t]) + gamma[t] / 2 * w[t - 1])),
        Eq(m[t], momentum * m[t - 1] + (1 - momentum) * u[t]),
        Eq(w[t], w[t - 1] - when(momentum, m[t], u[t])),
    ),
)
