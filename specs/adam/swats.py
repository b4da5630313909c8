"""SWATS: Adam that goes on as SGD, once it has found out how fast that should be."""

from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    OptimizerSpec,
    grad,
    hyper,
    over_group,
    series,
    sqrt,
    t,
    total,
    w,
    when,
)
from lucidgen.specs.adam import beta1, beta2, betas, lr, m, v

eps = hyper(
    "eps",
    1e-9,
    at_least=0,
    doc="Added to the denominator, and how near to its average the rate must come.",
)

step, velocity = series("step_of_adam"), series("velocity", saved_as="momentum_buffer")
along, length = series("along"), series("length")
rate, average, estimate = series("rate"), series("average"), series("estimate")
gap, sgd_lr = series("gap"), series("sgd_lr")

is_sgd, has_rate = sgd_lr[t - 1] > 0, (along[t] < 0) | (along[t] > 0)

SWATS = OptimizerSpec(
    "SWATS",
    reading="paper",
    paper="Keskar & Socher 2017, arXiv:1712.07628, Algorithm 1",
    summary="SWATS: switches from Adam to SGD, at a learning rate that Adam's steps tell.",
    notes="The rate is one number per group, of all parameters that have a gradient; as long as it "
    "is 0, steps are Adam's. The algorithm would switch to a negative rate, too, if it found one.",
    arguments=(lr, betas, eps),
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(
            step[t],
            -lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m[t] / (sqrt(v[t]) + eps),
        ),
        Eq(along[t], over_group(total(step[t] * grad[t]))),
        Eq(length[t], over_group(total(step[t] ** 2))),
        Eq(rate[t], when(has_rate, -length[t] / along[t], 0)),
        Eq(
            average[t],
            when(has_rate, beta2 * average[t - 1] + (1 - beta2) * rate[t], average[t - 1]),
        ),
        Eq(estimate[t], average[t] / (1 - beta2**t)),
        Eq(gap[t], when(t > 1, Abs(estimate[t] - rate[t]), 2 * eps)),
        Eq(
            sgd_lr[t],
            when(is_sgd, sgd_lr[t - 1], when(has_rate & (gap[t] < eps), Max(estimate[t], 0), 0)),
        ),
        Eq(velocity[t], when(is_sgd, beta1 * velocity[t - 1] + grad[t], 0)),
        Eq(
            w[t],
            w[t - 1] + when(is_sgd, -(1 - beta1) * sgd_lr[t - 1] * velocity[t], step[t]),
        ),
    ),
)
