"""RMSprop, plain, with momentum, and centered."""

from lucidgen.spec import (
    Bounds,
    Eq,
    Max,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    keyword_only,
    series,
    sqrt,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
alpha = hyper("alpha", 0.99, at_least=0, at_most=1, doc="Decay rate of the moving averages.")
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
momentum = hyper("momentum", 0.0, at_least=0, special=0, doc="Momentum factor.")
centered = flag(
    "centered", False, doc="Whether to divide by the gradient's deviation, not by its size."
)
clamp = flag(
    "clamp",
    True,
    doc="Whether the variance of `centered` is kept from falling below 0 by rounding. Where it "
    "does, as after some 1200 equal gradients, torch goes on with NaN, and so does False.",
)

g, scaled, variance = series("g"), series("scaled"), series("variance")
v = series("v", saved_as="square_avg")
g_avg = series("g_avg", saved_as="grad_avg")
b = series("b", saved_as="momentum_buffer")

in_keras = {"velocity": v[t], "average_gradient": g_avg[t], "momentum": b[t]}
in_optax = {"mu": g_avg[t], "nu": v[t], "trace": b[t]}

RMSprop = OptimizerSpec(
    "RMSprop",
    reading="torch",
    paper="Tieleman & Hinton 2012, Coursera lecture 6.5; centered: Graves 2013, arXiv:1308.0850; "
    "torch's reading",
    summary="Gradients divided by a moving average of their size.",
    # Torch's next position is capturable.
    arguments=(lr, alpha, eps, weight_decay, momentum, centered, keyword_only, clamp),
    counts_steps=True,
    saved_elsewhere={"mlx": {"v": v[t]}},
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(v[t], alpha * v[t - 1] + (1 - alpha) * g[t] ** 2),
        Eq(g_avg[t], alpha * g_avg[t - 1] + (1 - alpha) * g[t]),
        Eq(
            variance[t],
            when(
                centered,
                when(clamp, Max(v[t] - g_avg[t] ** 2, 0), v[t] - g_avg[t] ** 2),
                v[t],
            ),
        ),
        Eq(scaled[t], g[t] / (sqrt(variance[t]) + eps)),
        Eq(b[t], momentum * b[t - 1] + scaled[t]),
        Eq(w[t], w[t - 1] - lr * when(momentum, b[t], scaled[t])),
    ),
)

unclamped = Eq(variance[t], when(centered, v[t] - g_avg[t] ** 2, v[t]))
eps_inside = Eq(scaled[t], g[t] / sqrt(variance[t] + eps))

RMSprop.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/prop.py",
    notes="eps is added under the root.",
    saved_elsewhere={
        "keras": {**in_keras, "momentum": lr * b[t]},
        "optax": {**in_optax, "trace": -lr * b[t]},
    },
    replace=(unclamped, eps_inside),
)

w_decayed = series("w_decayed")

RMSprop.dialect(
    "paper",
    paper="Graves 2013, arXiv:1308.0850, equations (38) to (41)",
    notes="eps is added under the root; the momentum buffer holds the learning rate.",
    saved_elsewhere={"torch": {"momentum_buffer": -b[t] / lr}},
    defaults={"lr": 1e-4, "alpha": 0.95, "eps": 1e-4, "momentum": 0.9, "centered": True},
    replace=(
        Eq(g[t], grad[t]),
        unclamped,
        eps_inside,
        Eq(b[t], momentum * b[t - 1] - lr * scaled[t]),
        Eq(w[t], w[t - 1] + when(momentum, b[t], -lr * scaled[t])),
    ),
)

RMSprop.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.RMSprop",
    notes="eps is added under the root; the momentum buffer holds the learning rate. The decay "
    "acts on the parameter.",
    saved_elsewhere={
        "keras": in_keras,
        "optax": {**in_optax, "trace": -b[t]},
        "torch": {"momentum_buffer": b[t] / lr},
    },
    defaults={"lr": 1e-3, "alpha": 0.9, "eps": 1e-7},
    add=(Eq(w_decayed[t], (1 - lr * weight_decay) * w[t - 1]),),
    replace=(
        Eq(g[t], grad[t]),
        unclamped,
        eps_inside,
        Eq(b[t], momentum * b[t - 1] + lr * scaled[t]),
        Eq(w[t], w_decayed[t] - when(momentum, b[t], lr * scaled[t])),
    ),
)

RMSprop.dialect(
    "optax",
    paper="optax 0.2.8, optax.rmsprop",
    notes="eps is added under the root; the momentum buffer holds the learning rate, and its sign.",
    saved_elsewhere={"optax": in_optax, "torch": {"momentum_buffer": -b[t] / lr}},
    defaults={"alpha": 0.9},
    replace=(
        Eq(g[t], grad[t]),
        unclamped,
        eps_inside,
        Eq(b[t], momentum * b[t - 1] - lr * scaled[t]),
        Eq(w[t], w[t - 1] + when(momentum, b[t], -lr * scaled[t])),
    ),
)

RMSprop.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.RMSprop",
    saved_elsewhere={"mlx": {"v": v[t]}},
    bounds={"lr": Bounds(), "alpha": Bounds(at_least=0), "eps": Bounds(above=0)},
    drop=(g[t], g_avg[t], variance[t], scaled[t], b[t]),
    replace=(
        Eq(v[t], alpha * v[t - 1] + (1 - alpha) * grad[t] ** 2),
        Eq(w[t], w[t - 1] - lr * grad[t] / (sqrt(v[t]) + eps)),
    ),
)
