"""Averaged stochastic gradient descent."""

from lucidgen.spec import Eq, Max, OptimizerSpec, grad, hyper, keyword_only, series, t, w, when
from lucidgen.specs.sgd import SGD, b, weight_decay

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate of the first steps.")
lambd = hyper("lambd", 1e-4, at_least=0, doc="Decay of the parameter and of the learning rate.")
alpha = hyper("alpha", 0.75, doc="Power with which the learning rate falls.")
t0 = hyper("t0", 1e6, doc="The step after which the average begins.")
momentum = hyper("momentum", 0.0, at_least=0, special=0, doc="Momentum factor.")

g = series("g")
eta = series("eta")
c = series("c", saved_as="mu")
average = series("average", saved_as="ax", keep=True)

ASGD = OptimizerSpec(
    "ASGD",
    reading="torch",
    paper="Polyak & Juditsky 1992, SIAM J. Control Optim. 30(4); Xu 2011, arXiv:1107.2490; "
    "torch's reading",
    summary="Averaged stochastic gradient descent.",
    notes="The average is state[p]['ax']; it is the parameter itself until step t0. A change of lr "
    "acts from the step after the next one on, since eta is computed a step ahead.",
    # Positions end here: torch's second is lambd, Lucid 2's is momentum.
    arguments=(lr, keyword_only, lambd, alpha, t0, weight_decay, momentum),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(eta[0], lr),
        Eq(eta[t], lr / (1 + lambd * lr * t) ** alpha),
        Eq(w[t], (1 - lambd * eta[t - 1]) * w[t - 1] - eta[t - 1] * g[t]),
        Eq(c[0], 1),
        Eq(c[t], 1 / Max(1, t - t0)),
        Eq(
            average[t],
            when(
                c[t - 1] < 1,
                average[t - 1] + c[t - 1] * (w[t] - average[t - 1]),
                w[t],
            ),
        ),
    ),
)

ASGD.dialect(
    "lucid2",
    base=SGD,
    paper="lucid-dl 2.9.0, lucid/optim/sgd.py",
    notes="SGD beside an average that is the start value until step t0. With momentum the first "
    "step counts its gradient 1 + momentum times.",
    defaults={"lr": 1e-3},
    counts_steps=True,
    requires=(),
    replace=(
        Eq(b[1], (1 + momentum) * g[1]),
        Eq(b[t], momentum * b[t - 1] + g[t]),
        Eq(w[t], w[t - 1] - lr * when(momentum, b[t], g[t])),
    ),
    drop=(series("u")[t],),
    add=(
        Eq(average[0], w[0]),
        Eq(
            average[t],
            when(
                t >= t0,
                (1 - 1 / (alpha * t + 1) - lambd) * average[t - 1] + w[t] / (alpha * t + 1),
                average[t - 1],
            ),
        ),
    ),
)
