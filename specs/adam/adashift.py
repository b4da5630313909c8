"""AdaShift: Adam that divides by gradients of some steps ago, which know nothing of this one."""

from itertools import pairwise

from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, largest, series, sqrt, t, w, when
from lucidgen.specs.adam import beta1, beta2, betas, lr, m, v

#: How many gradients are kept; memory and the number of the equations depend on it.
N = 10

eps = hyper("eps", 1e-10, at_least=0, doc="Added to the denominator for numerical stability.")
by_tensor = flag(
    "by_tensor", True, doc="Whether a tensor has one second moment, by its largest square."
)

#: The gradient of k - 1 steps ago, and that of N steps ago.
kept = [series(f"g_{k}", saved_as=f"grad_{k}") for k in range(1, N + 1)]
g_shifted = series("g_shifted")
v_max = series("v_max", saved_as="exp_avg_sq_max")
weights = series("weights")

AdaShift = OptimizerSpec(
    "AdaShift",
    reading="paper",
    paper=f"Zhou et al. 2019, arXiv:1810.00143, Algorithm 1, with n = {N}",
    summary="AdaShift: decorrelated steps, by a second moment of shifted gradients.",
    notes=f"The first {N} steps only collect gradients. {N} of them are kept, and each step passes "
    "them on, which costs memory and time. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, betas, eps, by_tensor),
    equations=(
        Eq(kept[0][t], grad[t]),
        *(Eq(after[t], before[t - 1]) for before, after in pairwise(kept)),
        Eq(g_shifted[t], kept[-1][t - 1]),
        Eq(weights[t], sum(beta1**k for k in range(N))),
        Eq(
            m[t],
            beta1 * (m[t - 1] - beta1 ** (N - 1) / weights[t] * g_shifted[t])
            + grad[t] / weights[t],
        ),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g_shifted[t] ** 2),
        Eq(v_max[t], beta2 * v_max[t - 1] + (1 - beta2) * largest(g_shifted[t] ** 2)),
        Eq(
            w[t],
            w[t - 1]
            - when(
                t > N,
                when(
                    by_tensor,
                    lr / (sqrt(v_max[t] / (1 - beta2 ** (t - N))) + eps) * m[t],
                    lr * m[t] / (sqrt(v[t] / (1 - beta2 ** (t - N))) + eps),
                ),
                0,
            ),
        ),
    ),
)
