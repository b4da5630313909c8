"""AdaMod: Adam whose step sizes stay below their own moving average."""

from lucidgen.spec import Eq, Min, OptimizerSpec, grad, hyper, series, sqrt, t, w, where
from lucidgen.specs.adam import eps, lr, m, m_hat, v, v_hat

beta1, beta2, beta3 = betas = hyper(
    "betas",
    (0.9, 0.999, 0.999),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the gradient, of its square and of step sizes.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

eta, eta_hat = series("eta"), series("eta_hat")
s = series("s", saved_as="exp_avg_lr")

AdaMod = OptimizerSpec(
    "AdaMod",
    reading="paper",
    paper="Ding, Ren, Luo & Sun 2019, arXiv:1910.12249, Algorithm 1",
    summary="AdaMod: Adam with an adaptive and momental bound of every element's step size.",
    notes="The weight decay, which the paper does not have, is decoupled.",
    arguments=(lr, betas, eps, weight_decay),
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(eta[t], lr / (sqrt(v_hat[t]) + eps)),
        Eq(s[t], beta3 * s[t - 1] + (1 - beta3) * eta[t]),
        Eq(eta_hat[t], Min(eta[t], s[t])),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - eta_hat[t] * m_hat[t]),
    ),
)

AdaMod.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adamod.py; the authors' code does the same",
    notes="Both bias corrections are part of the step size, and so of its average; eps is added "
    "before them.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "exp_avg_lr": s[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        }
    },
    drop=(m_hat[t], v_hat[t]),
    replace=(
        Eq(eta[t], lr * sqrt(1 - beta2**t) / (1 - beta1**t) / (sqrt(v[t]) + eps)),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - eta_hat[t] * m[t]),
    ),
)
