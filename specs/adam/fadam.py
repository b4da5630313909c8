"""FAdam: Adam as natural gradient descent, with the diagonal of the Fisher information."""

from lucidgen.spec import Eq, Max, Min, OptimizerSpec, grad, hyper, mean, series, sqrt, t, w, when
from lucidgen.specs.adam import beta1, beta2, betas, eps, lr, m

weight_decay = hyper("weight_decay", 0.1, at_least=0, special=0, doc="Weight decay coefficient.")
clip = hyper("clip", 1.0, above=0, doc="Size, as root mean square, that updates are clipped to.")
p = hyper("p", 0.5, above=0, doc="Power of the Fisher information that gradients are divided by.")
eps_2 = hyper("eps_2", 1e-2, at_least=0, doc="The part of the gradient's size that bounds eps.")

beta2_hat, g_rms, eps_hat, root = map(series, ("beta2_hat", "g_rms", "eps_hat", "root"))
g, u, d = series("g"), series("u"), series("d")
v = series("v", saved_as="fim")

FAdam = OptimizerSpec(
    "FAdam",
    reading="paper",
    paper="Hwang 2024, arXiv:2405.12807, Algorithm 1",
    summary="FAdam: Adam with the corrections that natural gradients ask for.",
    notes="The decay is a natural gradient, too, and clipped like the gradient. The bias "
    "correction is in the decay rate of the Fisher information. pytorch_optimizer 4.1 computes "
    "the same.",
    arguments=(lr, betas, weight_decay, clip, p, eps, eps_2),
    equations=(
        Eq(beta2_hat[t], beta2 * (1 - beta2 ** (t - 1)) / (1 - beta2**t)),
        Eq(v[t], beta2_hat[t] * v[t - 1] + (1 - beta2_hat[t]) * grad[t] ** 2),
        Eq(g_rms[t], sqrt(mean(grad[t] ** 2))),
        Eq(eps_hat[t], when(g_rms[t] > 0, Min(eps, eps_2 * g_rms[t]), eps)),
        Eq(root[t], v[t] ** p + eps_hat[t] ** (2 * p)),
        Eq(g[t], grad[t] / root[t]),
        Eq(u[t], g[t] / Max(1, sqrt(mean(g[t] ** 2)) / clip)),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * u[t]),
        Eq(d[t], w[t - 1] / root[t]),
        Eq(
            w[t],
            w[t - 1] - lr * (m[t] + weight_decay * d[t] / Max(1, sqrt(mean(d[t] ** 2)) / clip)),
        ),
    ),
)
