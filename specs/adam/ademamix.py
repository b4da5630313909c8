"""AdEMAMix: AdamW with a second, slow moving average of the gradient."""

from lucidgen.spec import Eq, OptimizerSpec, exp, grad, hyper, log, series, sqrt, t, w, when, where
from lucidgen.specs.adam import eps, lr, m, m_hat, v, v_hat

beta1, beta2, beta3 = betas = hyper(
    "betas",
    (0.9, 0.999, 0.9999),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the gradient, of its square and, slowly, of the "
    "gradient again.",
)
alpha = hyper("alpha", 5.0, at_least=0, doc="Weight of the slow moving average.")
alpha_warmup = hyper("alpha_warmup", 0, at_least=0, doc="Steps in which alpha grows from 0.")
beta3_warmup = hyper(
    "beta3_warmup", 0, at_least=0, doc="Steps in which the third of betas grows from the first."
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

alpha_now, beta3_now = series("alpha_now"), series("beta3_now")
m_slow = series("m_slow", saved_as="exp_avg_slow")

AdEMAMix = OptimizerSpec(
    "AdEMAMix",
    reading="paper",
    paper="Pagliardini, Ablin & Grangier 2024, arXiv:2409.03137, Algorithm 1",
    summary="AdEMAMix: AdamW with a mixture of two moving averages of the gradient.",
    notes="The weight decay is decoupled. The warmup of beta3 makes the half-life of the slow "
    "moving average grow linearly. optax 0.2.8 and, with weight_decouple=True, pytorch_optimizer "
    "4.1 compute the same; the default of alpha is theirs, where the authors' code has 2.",
    arguments=(lr, betas, alpha, alpha_warmup, beta3_warmup, eps, weight_decay),
    saved_elsewhere={
        "optax": {"m1": m[t], "m2": m_slow[t], "nu": v[t]},
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_slow": m_slow[t],
            "exp_avg_sq": v[t],
            "t_alpha_beta3": (alpha_warmup, beta3_warmup),
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        },
    },
    equations=(
        Eq(alpha_now[t], when(t < alpha_warmup, alpha * t / alpha_warmup, alpha)),
        Eq(
            beta3_now[t],
            when(
                t < beta3_warmup,
                exp(beta3_warmup / ((beta3_warmup - t) / log(beta1) + t / log(beta3))),
                beta3,
            ),
        ),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(m_slow[t], beta3_now[t] * m_slow[t - 1] + (1 - beta3_now[t]) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr * (m_hat[t] + alpha_now[t] * m_slow[t]) / (sqrt(v_hat[t]) + eps),
        ),
    ),
)
