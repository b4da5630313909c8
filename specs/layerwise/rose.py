"""Rose: gradients divided by the range of their row, and nothing kept."""

from lucidgen.spec import (
    Abs,
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    largest,
    mean,
    ndim,
    row_max,
    row_mean,
    series,
    sign,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.radam import decoupled_weight_decay

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
weight_decay = hyper("weight_decay", 1e-4, at_least=0, special=0, doc="Weight decay coefficient.")
centralize = flag("centralize", True, doc="Whether rows of gradients lose their mean first.")
stabilize = flag(
    "stabilize", True, doc="Whether ranges that differ much between rows move to their mean."
)

g, c, u = series("g"), series("c"), series("u")
ranges, mean_range, deviation = series("ranges"), series("mean_range"), series("deviation")
trust, scale, range_all = series("trust"), series("scale"), series("range_all")


def divisor(x):
    """x, or 1 where it is 0; it is not negative."""
    return when(x > 0, x, 1)


Rose = OptimizerSpec(
    "Rose",
    reading="pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/rose.py; there is no paper",
    summary="Rose: steps scaled by the ranges of gradients along the first axis, without state.",
    notes="A row is what belongs to one index of the first axis. A vector is divided by its own "
    "range, and of a single number the sign counts. A range is the magnitude of the largest value "
    "less the smallest one.",
    arguments=(lr, weight_decay, centralize, stabilize, decoupled_weight_decay),
    also_called=("ROSE",),
    matrices="first",
    equations=(
        Eq(g[t], when(decoupled_weight_decay, grad[t], grad[t] + weight_decay * w[t - 1])),
        Eq(c[t], when(centralize, g[t] - row_mean(g[t]), g[t])),
        Eq(ranges[t], Abs(row_max(c[t])) + row_max(-c[t])),
        Eq(mean_range[t], mean(ranges[t])),
        Eq(deviation[t], sqrt(mean((ranges[t] - mean_range[t]) ** 2))),
        Eq(trust[t], mean_range[t] / divisor(deviation[t] + mean_range[t])),
        Eq(
            scale[t],
            when(
                stabilize,
                mean_range[t] + trust[t] * (ranges[t] - mean_range[t]),
                ranges[t],
            ),
        ),
        Eq(range_all[t], Abs(largest(g[t])) + largest(-g[t])),
        Eq(
            u[t],
            when(
                ndim >= 2,
                c[t] / divisor(scale[t]),
                when(ndim >= 1, g[t] / divisor(range_all[t]), sign(g[t])),
            ),
        ),
        Eq(
            w[t],
            when(decoupled_weight_decay, 1 - lr * weight_decay, 1) * w[t - 1] - lr * u[t],
        ),
    ),
)
