"""CAME: Adafactor whose steps are shorter where they stray from their average."""

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    column_mean,
    grad,
    hyper,
    mean,
    ndim,
    row_mean,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.specs.adam import m

lr = hyper("lr", 2e-4, at_least=0, doc="Learning rate.")
beta1, beta2, beta3 = betas = hyper(
    "betas",
    (0.9, 0.999, 0.9999),
    at_least=0,
    below=1,
    doc="Decay rates of the averages of the updates, of squared gradients, and of how far updates "
    "stray from their average.",
)
eps1, eps2 = eps = hyper(
    "eps",
    (1e-30, 1e-16),
    names=("eps1", "eps2"),
    above=0,
    doc="Added to squared gradients, and to squared distances of updates from their average.",
)
d = hyper("d", 1.0, above=0, doc="The largest root mean square of an update.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

g2, v_hat, u, u_hat = series("g2"), series("v_hat"), series("u"), series("u_hat")
r = series("r", saved_as="exp_avg_sq_row")
c = series("c", saved_as="exp_avg_sq_col")
v = series("v", saved_as="exp_avg_sq")
d2, s_hat = series("d2"), series("s_hat")
r_res = series("r_res", saved_as="exp_avg_res_row")
c_res = series("c_res", saved_as="exp_avg_res_col")

CAME = OptimizerSpec(
    "CAME",
    reading="paper",
    paper="Luo et al. 2023, arXiv:2307.02047, Algorithm 2",
    summary="CAME: Adafactor with momentum that trusts updates as far as they agree with it.",
    notes="What has no rows and columns keeps a whole second moment, and follows the momentum as "
    "it is. The decay is decoupled. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, betas, eps, d, weight_decay),
    equations=(
        Eq(g2[t], grad[t] ** 2 + eps1),
        Eq(r[t], beta2 * r[t - 1] + (1 - beta2) * row_mean(g2[t])),
        Eq(c[t], beta2 * c[t - 1] + (1 - beta2) * column_mean(g2[t])),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g2[t]),
        Eq(v_hat[t], when(ndim >= 2, r[t] * c[t] / column_mean(r[t]), v[t])),
        Eq(u[t], grad[t] / sqrt(v_hat[t])),
        Eq(u_hat[t], u[t] / Max(1, sqrt(mean(u[t] ** 2)) / d)),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * u_hat[t]),
        Eq(d2[t], (u_hat[t] - m[t]) ** 2 + eps2),
        Eq(r_res[t], beta3 * r_res[t - 1] + (1 - beta3) * row_mean(d2[t])),
        Eq(c_res[t], beta3 * c_res[t - 1] + (1 - beta3) * column_mean(d2[t])),
        Eq(s_hat[t], r_res[t] * c_res[t] / column_mean(r_res[t])),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * when(ndim >= 2, m[t] / sqrt(s_hat[t]), m[t]),
        ),
    ),
)
