"""Aida: AdaBelief whose belief is about gradient and momentum projected onto each other."""

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    Rational,
    grad,
    hyper,
    series,
    sqrt,
    t,
    total,
    w,
    when,
    where,
)
from lucidgen.specs.adam import amsgrad, beta1, beta2, betas, eps, lr, m, m_hat, v_hat

weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
xi = hyper("xi", 1e-20, at_least=0, doc="Keeps projections finite.")

#: How often the two are projected onto each other; what is saved and the cost depend on it.
K = 2

g = series("g")
s = series("s", saved_as="exp_avg_var")
s_max = series("s_max", saved_as="max_exp_avg_var")
p_g = [g, *(series(f"g_{k}") for k in range(1, K + 1))]
p_m = [m, *(series(f"m_{k}") for k in range(1, K + 1))]
dots = [series(f"dot_{k}") for k in range(1, K + 1)]


def projections() -> list[Eq]:
    """Gradient and momentum after each projection, and their inner product before it."""
    found = []
    for k, dot in enumerate(dots):
        own_g, own_m = p_g[k][t], p_m[k][t]
        found += [
            Eq(dot[t], total(own_g * own_m)),
            Eq(p_g[k + 1][t], dot[t] / (total(own_g**2) + xi) * own_g),
            Eq(p_m[k + 1][t], dot[t] / (total(own_m**2) + xi) * own_m),
        ]
    return found


Aida = OptimizerSpec(
    "Aida",
    reading="paper",
    paper="Zhang, Niwa & Kleijn 2022, arXiv:2203.13273, Algorithm 1, with K = 2",
    summary="Aida: AdaBelief with gradient and momentum projected onto each other, twice.",
    arguments=(lr, betas, eps, weight_decay, xi, amsgrad),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t]),
        *projections(),
        Eq(s[t], beta2 * s[t - 1] + (1 - beta2) * (p_m[K][t] - p_g[K][t]) ** 2 + eps),
        Eq(s_max[t], Max(s_max[t - 1], s[t])),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], when(amsgrad, s_max[t], s[t]) / (1 - beta2**t)),
        Eq(w[t], w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

Aida.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/aida.py",
    notes="eps is added before the bias correction, too, and 1e-15 under the root.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_var": s[t],
            "max_exp_avg_var": s_max[t],
            "ams_bound": amsgrad,
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
            "rectify": False,
        }
    },
    drop=(m_hat[t], v_hat[t]),
    replace=(
        Eq(
            w[t],
            w[t - 1]
            - lr
            * sqrt(1 - beta2**t)
            / (1 - beta1**t)
            * m[t]
            / (sqrt(when(amsgrad, s_max[t], s[t]) + Rational(1, 10**15)) + eps),
        ),
    ),
)
