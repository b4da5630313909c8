"""LAMB: Adam's step, in each tensor as long as its weights."""

from lucidgen.spec import (
    Eq,
    Min,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    norm,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import beta1, beta2, betas, lr, m, m_hat, v, v_hat

eps = hyper("eps", 1e-6, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
grad_averaging = flag(
    "grad_averaging", True, doc="Whether m is an average of gradients, and not a sum."
)

r, u, w_decayed = series("r"), series("u"), series("w_decayed")
w_norm, u_norm, trust_ratio = series("w_norm"), series("u_norm"), series("trust_ratio")

LAMB = OptimizerSpec(
    "LAMB",
    reading="paper",
    paper="You et al. 2020, arXiv:1904.00962, Algorithm 2, with phi(z) = z",
    summary="LAMB: Adam whose step is as long, in each tensor, as its weights.",
    notes="A tensor whose weights or whose step is zero takes the step as it is. optax 0.2.8 "
    "computes the same.",
    arguments=(lr, betas, eps, weight_decay, grad_averaging),
    saved_elsewhere={"optax": {"mu": m[t], "nu": v[t]}},
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(r[t], m_hat[t] / (sqrt(v_hat[t]) + eps)),
        Eq(u[t], r[t] + weight_decay * w[t - 1]),
        Eq(w_norm[t], norm(w[t - 1])),
        Eq(u_norm[t], norm(u[t])),
        Eq(
            trust_ratio[t],
            when((w_norm[t] > 0) & (u_norm[t] > 0), w_norm[t] / u_norm[t], 1),
        ),
        Eq(w[t], w[t - 1] - lr * trust_ratio[t] * u[t]),
    ),
)

LAMB.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/lamb.py",
    notes="v has no bias correction, and that of m comes after the trust ratio. The decay is "
    "decoupled and comes first, and weights count as no longer than 10.",
    drop=(m_hat[t], v_hat[t], r[t]),
    add=(Eq(w_decayed[t], (1 - lr * weight_decay) * w[t - 1]),),
    replace=(
        Eq(m[t], beta1 * m[t - 1] + when(grad_averaging, 1 - beta1, 1) * grad[t]),
        Eq(u[t], m[t] / (sqrt(v[t]) + eps)),
        Eq(w_norm[t], Min(norm(w_decayed[t]), 10)),
        Eq(
            trust_ratio[t],
            when((w_norm[t] > 0) & (u_norm[t] > 0), w_norm[t] / (u_norm[t] + eps), 1),
        ),
        Eq(w[t], w_decayed[t] - lr / (1 - beta1**t) * trust_ratio[t] * u[t]),
    ),
)
