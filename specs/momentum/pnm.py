"""PNM and AdaPNM: positive-negative momentum, which shapes the noise of gradients."""

from lucidgen.spec import (
    Eq,
    Max,
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
from lucidgen.specs.adam import v, v_hat, v_max

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
beta1, beta0 = betas = hyper(
    "betas",
    (0.9, 1.0),
    names=("beta1", "beta0"),
    at_least=0,
    doc="Decay rate of the momentum, below 1, and the weight of the negative momentum.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
below_1 = "the decay rates of the moving averages must be below 1"

# m two steps ago is that of before, one step ago: each moving average takes every other gradient.
m = series("m", saved_as="exp_avg")
m_before = series("m_before", saved_as="neg_exp_avg")
m_pn, noise_norm = series("m_pn"), series("noise_norm")

PNM = OptimizerSpec(
    "PNM",
    reading="paper",
    paper="Xie, Yuan, Zhu & Sugiyama 2021, arXiv:2103.17182, Algorithm 1",
    summary="PNM: momentum as the difference of two moving averages of alternate gradients.",
    notes="The weight decay is decoupled. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, betas, weight_decay),
    requires=((beta1 < 1, below_1),),
    equations=(
        Eq(m[t], beta1**2 * m_before[t - 1] + (1 - beta1**2) * grad[t]),
        Eq(m_before[t], m[t - 1]),
        Eq(m_pn[t], (1 + beta0) * m[t] - beta0 * m_before[t]),
        Eq(noise_norm[t], sqrt((1 + beta0) ** 2 + beta0**2)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr / noise_norm[t] * m_pn[t]),
    ),
)

beta1, beta2, beta0 = betas = hyper(
    "betas",
    (0.9, 0.999, 1.0),
    names=("beta1", "beta2", "beta0"),
    at_least=0,
    doc="Decay rates of the momentum and of the moving average of squares, below 1, and the weight "
    "of the negative momentum.",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator for numerical stability.")
amsgrad = flag("amsgrad", True, doc="Whether to divide by the maximum of v so far.")

v_bound = series("v_bound")

AdaPNM = PNM.variant(
    "AdaPNM",
    reading="paper",
    paper="Xie, Yuan, Zhu & Sugiyama 2021, arXiv:2103.17182, Algorithm 2",
    summary="AdaPNM: AMSGrad with positive-negative momentum.",
    notes="The weight decay is decoupled.",
    arguments=(lr, betas, eps, weight_decay, amsgrad),
    requires=(((beta1 < 1) & (beta2 < 1), below_1),),
    add=(
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_max[t], Max(v_max[t - 1], v[t])),
        Eq(v_bound[t], when(amsgrad, v_max[t], v[t])),
        Eq(v_hat[t], v_bound[t] / (1 - beta2**t)),
    ),
    replace=(
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr / noise_norm[t] * m_pn[t] / (1 - beta1**t) / (sqrt(v_hat[t]) + eps),
        ),
    ),
)

AdaPNM.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adapnm.py; the authors' code but for its 1e-15",
    notes="eps is added before the bias correction.",
    drop=(v_hat[t],),
    replace=(
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr
            * sqrt(1 - beta2**t)
            / (1 - beta1**t)
            / noise_norm[t]
            * m_pn[t]
            / (sqrt(v_bound[t] + Rational(1, 10**15)) + eps),
        ),
    ),
)
