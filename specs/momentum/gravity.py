"""Gravity: a velocity that large gradients feed less, and that begins at random."""

from lucidgen.spec import Abs, Eq, OptimizerSpec, grad, hyper, largest, normal, series, t, w

lr = hyper("lr", 1e-2, above=0, doc="Learning rate.")
alpha = hyper(
    "alpha", 1e-2, at_least=0, special=0, doc="Standard deviation of the first step's velocity."
)
beta = hyper("beta", 0.9, at_least=0, at_most=1, doc="Decay rate that the velocity's tends to.")

beta_hat, zeta, v = series("beta_hat"), series("zeta"), series("v")

Gravity = OptimizerSpec(
    "Gravity",
    reading="pytorch_optimizer",
    paper="Bahrami & Pourbabai Zadeh 2021, arXiv:2101.09192; as in pytorch_optimizer 4.1",
    summary="Gravity: gradients are tamed by the largest of their tensor, then averaged.",
    notes="The velocity begins as normal numbers of standard deviation alpha / lr.",
    arguments=(lr, alpha, beta),
    equations=(
        Eq(beta_hat[t], (beta * t + 1) / (t + 2)),
        Eq(zeta[t], grad[t] / (1 + (grad[t] * largest(Abs(grad[t]))) ** 2)),
        Eq(v[1], beta_hat[1] * alpha / lr * normal() + (1 - beta_hat[1]) * zeta[1]),
        Eq(v[t], beta_hat[t] * v[t - 1] + (1 - beta_hat[t]) * zeta[t]),
        Eq(w[t], w[t - 1] - lr * v[t]),
    ),
)
