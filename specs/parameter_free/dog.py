"""DoG and DoWG: SGD whose learning rate is a distance over gradients."""

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    grad,
    hyper,
    norm,
    over_group,
    series,
    sqrt,
    t,
    total,
    w,
)

lr = hyper("lr", 1.0, at_least=0, doc="Factor of the learning rate that is found.")
reps_rel = hyper(
    "reps_rel",
    1e-6,
    above=0,
    doc="The first distance, in units of 1 + the norm of the weights; small enough to do no harm.",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the sum of squared gradients.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Weight decay (L2 penalty) coefficient."
)

g = series("g")
start = series("start", saved_as="init_params")
distance = series("distance", saved_as="max_dist")
squares = series("squares", saved_as="sum_sq_norm_grads")

GROUPS = (
    "The learning rate is one per group of parameters, made of those that have a gradient. The "
    "authors recommend to evaluate an average of the weights (ExponentialMovingAverage)."
)

DoG = OptimizerSpec(
    "DoG",
    reading="paper",
    paper="Ivgi, Hinder & Carmon 2023, arXiv:2302.12022, Algorithm 1 and section 4",
    summary="Distance over gradients: SGD with a learning rate that has no parameter to tune.",
    notes=f"{GROUPS} optax.contrib.dog 0.2.8 computes the same with its heuristic first step.",
    arguments=(lr, reps_rel, eps, weight_decay),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(start[0], w[0]),
        Eq(start[t], start[t - 1]),
        Eq(distance[1], reps_rel * (1 + over_group(norm(w[0])))),
        Eq(distance[t], Max(distance[t - 1], over_group(norm(w[t - 1] - start[t])))),
        Eq(squares[t], squares[t - 1] + over_group(total(g[t] ** 2))),
        Eq(w[t], w[t - 1] - lr * distance[t] / sqrt(squares[t] + eps) * g[t]),
    ),
)

reps = hyper("reps", 1e-4, above=0, doc="The first distance; in optax's reading, its square.")
distance_squared = series("distance_squared", saved_as="estim_sq_dist")
weighted = series("weighted", saved_as="weighted_sq_norm_grads")

DoWG = OptimizerSpec(
    "DoWG",
    reading="paper",
    paper="Khaled, Mishchenko & Jin 2023, arXiv:2305.16284, Algorithm 1",
    summary="Distance over weighted gradients: a normalised SGD that has no parameter to tune.",
    notes=GROUPS,
    arguments=(lr, reps, weight_decay),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(start[0], w[0]),
        Eq(start[t], start[t - 1]),
        Eq(distance_squared[0], reps**2),
        Eq(
            distance_squared[t],
            Max(distance_squared[t - 1], over_group(total((w[t - 1] - start[t]) ** 2))),
        ),
        Eq(weighted[t], weighted[t - 1] + distance_squared[t] * over_group(total(g[t] ** 2))),
        Eq(w[t], w[t - 1] - lr * distance_squared[t] / sqrt(weighted[t]) * g[t]),
    ),
)

DoWG.dialect(
    "optax",
    paper="optax.contrib.dowg 0.2.8",
    notes="reps is the first squared distance, and is added to the root in the denominator.",
    replace=(
        Eq(distance_squared[0], reps),
        Eq(w[t], w[t - 1] - lr * distance_squared[t] / (sqrt(weighted[t]) + reps) * g[t]),
    ),
)
