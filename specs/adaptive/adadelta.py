"""Adadelta: steps in the unit of the parameter, without a learning rate to choose."""

from lucidgen.spec import Bounds, Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w

lr = hyper("lr", 1.0, at_least=0, doc="Factor of the step.")
rho = hyper("rho", 0.9, at_least=0, at_most=1, doc="Decay rate of the moving averages.")
eps = hyper("eps", 1e-6, at_least=0, doc="Added under both roots: it sets the first steps going.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")

g, delta = series("g"), series("delta")
v = series("v", saved_as="square_avg")
u = series("u", saved_as="acc_delta")

in_mlx = {"v": v[t], "u": u[t]}
in_keras = {"accumulated_grad": v[t], "accumulated_delta_var": u[t]}

Adadelta = OptimizerSpec(
    "Adadelta",
    reading="torch",
    also_called=("AdaDelta",),
    paper="Zeiler 2012, arXiv:1212.5701, Algorithm 1",
    summary="Steps as large as the recent ones, scaled by the gradient's recent size.",
    arguments=(lr, rho, eps, weight_decay),
    counts_steps=True,
    saved_elsewhere={
        "mlx": in_mlx,
        "keras": in_keras,
        "optax": {"e_g": v[t], "e_x": u[t]},
    },
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(v[t], rho * v[t - 1] + (1 - rho) * g[t] ** 2),
        Eq(delta[t], sqrt(u[t - 1] + eps) / sqrt(v[t] + eps) * g[t]),
        Eq(u[t], rho * u[t - 1] + (1 - rho) * delta[t] ** 2),
        Eq(w[t], w[t - 1] - lr * delta[t]),
    ),
)

Adadelta.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/ada.py",
    notes="The averages are saved under other keys.",
    saved_as={v: "sq_avg", u: "accumulated_update"},
)

Adadelta.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.Adadelta",
    notes="The decay acts on the parameter.",
    saved_elsewhere={"keras": in_keras},
    defaults={"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
    replace=(
        Eq(g[t], grad[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * delta[t]),
    ),
)

Adadelta.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.AdaDelta",
    saved_elsewhere={"mlx": in_mlx},
    bounds={"lr": Bounds(), "rho": Bounds(at_least=0), "eps": Bounds(above=0)},
    replace=(Eq(g[t], grad[t]),),
)
