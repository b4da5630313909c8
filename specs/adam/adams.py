"""AdamS: Adam that divides by its momentum and its gradient, and keeps no second moment.

Another paper has the same name for Adam with stable weight decay, which is a dialect here.
"""

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    mean,
    over_group,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import eps, lr, m, v

beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.95),
    at_least=0,
    below=1,
    doc="Decay rate of the momentum, and what its square weighs in what steps are divided by.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

weight_decouple = flag(
    "weight_decouple", True, doc="Whether the decay multiplies the weights, as in AdamW."
)
fixed_decay = flag("fixed_decay", False, doc="Whether that decay does without the learning rate.")
ams_bound = flag(
    "ams_bound", False, doc="Divide by the largest second moment so far, as AMSGrad does."
)
adam_debias = flag(
    "adam_debias", False, doc="Leave the momentum uncorrected for its bias, as AdamD does."
)

nu = series("nu")

AdamS = OptimizerSpec(
    "AdamS",
    reading="paper",
    paper="Zhang, Wang & Chen 2025, arXiv:2505.16363, Algorithm 1",
    summary="AdamS: the momentum of the last step, and the gradient, stand for the second moment.",
    notes="The decay is decoupled, and nothing is corrected for a bias. What pytorch_optimizer has "
    "under this name is Adam with stable weight decay, another optimizer: a dialect.",
    arguments=(
        *(lr, betas, eps, weight_decay),
        *(weight_decouple, fixed_decay, ams_bound, adam_debias),
    ),
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(nu[t], beta2 * m[t - 1] ** 2 + (1 - beta2) * grad[t] ** 2),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m[t] / (sqrt(nu[t]) + eps)),
    ),
)

g, v_hat, rms, decay = series("g"), series("v_hat"), series("rms"), series("decay")
v_max = series("v_max", saved_as="max_exp_avg_sq")

AdamS.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adams.py; Xie et al. 2020, arXiv:2011.11152",
    notes="Adam whose decay is relative to the root mean square of the second moments of all "
    "parameters of a group that have a gradient; the library's, to that over all groups.",
    defaults={"betas": (0.9, 0.999), "weight_decay": 1e-4},
    saved_elsewhere={
        "pytorch_optimizer": {"exp_avg": m[t], "exp_avg_sq": v[t], "max_exp_avg_sq": v_max[t]},
    },
    drop=(nu[t],),
    add=(
        Eq(g[t], grad[t] + when(weight_decouple, 0, weight_decay * w[t - 1])),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(v_max[t], Max(v_max[t - 1], v[t])),
        Eq(v_hat[t], when(ams_bound, v_max[t], v[t]) / (1 - beta2**t)),
        Eq(rms[t], sqrt(over_group(mean(v_hat[t]))) + eps),
        Eq(decay[t], weight_decay * when(fixed_decay, 1, lr) / rms[t]),
    ),
    replace=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t]),
        Eq(
            w[t],
            when(weight_decouple, 1 - decay[t], 1) * w[t - 1]
            - lr * m[t] / when(adam_debias, 1, 1 - beta1**t) / (sqrt(v_hat[t]) + eps),
        ),
    ),
)
