"""Stochastic gradient descent, with momentum in Polyak's and in Nesterov's form."""

from lucidgen.spec import (
    Bounds,
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    keyword_only,
    series,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
momentum = hyper("momentum", 0.0, at_least=0, special=0, doc="Momentum factor.")
dampening = hyper("dampening", 0.0, special=0, doc="Dampening of the gradient in the momentum.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Weight decay (L2, added to the gradient)."
)
nesterov = flag("nesterov", False, doc="Whether to use Nesterov's momentum.")

g, u = series("g"), series("u")
b = series("b", saved_as="momentum_buffer")

SGD = OptimizerSpec(
    "SGD",
    reading="torch",
    paper="Sutskever et al. 2013, Proc. ICML (momentum and Nesterov's form at constant lr)",
    summary="Stochastic gradient descent, optionally with momentum.",
    notes="The momentum buffer starts as the first gradient, without dampening.",
    saved_elsewhere={
        "mlx": {"v": b[t]},
        "keras": {"momentum": -lr * b[t] / (1 - dampening)},
        # optax.sgd keeps a trace; a chain with optax.ema, whose debias is off, an average.
        "optax": {
            "trace": b[t] / (1 - dampening),
            "ema": (1 - momentum) * b[t] / (1 - dampening),
        },
    },
    # Positions end here: torch's third is dampening, Lucid 2's is weight_decay.
    arguments=(lr, momentum, keyword_only, dampening, weight_decay, nesterov),
    requires=(
        (
            ~nesterov | (momentum & ~dampening),
            "Nesterov momentum needs momentum > 0 and dampening == 0",
        ),
    ),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(b[1], g[1]),
        Eq(b[t], momentum * b[t - 1] + (1 - dampening) * g[t]),
        Eq(u[t], when(momentum, when(nesterov, g[t] + momentum * b[t], b[t]), g[t])),
        Eq(w[t], w[t - 1] - lr * u[t]),
    ),
)

velocity = series("velocity")
w_decayed = series("w_decayed")

SGD.dialect(
    "paper",
    paper="Sutskever et al. 2013, Proc. ICML, equations (1) and (2)",
    notes="The velocity holds the learning rate: a change of lr acts on new gradients only.",
    requires=(),
    drop=(b[1], b[t], u[t]),
    add=(Eq(velocity[t], momentum * velocity[t - 1] - lr * g[t]),),
    replace=(Eq(w[t], w[t - 1] + when(momentum, velocity[t], -lr * g[t])),),
)

SGD.dialect(
    "devlog",
    paper="Lucid's development log, 2025-12-12",
    notes="The decay stays outside the momentum buffer.",
    requires=(),
    drop=(g[t], b[1]),
    replace=(
        Eq(b[t], momentum * b[t - 1] + grad[t]),
        Eq(u[t], when(momentum, b[t], grad[t]) + weight_decay * w[t - 1]),
    ),
)

SGD.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/sgd.py",
    notes="The first buffer is the raw gradient: its decay term is lost.",
    requires=(),
    replace=(
        Eq(b[1], grad[1]),
        Eq(b[t], momentum * b[t - 1] + g[t]),
        Eq(u[t], when(momentum, b[t], g[t])),
    ),
)

SGD.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.SGD",
    notes="The momentum buffer holds the learning rate. The decay acts on the parameter.",
    defaults={"lr": 1e-2},
    saved_elsewhere={
        "keras": {"momentum": b[t]},
        "torch": {"momentum_buffer": -b[t] / lr},
    },
    requires=(),
    drop=(g[t], b[1]),
    add=(Eq(w_decayed[t], (1 - lr * weight_decay) * w[t - 1]),),
    replace=(
        Eq(b[t], momentum * b[t - 1] - lr * grad[t]),
        Eq(
            u[t],
            when(momentum, when(nesterov, momentum * b[t] - lr * grad[t], b[t]), -lr * grad[t]),
        ),
        Eq(w[t], w_decayed[t] + u[t]),
    ),
)

SGD.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.SGD",
    notes="The momentum buffer starts at 0: the first gradient is dampened too.",
    saved_elsewhere={"mlx": {"v": b[t]}},
    bounds={"lr": Bounds()},
    drop=(b[1],),
)
