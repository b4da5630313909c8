"""QHAdam: Adam that weighs its moving averages against the gradient of the moment."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w, where
from lucidgen.specs.adam import beta1, beta2, betas, eps, g, lr, m, m_hat, v, v_hat, weight_decay

nu1, nu2 = nus = hyper(
    "nus",
    (1.0, 1.0),
    doc="Weights of the two moving averages; 1 is Adam, and (0.7, 1) the paper's advice.",
)

m_mixed, v_mixed = series("m_mixed"), series("v_mixed")

QHAdam = OptimizerSpec(
    "QHAdam",
    reading="paper",
    paper="Ma & Yarats 2018, arXiv:1810.06801, QHAdam",
    summary="QHAdam: Adam with quasi-hyperbolic terms in place of its moment estimators.",
    notes="The weight decay goes through the gradient.",
    arguments=(lr, betas, nus, weight_decay, eps),
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(m_mixed[t], (1 - nu1) * g[t] + nu1 * m_hat[t]),
        Eq(v_mixed[t], (1 - nu2) * g[t] ** 2 + nu2 * v_hat[t]),
        Eq(w[t], w[t - 1] - lr * m_mixed[t] / (sqrt(v_mixed[t]) + eps)),
    ),
)

beta1_weight, beta2_weight = series("beta1_weight"), series("beta2_weight")
share1, share2 = series("share1"), series("share2")

QHAdam.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/qhadam.py; the authors' code does the same",
    notes="The states are averages without bias: the same steps while betas stay as they are.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "beta1_weight": beta1_weight[t],
            "beta2_weight": beta2_weight[t],
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        }
    },
    add=(
        Eq(beta1_weight[t], beta1 * beta1_weight[t - 1] + 1),
        Eq(beta2_weight[t], beta2 * beta2_weight[t - 1] + 1),
        Eq(share1[t], 1 / beta1_weight[t]),
        Eq(share2[t], 1 / beta2_weight[t]),
    ),
    replace=(
        Eq(m[t], m[t - 1] + share1[t] * (g[t] - m[t - 1])),
        Eq(v[t], v[t - 1] + share2[t] * (g[t] ** 2 - v[t - 1])),
        Eq(m_hat[t], m[t]),
        Eq(v_hat[t], v[t]),
    ),
)
