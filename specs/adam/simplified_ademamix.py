"""SimplifiedAdEMAMix: AdEMAMix with one sum of gradients and the gradient itself."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    Rational,
    exp,
    grad,
    hyper,
    log,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adabelief import weight_decay
from lucidgen.specs.adam import eps, m, v, v_hat

lr = hyper("lr", 1e-4, at_least=0, doc="Learning rate; some (1 - beta1) times AdamW's.")
beta1, beta2 = betas = hyper(
    "betas",
    (0.99, 0.95),
    names=("beta1", "beta2"),
    above=0,
    below=1,
    doc="Decay rates of the sum of gradients and of the moving average of squares.",
)
alpha = hyper("alpha", 0.0, at_least=0, doc="Weight of the gradient beside the sum.")
beta1_warmup = hyper(
    "beta1_warmup", 0, at_least=0, doc="Steps in which the first of betas grows from min_beta1."
)
min_beta1 = hyper("min_beta1", 0.9, above=0, below=1, doc="The first of betas before its warmup.")
beta1_now = series("beta1_now")

SimplifiedAdEMAMix = OptimizerSpec(
    "SimplifiedAdEMAMix",
    reading="paper",
    paper="Morwani et al. 2025, arXiv:2502.02431, Algorithm 2",
    summary="AdEMAMix with one sum of gradients, and the gradient itself in place of the fast one.",
    notes="The gradients are summed and not averaged. The weight decay is decoupled. The warmup "
    "makes the half-life of the sum grow linearly. optax 0.2.8 computes the same, without it.",
    saved_elsewhere={"optax": {"m": m[t], "n": v[t]}},
    arguments=(lr, betas, alpha, beta1_warmup, min_beta1, eps, weight_decay),
    equations=(
        Eq(
            beta1_now[t],
            when(
                t < beta1_warmup,
                exp(beta1_warmup / ((beta1_warmup - t) / log(min_beta1) + t / log(beta1))),
                beta1,
            ),
        ),
        Eq(m[t], beta1_now[t] * m[t - 1] + grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr * (m[t] + alpha * grad[t]) / (sqrt(v_hat[t]) + eps),
        ),
    ),
)

tiny = Rational(1, 10**8)
correction = series("correction", saved_as="den_sum")

SimplifiedAdEMAMix.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/ademamix.py",
    notes="The gradients are averaged, and the correction of the bias is upside down: early steps "
    "are too large by 1 / (1 - beta2^t).",
    drop=(v_hat[t],),
    add=(Eq(correction[t], beta2 * correction[t - 1] + 1 - beta2),),
    replace=(
        Eq(
            beta1_now[t],
            when(
                t < beta1_warmup,
                exp(
                    beta1_warmup
                    / ((beta1_warmup - t) / log(min_beta1 + tiny) + t / log(beta1 + tiny))
                ),
                beta1,
            ),
        ),
        Eq(m[t], beta1_now[t] * m[t - 1] + (1 - beta1_now[t]) * grad[t]),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr
            * (m[t] + alpha * grad[t])
            / sqrt(correction[t])
            / (sqrt(v[t]) + sqrt(correction[t]) * eps),
        ),
    ),
)
