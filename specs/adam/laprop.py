"""LaProp: Adam with momentum of the normalised gradient."""

from lucidgen.spec import Eq, OptimizerSpec, Rational, grad, hyper, series, sqrt, t, w, when
from lucidgen.specs.adam import beta1, beta2, betas, m, m_hat, v, v_hat

lr = hyper("lr", 4e-4, at_least=0, doc="Learning rate.")
eps = hyper("eps", 1e-15, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

lr_average = series("lr_average", saved_as="exp_avg_lr_1")

LaProp = OptimizerSpec(
    "LaProp",
    reading="paper",
    paper="Ziyin, Wang & Ueda 2020, arXiv:2002.04839, Algorithm 1",
    summary="LaProp: momentum and adaptivity apart, so that any betas go together.",
    notes="The weight decay, which the algorithm does not have, is decoupled.",
    arguments=(lr, betas, eps, weight_decay),
    equations=(
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t] / (sqrt(v_hat[t]) + eps)),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t]),
    ),
)

LaProp.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/laprop.py; the authors' code but for its 1e-15",
    notes="The momentum holds the learning rate, whose moving average corrects its bias. The decay "
    "acts after the step, and eps is added before the bias correction.",
    drop=(v_hat[t],),
    add=(Eq(lr_average[t], beta1 * lr_average[t - 1] + (1 - beta1) * lr),),
    replace=(
        Eq(
            m[t],
            beta1 * m[t - 1]
            + (1 - beta1)
            * lr
            * sqrt(1 - beta2**t)
            * grad[t]
            / (sqrt(v[t] + Rational(1, 10**15)) + eps),
        ),
        Eq(m_hat[t], m[t] * when(lr > 0, lr / lr_average[t], 1)),
        Eq(w[t], (1 - lr * weight_decay) * (w[t - 1] - m_hat[t])),
    ),
)
