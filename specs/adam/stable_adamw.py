"""StableAdamW: AdamW that slows down where the gradient is far larger than its average."""

from lucidgen.spec import Eq, Max, OptimizerSpec, grad, hyper, mean, series, sqrt, t, w
from lucidgen.specs.adam import eps, lr, m, v

beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.99),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the gradient and of its square.",
)
weight_decay = hyper(
    "weight_decay", 1e-2, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

beta1_hat, beta2_hat = series("beta1_hat"), series("beta2_hat")
rms, eta = series("rms"), series("eta")

StableAdamW = OptimizerSpec(
    "StableAdamW",
    reading="paper",
    paper="Wortsman et al. 2023, arXiv:2304.13013, Algorithm 2",
    summary="AdamW with Adafactor's clipping of each tensor's update.",
    notes="The bias correction is in the decay rates, which begin at 0. pytorch_optimizer 4.1 "
    "computes the same.",
    arguments=(lr, betas, eps, weight_decay),
    equations=(
        Eq(beta1_hat[t], beta1 * (1 - beta1 ** (t - 1)) / (1 - beta1**t)),
        Eq(beta2_hat[t], beta2 * (1 - beta2 ** (t - 1)) / (1 - beta2**t)),
        Eq(m[t], beta1_hat[t] * m[t - 1] + (1 - beta1_hat[t]) * grad[t]),
        Eq(v[t], beta2_hat[t] * v[t - 1] + (1 - beta2_hat[t]) * grad[t] ** 2),
        Eq(rms[t], sqrt(mean(grad[t] ** 2 / Max(v[t], eps**2)))),
        Eq(eta[t], lr / Max(1, rms[t])),
        Eq(
            w[t],
            (1 - eta[t] * weight_decay) * w[t - 1] - eta[t] * m[t] / (sqrt(v[t]) + eps),
        ),
    ),
)
