"""Ali-G and Polyak SGD: SGD whose learning rate follows from the loss and the gradient."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    flag,
    grad,
    hyper,
    loss,
    over_group,
    series,
    t,
    total,
    w,
    when,
)

LOSSES = (
    "Every step needs the loss: ``step(closure)``, ``step(loss=loss)`` or, of trees, "
    "``update(model, grads, loss=loss)``. The norm is that of all gradients of a group."
)

lr = hyper("lr", 0.1, at_least=0, doc="The largest learning rate.")
momentum = hyper("momentum", 0.0, at_least=0, below=1, special=0, doc="Momentum coefficient.")
eps = hyper("eps", 1e-6, at_least=0, doc="Added to the squared norm of the gradient.")
adjusted_momentum = flag(
    "adjusted_momentum", False, doc="Scale the velocity by the rate of this step, as torch does."
)

rate, descent, velocity = series("rate"), series("descent"), series("velocity")
b = series("b", saved_as="momentum_buffer")

AliG = OptimizerSpec(
    "AliG",
    reading="paper",
    paper="Berrada, Zisserman & Kumar 2020, arXiv:1906.05661, Algorithm 1",
    summary="Adaptive learning rates for interpolation with gradients, from the loss.",
    notes=f"{LOSSES} The loss is to be at least 0, and to vanish at the best weights.",
    arguments=(lr, momentum, adjusted_momentum, eps),
    equations=(
        Eq(rate[t], Min(loss / (over_group(total(grad[t] ** 2)) + eps), lr)),
        Eq(descent[t], -rate[t] * grad[t]),
        Eq(b[t], momentum * b[t - 1] + when(adjusted_momentum, -grad[t], descent[t])),
        Eq(velocity[t], when(adjusted_momentum, rate[t] * b[t], b[t])),
        Eq(w[t], w[t - 1] + descent[t] + momentum * velocity[t]),
    ),
    saved_elsewhere={
        "pytorch_optimizer": {"momentum_buffer": b[t], "max_lr": lr, "step_size": ()},
    },
)

max_lr = hyper("lr", 1.0, at_least=0, doc="The largest learning rate, before it is scaled.")
scaling = hyper("scaling", 1.0, at_least=0, doc="Factor of every step.")
f_min = hyper("f_min", 0.0, doc="The smallest value of the loss, or a guess of it.")
no_eps = hyper("eps", 0.0, at_least=0, doc="Added to the squared norm of the gradient.")
positive = flag("positive", False, doc="Stay where the loss is below f_min (SPS+).")

gap, squares = series("gap"), series("squares")

PolyakSGD = OptimizerSpec(
    "PolyakSGD",
    reading="paper",
    paper="Loizou, Vaswani, Laradji & Lacoste-Julien 2021, arXiv:2002.10542, equation (3); "
    "the variant of Garrigos, Gower & Schaipp 2023, arXiv:2307.14528",
    summary="SGD with a stochastic Polyak step size (SPS).",
    notes=LOSSES,
    arguments=(max_lr, scaling, f_min, no_eps, positive),
    equations=(
        Eq(gap[t], when(positive, Max(loss - f_min, 0), loss - f_min)),
        Eq(squares[t], over_group(total(grad[t] ** 2)) + no_eps),
        Eq(rate[t], when(squares[t] <= Rational(1, 2**52), 0, Min(gap[t] / squares[t], max_lr))),
        Eq(w[t], w[t - 1] - scaling * rate[t] * grad[t]),
    ),
)

PolyakSGD.dialect(
    "optax",
    paper="optax.polyak_sgd 0.2.8",
    notes="The gradient is scaled before its norm is taken, which optax does not document.",
    replace=(Eq(squares[t], over_group(total((scaling * grad[t]) ** 2)) + no_eps),),
)
