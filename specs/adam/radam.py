"""RAdam: Adam with a rectified adaptive learning rate."""

from lucidgen.spec import Eq, flag, grad, keyword_only, series, sqrt, t, w, when
from lucidgen.specs.adam import (
    Adam,
    beta2,
    betas,
    eps,
    eps_root,
    g,
    in_optax,
    lr,
    m_hat,
    v,
    v_hat,
    v_max,
    weight_decay,
)

decoupled_weight_decay = flag(
    "decoupled_weight_decay",
    False,
    doc="Whether the decay acts on the parameter, as in AdamW, and not through the gradient.",
)

rho_inf, rho = series("rho_inf"), series("rho")
rect = series("rect")
w_decayed = series("w_decayed")

#: How much the variance of the adaptive learning rate is known, and what makes up for it.
rectification = (
    Eq(rho_inf[t], 2 / (1 - beta2) - 1),
    Eq(rho[t], rho_inf[t] - 2 * t * beta2**t / (1 - beta2**t)),
    Eq(
        rect[t],
        sqrt(
            (rho[t] - 4)
            * (rho[t] - 2)
            * rho_inf[t]
            / ((rho_inf[t] - 4) * (rho_inf[t] - 2) * rho[t])
        ),
    ),
)

RAdam = Adam.variant(
    "RAdam",
    reading="torch",
    paper="Liu et al. 2020, arXiv:1908.03265, Algorithm 2; torch's reading",
    summary="Adam whose adaptive learning rate is rectified while its variance is unknown.",
    arguments=(lr, betas, eps, weight_decay, decoupled_weight_decay, keyword_only, eps_root),
    torch_keys={},
    drop=(v_max[t], v_hat[t]),
    replace=(
        Eq(g[t], when(decoupled_weight_decay, grad[t], grad[t] + weight_decay * w[t - 1])),
        Eq(
            w[t],
            w_decayed[t]
            - lr
            * m_hat[t]
            * when(rho[t] > 5, rect[t] * sqrt(1 - beta2**t) / (sqrt(v[t]) + eps), 1),
        ),
    ),
    add=(
        *rectification,
        Eq(
            w_decayed[t],
            when(decoupled_weight_decay, (1 - lr * weight_decay) * w[t - 1], w[t - 1]),
        ),
    ),
)

v_correction = Eq(v_hat[t], v[t] / (1 - beta2**t))

RAdam.dialect(
    "paper",
    paper="Liu et al. 2020, arXiv:1908.03265, Algorithm 2",
    notes="Rectified from rho > 4. The paper has no eps; eps=0 is its formula to the letter.",
    drop=(w_decayed[t],),
    add=(v_correction,),
    replace=(
        Eq(g[t], grad[t]),
        Eq(
            w[t],
            w[t - 1] - lr * m_hat[t] * when(rho[t] > 4, rect[t] / (sqrt(v_hat[t]) + eps), 1),
        ),
    ),
)

# The log prints code for the rectification, and the code lacks rho_t in its denominator.
devlog = RAdam.dialect(
    "devlog",
    paper="Lucid's development log, 2025-12-12",
    notes="Rectified from rho > 4, by a factor that lacks rho in its denominator.",
    drop=(w_decayed[t],),
    add=(v_correction,),
    replace=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(
            rect[t],
            sqrt((rho[t] - 4) * (rho[t] - 2) * rho_inf[t] / ((rho_inf[t] - 4) * (rho_inf[t] - 2))),
        ),
        Eq(
            w[t],
            w[t - 1] - lr * m_hat[t] * when(rho[t] > 4, rect[t] / (sqrt(v_hat[t]) + eps), 1),
        ),
    ),
)

RAdam.dialect(
    "lucid2",
    base=devlog,
    paper="lucid-dl 2.9.0, lucid/optim/adam.py",
    notes="As the development log prints it: the step is far too large late in training.",
)

RAdam.dialect(
    "optax",
    paper="optax 0.2.8, optax.radam",
    notes="Rectified from rho >= 5.",
    saved_elsewhere={"optax": in_optax},
    drop=(w_decayed[t],),
    add=(v_correction,),
    replace=(
        Eq(g[t], grad[t]),
        Eq(
            w[t],
            w[t - 1]
            - lr * m_hat[t] * when(rho[t] >= 5, rect[t] / (sqrt(v_hat[t] + eps_root) + eps), 1),
        ),
    ),
)
