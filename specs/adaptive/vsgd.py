"""VSGD: variational SGD, which infers the true gradient and its noise."""

from lucidgen.spec import Eq, OptimizerSpec, Rational, grad, hyper, series, sqrt, t, w, when

lr = hyper("lr", 0.1, at_least=0, doc="Learning rate.")
ghattg = hyper("ghattg", 30.0, above=0, doc="Ratio of the noise's variance to the gradient's.")
ps = hyper("ps", 1e-8, above=0, doc="Strength of the prior.")
tau1 = hyper("tau1", 0.81, at_least=0, doc="How fast the gradient's variance is learnt.")
tau2 = hyper("tau2", 0.9, at_least=0, doc="How fast the noise's variance is learnt.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator for numerical stability.")

sigma_g, sigma_hat, sigma = series("sigma_g"), series("sigma_hat"), series("sigma")
a, rho1, rho2 = series("a"), series("rho1"), series("rho2")
mu = series("mu", saved_as="mug")
b_g = series("b_g", saved_as="bg")
b_hat = series("b_hat", saved_as="bhg")
second = series("second")

VSGD = OptimizerSpec(
    "VSGD",
    reading="paper",
    paper="Chen et al. 2024, arXiv:2404.06549, Algorithm 1",
    summary="VSGD: gradients and their noise as a probabilistic model, solved step by step.",
    notes="The weight decay is decoupled. pytorch_optimizer 4.1 and the authors' code compute the "
    "same.",
    arguments=(lr, ghattg, ps, tau1, tau2, weight_decay, eps),
    equations=(
        Eq(a[t], 2 * ps + Rational(1, 10**4) + when(t > 1, 1, 0)),
        Eq(b_g[0], 2 * ps),
        Eq(b_hat[0], 2 * ghattg * ps),
        Eq(sigma_g[t], b_g[t - 1] / a[t]),
        Eq(sigma_hat[t], b_hat[t - 1] / a[t]),
        Eq(
            mu[t],
            (sigma_hat[t] * mu[t - 1] + sigma_g[t] * grad[t]) / (sigma_g[t] + sigma_hat[t]),
        ),
        Eq(sigma[t], sigma_g[t] * sigma_hat[t] / (sigma_g[t] + sigma_hat[t])),
        Eq(second[t], mu[t] ** 2 + sigma[t]),
        Eq(rho1[t], t**-tau1),
        Eq(rho2[t], t**-tau2),
        Eq(
            b_g[t],
            (1 - rho1[t]) * b_g[t - 1] + rho1[t] * (2 * ps + sigma[t] + (mu[t] - mu[t - 1]) ** 2),
        ),
        Eq(
            b_hat[t],
            (1 - rho2[t]) * b_hat[t - 1]
            + rho2[t] * (2 * ghattg * ps + sigma[t] + (mu[t] - grad[t]) ** 2),
        ),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * mu[t] / (sqrt(second[t]) + eps),
        ),
    ),
)
