"""ADOPT: Adam that converges with any beta2, since it divides by the second moment before."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    OptimizerSpec,
    Rational,
    flag,
    grad,
    hyper,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import g, in_optax, lr, m, v

beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.9999),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the normalised gradient and of squared gradients.",
)
eps = hyper("eps", 1e-6, at_least=0, doc="Lower bound of the denominator.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
decoupled_weight_decay = flag(
    "decoupled_weight_decay",
    False,
    doc="Whether the decay acts on the parameter, as in AdamW, and not through the gradient.",
)
clip = flag("clip", True, doc="Whether to clip the normalised gradient.")

bound, g_normed, g_clipped = series("bound"), series("g_normed"), series("g_clipped")
w_decayed = series("w_decayed")

ADOPT = OptimizerSpec(
    "ADOPT",
    reading="paper",
    paper="Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2, with its clipping",
    summary="ADOPT: Adam with the optimal rate of convergence whatever beta2 is.",
    notes="The first step only measures the gradient: the parameter stays. optax 0.2.8 computes "
    "the same, without a decay.",
    arguments=(lr, betas, eps, weight_decay, decoupled_weight_decay, clip),
    saved_elsewhere={"optax": in_optax},
    equations=(
        Eq(g[t], when(decoupled_weight_decay, grad[t], grad[t] + weight_decay * w[t - 1])),
        Eq(g_normed[t], g[t] / Max(sqrt(v[t - 1]), eps)),
        Eq(bound[t], (t - 1) ** Rational(1, 4)),
        Eq(g_clipped[t], when(clip, Max(-bound[t], Min(g_normed[t], bound[t])), g_normed[t])),
        Eq(m[1], 0),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g_clipped[t]),
        Eq(v[1], g[1] ** 2),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(
            w_decayed[t],
            when(decoupled_weight_decay, (1 - lr * weight_decay) * w[t - 1], w[t - 1]),
        ),
        Eq(w[1], w[0]),
        Eq(w[t], w_decayed[t] - lr * m[t]),
    ),
)

ADOPT.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adopt.py",
    notes="The bound of the clipping is a step ahead, and a decoupled decay acts in the first step "
    "already.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "weight_decouple": decoupled_weight_decay,
            "fixed_decay": False,
        }
    },
    replace=(
        Eq(bound[t], t ** Rational(1, 4)),
        Eq(w[1], w_decayed[1]),
    ),
)
