"""AdaBound and AMSBound: Adam whose step sizes are held between bounds that close in on SGD's."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    grad,
    hyper,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import amsgrad, beta1, beta2, betas, eps, lr, lr_0, m, v, v_max

final_lr = hyper("final_lr", 0.1, at_least=0, doc="Learning rate that the bounds come to: SGD's.")
gamma = hyper("gamma", 1e-3, above=0, doc="How fast the bounds close in.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

lower, upper, eta, final = series("lower"), series("upper"), series("eta"), series("final")
v_bound = series("v_bound")

AdaBound = OptimizerSpec(
    "AdaBound",
    reading="paper",
    paper="Luo et al. 2019, arXiv:1902.09843, Algorithm 2; AMSBound: Algorithm 3",
    summary="AdaBound: from Adam to SGD, by bounds of every element's step size.",
    notes="The paper has neither eps nor a weight decay; the decay is decoupled. As in the paper, "
    "steps fall with the root of t, and there is no bias correction: the authors' code, the "
    "dialect pytorch_optimizer, differs in both.",
    arguments=(lr, betas, final_lr, gamma, eps, weight_decay, amsgrad),
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_max[t], Max(v_max[t - 1], v[t])),
        Eq(v_bound[t], when(amsgrad, v_max[t], v[t])),
        Eq(lower[t], final_lr * (1 - 1 / (gamma * t + 1))),
        Eq(upper[t], final_lr * (1 + 1 / (gamma * t))),
        Eq(eta[t], Min(Max(lr / (sqrt(v_bound[t]) + eps), lower[t]), upper[t])),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - eta[t] / sqrt(t) * m[t]),
    ),
)

AdaBound.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adabound.py; the authors' code but for its 1e-15",
    notes="The step size is corrected for bias as Adam's, does not fall with t, and the bounds "
    "follow a change of lr.",
    add=(
        Eq(lr_0[0], lr),
        Eq(lr_0[t], lr_0[t - 1]),
        Eq(final[t], when(lr_0[t] > 0, final_lr * lr / lr_0[t], final_lr)),
    ),
    replace=(
        Eq(lower[t], final[t] * (1 - 1 / (gamma * t + 1))),
        Eq(upper[t], final[t] * (1 + 1 / (gamma * t))),
        Eq(
            eta[t],
            Min(
                Max(
                    lr
                    * sqrt(1 - beta2**t)
                    / (1 - beta1**t)
                    / (sqrt(v_bound[t] + Rational(1, 10**15)) + eps),
                    lower[t],
                ),
                upper[t],
            ),
        ),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - eta[t] * m[t]),
    ),
)
