"""NAdam: Adam with Nesterov momentum and a schedule for it."""

from lucidgen.spec import Eq, Rational, flag, grad, hyper, keyword_only, series, sqrt, t, w, when
from lucidgen.specs.adam import (
    Adam,
    beta1,
    beta2,
    betas,
    eps,
    eps_root,
    g,
    in_keras,
    in_optax,
    lr,
    m,
    m_hat,
    v,
    v_hat,
    v_max,
    weight_decay,
)

momentum_decay = hyper("momentum_decay", 4e-3, at_least=0, doc="Decay of the momentum schedule.")
decoupled_weight_decay = flag(
    "decoupled_weight_decay",
    False,
    doc="Whether the decay acts on the parameter, as in AdamW, and not through the gradient.",
)

mu, mu_next = series("mu"), series("mu_next")
mu_product = series("mu_product")
w_decayed = series("w_decayed")

NAdam = Adam.variant(
    "NAdam",
    reading="torch",
    paper="Dozat 2016, ICLR workshop; torch's reading",
    summary="Adam with Nesterov momentum.",
    notes="The moving average of the gradient keeps beta1; the schedule mu enters the update only.",
    arguments=(
        *(lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay),
        *(keyword_only, eps_root),
    ),
    torch_keys={},
    defaults={"lr": 2e-3},
    drop=(v_max[t],),
    replace=(
        Eq(g[t], when(decoupled_weight_decay, grad[t], grad[t] + weight_decay * w[t - 1])),
        Eq(
            m_hat[t],
            mu_next[t] * m[t] / (1 - mu_product[t] * mu_next[t])
            + (1 - mu[t]) * g[t] / (1 - mu_product[t]),
        ),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(w[t], w_decayed[t] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
    add=(
        Eq(mu[t], beta1 * (1 - Rational("0.96") ** (t * momentum_decay) / 2)),
        Eq(mu_next[t], beta1 * (1 - Rational("0.96") ** ((t + 1) * momentum_decay) / 2)),
        Eq(mu_product[0], 1),
        Eq(mu_product[t], mu_product[t - 1] * mu[t]),
        Eq(
            w_decayed[t],
            when(decoupled_weight_decay, (1 - lr * weight_decay) * w[t - 1], w[t - 1]),
        ),
    ),
)

NAdam.dialect(
    "paper",
    paper="Dozat 2016, ICLR workshop, Algorithm 2",
    notes="The schedule mu also drives the moving average of the gradient.",
    drop=(w_decayed[t],),
    replace=(
        Eq(g[t], grad[t]),
        Eq(m[t], mu[t] * m[t - 1] + (1 - mu[t]) * g[t]),
        Eq(v_hat[t], beta2 * v[t] / (1 - beta2**t)),
        Eq(w[t], w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

without_schedule = {
    "drop": (mu[t], mu_next[t], mu_product[0], mu_product[t], w_decayed[t]),
}

NAdam.dialect(
    "devlog",
    paper="Lucid's development log, 2025-12-12",
    notes="No schedule of the momentum, so momentum_decay has no effect.",
    ignores=(momentum_decay,),
    **without_schedule,
    replace=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(m_hat[t], beta1 * m[t] / (1 - beta1**t) + (1 - beta1) * g[t] / (1 - beta1**t)),
        Eq(w[t], w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

NAdam.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/adam.py",
    notes="Bias is corrected twice; momentum_decay shrinks the moving average at every step.",
    **without_schedule,
    replace=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(m[t], beta1 * (1 - momentum_decay) * m[t - 1] + (1 - beta1) * g[t]),
        Eq(m_hat[t], beta1 * m[t] / (1 - beta1**t) + (1 - beta1) * g[t] / (1 - beta1**t)),
        Eq(
            w[t],
            w[t - 1] - lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m_hat[t] / (sqrt(v_hat[t]) + eps),
        ),
    ),
)

NAdam.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.Nadam",
    notes="The momentum's schedule is fast, and the decay acts on the parameter.",
    # The product of mu is one variable for all parameters, without a name of its own.
    saved_elsewhere={"keras": {**in_keras, "variable": mu_product[t]}},
    defaults={"lr": 1e-3, "eps": 1e-7, "momentum_decay": 1.0, "decoupled_weight_decay": True},
)

NAdam.dialect(
    "optax",
    paper="optax 0.2.8, optax.nadam and optax.nadamw",
    notes="No schedule of the momentum. The decay acts on the parameter.",
    saved_elsewhere={"optax": in_optax},
    drop=(mu[t], mu_next[t], mu_product[0], mu_product[t]),
    replace=(
        Eq(g[t], grad[t]),
        Eq(
            m_hat[t],
            beta1 * m[t] / (1 - beta1 ** (t + 1)) + (1 - beta1) * g[t] / (1 - beta1**t),
        ),
        Eq(w_decayed[t], (1 - lr * weight_decay) * w[t - 1]),
        Eq(w[t], w_decayed[t] - lr * m_hat[t] / (sqrt(v_hat[t] + eps_root) + eps)),
    ),
)
