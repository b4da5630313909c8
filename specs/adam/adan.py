"""Adan: Nesterov momentum for adaptive methods, from differences of gradients."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w, where

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
beta1, beta2, beta3 = betas = hyper(
    "betas",
    (0.98, 0.92, 0.99),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the gradient, of its differences and of squares "
    "(1 minus the paper's).",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient, a proximal step."
)

d, g_ahead, w_ahead = series("d"), series("g_ahead"), series("w_ahead")
m_hat, v_hat, n_hat = series("m_hat"), series("v_hat"), series("n_hat")
m = series("m", saved_as="exp_avg")
v = series("v", saved_as="exp_avg_diff")
n = series("n", saved_as="exp_avg_sq")
# The implementations keep the negative of the gradient; so do we, and their states load.
minus_g = series("minus_g", saved_as="previous_grad")

Adan = OptimizerSpec(
    "Adan",
    reading="paper",
    paper="Xie et al. 2022, arXiv:2208.06677, Algorithm 1",
    summary="Adan: adaptive Nesterov momentum.",
    notes="The weight decay is decoupled: the updated parameter is divided by 1 + lr * "
    "weight_decay. The state previous_grad is minus the last gradient. optax 0.2.8 differs: it "
    "weighs differences by 1 - beta2 where the paper, in these betas, has beta2.",
    arguments=(lr, betas, eps, weight_decay),
    equations=(
        Eq(d[1], 0),
        Eq(d[t], grad[t] + minus_g[t - 1]),
        Eq(minus_g[t], -grad[t]),
        Eq(g_ahead[t], grad[t] + beta2 * d[t]),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * d[t]),
        Eq(n[t], beta3 * n[t - 1] + (1 - beta3) * g_ahead[t] ** 2),
        Eq(w_ahead[t], w[t - 1] - lr * (m[t] + beta2 * v[t]) / (sqrt(n[t]) + eps)),
        Eq(w[t], w_ahead[t] / (1 + lr * weight_decay)),
    ),
)

Adan.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adan.py; the authors' code does the same",
    notes="The three moving averages are corrected for their bias, which the paper leaves out. "
    "Under maximize the library begins with a wrong difference of gradients; this does not.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_diff": v[t],
            "exp_avg_sq": n[t],
            "previous_grad": minus_g[t],
            "weight_decouple": where(weight_decay, False),
            "max_grad_norm": 0.0,
        }
    },
    add=(
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(n_hat[t], n[t] / (1 - beta3**t)),
    ),
    replace=(
        Eq(
            w_ahead[t],
            w[t - 1] - lr * (m_hat[t] + beta2 * v_hat[t]) / (sqrt(n_hat[t]) + eps),
        ),
    ),
)
