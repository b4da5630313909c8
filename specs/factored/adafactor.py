"""Adafactor: the second moment of a matrix from the averages of its rows and of its columns."""

from lucidgen.spec import (
    Bounds,
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    column_mean,
    flag,
    grad,
    hyper,
    keyword_only,
    mean,
    ndim,
    row_mean,
    series,
    sqrt,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate, relative to the size of the weights.")
beta2_decay = hyper(
    "beta2_decay", -0.8, at_most=0, doc="Decay rate of the second moment: 1 - t**beta2_decay."
)
eps1, eps2 = eps = hyper(
    "eps",
    (2**-23, 1e-3),
    names=("eps1", "eps2"),
    at_least=0,
    doc="The least root mean square of gradients, and that of the weights that steps are relative "
    "to. torch's None for the first is 2**-23 for float32 and 2**-52 for float64.",
)
d = hyper("d", 1.0, at_least=1, doc="The largest root mean square of an update.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay.")
beta1 = hyper(
    "beta1", 0.0, at_least=0, below=1, special=0, doc="Decay rate of an average of the updates."
)
scale_parameter = flag(
    "scale_parameter", True, doc="Whether steps are relative to the size of the weights."
)
relative_step = flag("relative_step", True, doc="Whether the time alone says how large steps are.")
warmup_init = flag("warmup_init", False, doc="Whether relative steps begin small.")

rho, alpha, g2 = series("rho"), series("alpha"), series("g2")
r = series("r", saved_as="row_var")
c = series("c", saved_as="col_var")
v = series("v", saved_as="variance")
v_hat, u, u_hat = series("v_hat"), series("u"), series("u_hat")
m = series("m", saved_as="exp_avg")
decayed = series("decayed")

Adafactor = OptimizerSpec(
    "Adafactor",
    reading="torch",
    paper="Shazeer & Stern 2018, arXiv:1804.04235, Algorithms 4 and 5; torch's reading",
    summary="A second moment of matrices in the memory of one row and one column.",
    notes="What has no rows and columns keeps a whole second moment. torch saves None for the "
    "first of eps by default: write the machine epsilon of the type into such a checkpoint's "
    "groups.",
    arguments=(
        *(lr, beta2_decay, eps, d, weight_decay),
        *(keyword_only, beta1, scale_parameter, relative_step, warmup_init),
    ),
    equations=(
        Eq(rho[t], Min(lr, 1 / sqrt(t))),
        Eq(alpha[t], Max(eps2, sqrt(mean(w[t - 1] ** 2))) * rho[t]),
        Eq(g2[t], grad[t] ** 2),
        Eq(r[t], r[t - 1] + t**beta2_decay * (row_mean(g2[t]) - r[t - 1])),
        Eq(c[t], c[t - 1] + t**beta2_decay * (column_mean(g2[t]) - c[t - 1])),
        Eq(v[t], v[t - 1] + t**beta2_decay * (g2[t] - v[t - 1])),
        Eq(v_hat[t], when(ndim >= 2, r[t] * c[t] / Max(column_mean(r[t]), eps1), v[t])),
        Eq(u[t], grad[t] / sqrt(Max(v_hat[t], eps1**2))),
        Eq(u_hat[t], u[t] / Max(1, sqrt(mean(u[t] ** 2)) / d)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - alpha[t] * u_hat[t]),
    ),
)

# In the others what is averaged is never 0.
unclamped = (
    Eq(g2[t], grad[t] ** 2 + eps1),
    Eq(v_hat[t], when(ndim >= 2, r[t] * c[t] / column_mean(r[t]), v[t])),
    Eq(u[t], grad[t] / sqrt(v_hat[t])),
)

Adafactor.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.Adafactor",
    notes="eps is added to the squares. The decay comes first: steps are relative to what it "
    "leaves. relative_step has no effect: steps never exceed 1/sqrt(t).",
    defaults={"lr": 1e-3, "eps": (1e-30, 1e-3)},
    bounds={"d": Bounds(above=0)},
    ignores=(relative_step,),
    add=(Eq(decayed[t], (1 - lr * weight_decay) * w[t - 1]),),
    replace=(
        *unclamped,
        Eq(alpha[t], Max(eps2, sqrt(mean(decayed[t] ** 2))) * rho[t]),
        Eq(w[t], decayed[t] - alpha[t] * u_hat[t]),
    ),
)

Adafactor.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.Adafactor",
    notes="eps is added to the squares, steps do not ask for lr by default, and the decay is "
    "relative to the size of the weights, too.",
    defaults={"eps": (1e-30, 1e-3)},
    bounds={"d": Bounds(above=0)},
    add=(Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * alpha[t] * u_hat[t]),),
    replace=(
        *unclamped,
        Eq(
            rho[t],
            when(
                relative_step,
                Min(when(warmup_init, t * Rational(1, 10**6), Rational(1, 100)), 1 / sqrt(t)),
                lr,
            ),
        ),
        Eq(alpha[t], when(scale_parameter, Max(eps2, sqrt(mean(w[t - 1] ** 2))), 1) * rho[t]),
        Eq(
            w[t],
            (1 - weight_decay * alpha[t]) * w[t - 1] - when(beta1, m[t], alpha[t] * u_hat[t]),
        ),
    ),
)
