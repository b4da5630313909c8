"""Lion: the sign of an interpolated momentum, found by a search over programs."""

from lucidgen.spec import Bounds, Eq, OptimizerSpec, grad, hyper, series, sign, t, w, where

lr = hyper("lr", 1e-4, at_least=0, doc="Learning rate; 3 to 10 times smaller than AdamW's.")
beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.99),
    at_least=0,
    below=1,
    doc="Decay rates of the momentum: as the update reads it, and as it is kept.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

c = series("c")
m = series("m", saved_as="exp_avg")

in_mlx = {"m": m[t]}

Lion = OptimizerSpec(
    "Lion",
    reading="paper",
    paper="Chen et al. 2023, arXiv:2302.06675, Algorithm 2",
    summary="Lion: every element moves by lr, in the direction of an interpolated momentum.",
    notes="The weight decay is decoupled. optax 0.2.8, keras 3.15, MLX 0.32 and pytorch_optimizer "
    "4.1 compute the same; the defaults of optax's weight_decay and keras's lr are 1e-3.",
    arguments=(lr, betas, weight_decay),
    saved_elsewhere={
        "mlx": in_mlx,
        "keras": {"momentum": m[t]},
        "optax": {"mu": m[t]},
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        },
    },
    equations=(
        Eq(c[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(m[t], beta2 * m[t - 1] + (1 - beta2) * grad[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * sign(c[t])),
    ),
)

Lion.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.Lion",
    saved_elsewhere={"mlx": in_mlx},
    bounds={"lr": Bounds()},
)
