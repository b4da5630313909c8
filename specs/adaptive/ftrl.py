"""FTRL-Proximal: follow the regularised leader, whose weights are sparse."""

from lucidgen.spec import Abs, Eq, OptimizerSpec, grad, hyper, series, sign, sqrt, t, w, when

lr = hyper("lr", 1e-3, above=0, doc="Learning rate.")
lr_power = hyper(
    "lr_power", -0.5, at_most=0, special=-0.5, doc="Power with which the learning rate falls."
)
beta = hyper("beta", 0.0, at_least=0, doc="Added to the root of the sum of squares.")
lambda_1 = hyper("lambda_1", 0.0, at_least=0, doc="L1 penalty: what is below it becomes 0.")
lambda_2 = hyper("lambda_2", 0.0, at_least=0, doc="L2 penalty.")
initial_accumulator_value = hyper(
    "initial_accumulator_value", 0.0, at_least=0, doc="What the sum of squares starts from."
)

sigma, root, root_before = series("sigma"), series("root"), series("root_before")
n, z = series("n"), series("z")

FTRL = OptimizerSpec(
    "FTRL",
    reading="paper",
    also_called=("Ftrl",),
    paper="McMahan et al. 2013, Proc. KDD, Ad Click Prediction: a View from the Trenches, "
    "Algorithm 1",
    summary="FTRL-Proximal: per-coordinate learning rates, and weights that are exactly 0.",
    notes="Weights follow from the sums alone: those that are set by hand are forgotten. The "
    "paper's lr_power is -1/2. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, lr_power, beta, lambda_1, lambda_2, initial_accumulator_value),
    saved_elsewhere={"pytorch_optimizer": {"n": n[t], "z": z[t]}},
    equations=(
        Eq(n[0], initial_accumulator_value),
        Eq(n[t], n[t - 1] + grad[t] ** 2),
        Eq(root[t], when(lr_power, n[t] ** -lr_power, sqrt(n[t]))),
        Eq(root_before[t], when(lr_power, n[t - 1] ** -lr_power, sqrt(n[t - 1]))),
        Eq(sigma[t], (root[t] - root_before[t]) / lr),
        Eq(z[t], z[t - 1] + grad[t] - sigma[t] * w[t - 1]),
        Eq(
            w[t],
            when(
                Abs(z[t]) <= lambda_1,
                0,
                (sign(z[t]) * lambda_1 - z[t]) / ((beta + sqrt(n[t])) / lr + lambda_2),
            ),
        ),
    ),
)

FTRL.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.Ftrl",
    notes="The power is in the denominator too, and the L2 penalty counts twice. There is no "
    "shrinkage here.",
    saved_elsewhere={"keras": {"accumulator": n[t], "linear": z[t]}},
    defaults={"initial_accumulator_value": 0.1},
    replace=(
        Eq(
            w[t],
            when(
                Abs(z[t]) <= lambda_1,
                0,
                (sign(z[t]) * lambda_1 - z[t]) / ((beta + root[t]) / lr + 2 * lambda_2),
            ),
        ),
    ),
)
