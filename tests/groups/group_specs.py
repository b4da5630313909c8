"""Specs that add up over groups, as an author may write them."""

from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    grad,
    hyper,
    largest,
    mean,
    norm,
    over_group,
    series,
    sqrt,
    t,
    total,
    transformed,
    update,
    w,
)
from lucidgen.specs.adam import Adam, AdamW

lr = hyper("lr", 0.1, at_least=0)
limit = hyper("limit", 1.0, above=0)
momentum = hyper("momentum", 0.9, at_least=0, below=1)
g, b, d, s, n, c = map(series, ("g", "b", "d", "s", "n", "c"))

#: SGD whose gradients are clipped to a norm over the group, as `max_grad_norm` does.
Clipped = OptimizerSpec(
    "Clipped",
    (lr, limit, momentum),
    (
        Eq(n[t], over_group(norm(grad[t]))),
        Eq(g[t], grad[t] * Min(1, limit / (n[t] + Rational(1, 10**6)))),
        Eq(b[1], g[1]),
        Eq(b[t], momentum * b[t - 1] + g[t]),
        Eq(w[t], w[t - 1] - lr * b[t]),
    ),
)

#: A distance that is kept by the group, its own count of steps, and all four reductions.
Kept = OptimizerSpec(
    "Kept",
    (lr, momentum),
    (
        Eq(s[t], momentum * s[t - 1] + grad[t]),
        Eq(c[t], 1 - momentum**t),
        Eq(d[0], lr),
        Eq(d[t], Max(d[t - 1], over_group(mean(Abs(s[t]))) / c[t])),
        Eq(n[1], over_group(largest(w[0]))),
        Eq(n[t], n[t - 1] + over_group(total(s[t] * w[t - 1])) / t),
        Eq(w[t], w[t - 1] - lr * d[t] * s[t] / (1 + Abs(n[t]))),
    ),
)

#: Sums of what is made of sums: of clipped gradients.
Twice = OptimizerSpec(
    "Twice",
    (lr, limit),
    (
        Eq(g[t], grad[t] * Min(1, limit / over_group(norm(grad[t])))),
        Eq(d[t], d[t - 1] + over_group(total(g[t] ** 2))),
        Eq(w[t], w[t - 1] - lr * g[t] / sqrt(d[t])),
    ),
)

#: Clipping, for any optimizer.
WithClipping = transformed(
    AdamW,
    "clipped",
    (Eq(grad[t], grad[t] * Min(1, limit / (over_group(norm(grad[t])) + Rational(1, 10**6)))),),
    arguments=(limit,),
    name="WithClipping",
)

#: A step whose length over the group is limited: its sums need all that the step needs.
Bounded = transformed(
    Adam,
    "bounded",
    (Eq(update[t], update[t] * Min(1, limit / over_group(norm(update[t])))),),
    arguments=(limit,),
    name="Bounded",
)

SPECS = (Clipped, Kept, Twice)
TRANSFORMED = (WithClipping, Bounded)
