"""ApolloDQN: a diagonal quasi-Newton step, by how gradients changed along the last one."""

from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    OptimizerSpec,
    Rational,
    flag,
    grad,
    hyper,
    largest,
    series,
    sqrt,
    t,
    total,
    w,
    when,
)
from lucidgen.specs.radam import decoupled_weight_decay

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
beta = hyper("beta", 0.9, at_least=0, below=1, doc="Decay rate of the average of gradients.")
eps = hyper("eps", 1e-4, above=0, doc="Added to the length of the last step.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
belief = flag(
    "belief",
    False,
    doc="Whether curvatures are bounded below by how far gradients stray from their average, and "
    "not by a hundredth.",
)

#: The least curvature, where it does not follow gradients.
SIGMA = Rational(1, 100)

g, y, alpha = series("g"), series("y"), series("alpha")
length, v, delta, curvature = map(series, ("length", "v", "delta", "curvature"))
m = series("m", saved_as="exp_avg_grad")
b = series("b", saved_as="approx_hessian")
d = series("d", saved_as="update")

ApolloDQN = OptimizerSpec(
    "ApolloDQN",
    reading="paper",
    paper="Ma 2020, arXiv:2009.13586, Algorithm 1",
    summary="Apollo: a parameter-wise diagonal quasi-Newton method.",
    notes="Each tensor has a curvature for each of its elements. Without a warmup of lr, by a "
    "scheduler, it diverges easily. pytorch_optimizer 4.1 with warmup_steps=0 computes the same.",
    arguments=(lr, beta, eps, weight_decay, belief, decoupled_weight_decay),
    equations=(
        Eq(g[t], when(decoupled_weight_decay, grad[t], grad[t] + weight_decay * w[t - 1])),
        Eq(alpha[t], (1 - beta) / (1 - beta**t)),
        Eq(y[t], g[t] - m[t - 1]),
        Eq(m[t], m[t - 1] + alpha[t] * y[t]),
        Eq(length[t], sqrt(sqrt(total(d[t - 1] ** 4))) + when(belief, eps, eps / SIGMA)),
        Eq(v[t], d[t - 1] / length[t]),
        Eq(
            delta[t],
            -alpha[t] * total(y[t] * v[t]) / length[t] - total(b[t - 1] * v[t] ** 2),
        ),
        Eq(b[t], b[t - 1] + delta[t] * v[t] ** 2),
        Eq(
            curvature[t],
            when(
                belief,
                Max(Abs(b[t]), largest(Abs(y[t]))) + eps / alpha[t],
                Max(Abs(b[t]), SIGMA),
            ),
        ),
        Eq(
            d[t],
            m[t] / curvature[t] + when(decoupled_weight_decay, weight_decay, 0) * w[t - 1],
        ),
        Eq(w[t], w[t - 1] - lr * d[t]),
    ),
)
