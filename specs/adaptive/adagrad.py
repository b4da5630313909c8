"""Adagrad: a learning rate for every element, from the sum of its squared gradients."""

from lucidgen.spec import Bounds, Eq, OptimizerSpec, grad, hyper, keyword_only, series, sqrt, t, w

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
lr_decay = hyper("lr_decay", 0.0, at_least=0, doc="Decay of the learning rate with the steps.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
initial_accumulator_value = hyper(
    "initial_accumulator_value", 0.0, at_least=0, doc="What the sum of squares starts from."
)
eps = hyper("eps", 1e-10, at_least=0, doc="Added to the denominator for numerical stability.")

g, eta = series("g"), series("eta")
s = series("s", saved_as="sum")

in_mlx, in_keras, in_optax = {"v": s[t]}, {"accumulator": s[t]}, {"sum_of_squares": s[t]}

Adagrad = OptimizerSpec(
    "Adagrad",
    reading="torch",
    paper="Duchi, Hazan & Singer 2011, JMLR 12, Figure 1 with diagonal matrices; torch's reading",
    summary="Learning rates that fall with the sum of the squared gradients.",
    counts_steps=True,
    saved_elsewhere={"mlx": in_mlx},
    # Positions end here: torch's second is lr_decay, Lucid 2's is eps.
    arguments=(lr, keyword_only, lr_decay, weight_decay, initial_accumulator_value, eps),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(eta[t], lr / (1 + (t - 1) * lr_decay)),
        Eq(s[0], initial_accumulator_value),
        Eq(s[t], s[t - 1] + g[t] ** 2),
        Eq(w[t], w[t - 1] - eta[t] * g[t] / (sqrt(s[t]) + eps)),
    ),
)

Adagrad.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/ada.py",
    notes="The sum is saved under another key.",
    saved_as={s: "sum_sq_grad"},
    drop=(eta[t],),
    replace=(Eq(w[t], w[t - 1] - lr * g[t] / (sqrt(s[t]) + eps)),),
)

keras = Adagrad.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.Adagrad",
    notes="eps is added under the root. The decay acts on the parameter.",
    saved_elsewhere={"keras": in_keras, "optax": in_optax},
    defaults={"lr": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7},
    drop=(g[t], eta[t]),
    replace=(
        Eq(s[t], s[t - 1] + grad[t] ** 2),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * grad[t] / sqrt(s[t] + eps)),
    ),
)

Adagrad.dialect(
    "optax",
    base=keras,
    paper="optax 0.2.8, optax.adagrad",
    notes="eps is added under the root.",
    saved_elsewhere={"keras": in_keras, "optax": in_optax},
    defaults={"lr": 1e-2},
    replace=(Eq(w[t], w[t - 1] - lr * grad[t] / sqrt(s[t] + eps)),),
)

Adagrad.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.Adagrad",
    saved_elsewhere={"mlx": in_mlx},
    defaults={"eps": 1e-8},
    bounds={"lr": Bounds(), "eps": Bounds(above=0)},
)
