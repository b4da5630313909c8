"""AggMo: momentum at several decay rates at once, averaged."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w, when, where

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
betas = hyper(
    "betas",
    (0.0, 0.9, 0.99),
    at_least=0,
    below=1,
    special=0,
    doc="Decay rates of the three velocities; one of 0 needs no state.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Weight decay (L2, added to the gradient)."
)

g, u = series("g"), series("u")
velocities = [
    series(f"v{i}", saved_as=f"momentum_buffer{i}") for i in range(1, len(betas.symbols) + 1)
]

AggMo = OptimizerSpec(
    "AggMo",
    reading="paper",
    paper="Lucas, Sun, Zemel & Grosse 2019, arXiv:1804.00325, AggMo",
    summary="AggMo: aggregated momentum, the mean of velocities that decay at three rates.",
    notes="pytorch_optimizer 4.1 and the authors' code compute the same, for any number of betas; "
    "here there are three.",
    arguments=(lr, betas, weight_decay),
    saved_elsewhere={
        "pytorch_optimizer": {
            **{f"momentum_buffer{i}": v[t] for i, v in enumerate(velocities, 1)},
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        *(Eq(v[t], beta * v[t - 1] + g[t]) for v, beta in zip(velocities, betas, strict=True)),
        Eq(
            u[t],
            sum(when(beta, v[t], g[t]) for v, beta in zip(velocities, betas, strict=True))
            / len(velocities),
        ),
        Eq(w[t], w[t - 1] - lr * u[t]),
    ),
)
