"""Adamax: Adam with the infinity norm of past gradients."""

from lucidgen.spec import Abs, Bounds, Eq, Max, grad, series, t, w
from lucidgen.specs.adam import (
    Adam,
    beta2,
    betas,
    eps,
    g,
    lr,
    m,
    m_hat,
    v,
    v_hat,
    v_max,
    weight_decay,
)

u = series("u", saved_as="exp_inf")

in_keras = {"momentum": m[t], "norm": u[t]}
in_optax = {"mu": m[t], "nu": u[t]}

Adamax = Adam.variant(
    "Adamax",
    reading="torch",
    paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2; torch's reading",
    summary="Adam with the infinity norm of the gradients in place of their second moment.",
    arguments=(lr, betas, eps, weight_decay),
    defaults={"lr": 2e-3},
    torch_keys={},
    saved_elsewhere={"optax": in_optax},
    drop=(v[t], v_hat[t], v_max[t]),
    add=(Eq(u[t], Max(beta2 * u[t - 1], Abs(g[t]) + eps)),),
    replace=(Eq(w[t], w[t - 1] - lr * m_hat[t] / u[t]),),
)

Adamax.dialect(
    "paper",
    paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2",
    notes="Without eps, an element whose gradients have all been zero becomes NaN.",
    replace=(
        Eq(g[t], grad[t]),
        Eq(u[t], Max(beta2 * u[t - 1], Abs(g[t]))),
    ),
)

lucid2 = Adamax.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/ada.py",
    notes="eps is added in the denominator and not to the gradient.",
    saved_elsewhere={"keras": in_keras},
    replace=(
        Eq(u[t], Max(beta2 * u[t - 1], Abs(g[t]))),
        Eq(w[t], w[t - 1] - lr * m_hat[t] / (u[t] + eps)),
    ),
)

Adamax.dialect(
    "keras",
    base=lucid2,
    paper="keras 3.15, keras.optimizers.Adamax",
    notes="eps is added in the denominator. The decay acts on the parameter.",
    saved_elsewhere={"keras": in_keras},
    defaults={"lr": 1e-3, "eps": 1e-7},
    replace=(
        Eq(g[t], grad[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (u[t] + eps)),
    ),
)

Adamax.dialect(
    "optax",
    paper="optax 0.2.8, optax.adamax and optax.adamaxw",
    notes="The decay acts on the parameter.",
    saved_elsewhere={"optax": in_optax},
    replace=(
        Eq(g[t], grad[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / u[t]),
    ),
)

Adamax.dialect(
    "mlx",
    base=lucid2,
    paper="mlx 0.32, mlx.optimizers.Adamax",
    notes="No bias correction.",
    saved_elsewhere={"mlx": {"m": m[t], "v": u[t]}},
    counts_steps=True,
    bounds={"lr": Bounds()},
    drop=(m_hat[t],),
    replace=(
        Eq(g[t], grad[t]),
        Eq(w[t], w[t - 1] - lr * m[t] / (u[t] + eps)),
    ),
)
