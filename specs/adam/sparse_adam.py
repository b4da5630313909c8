"""SparseAdam: Adam that leaves alone the rows of which a gradient says nothing."""

from lucidgen.spec import Abs, Eq, OptimizerSpec, grad, ndim, row_max, series, sqrt, t, w, when
from lucidgen.specs.adam import beta1, beta2, betas, eps, lr, m, v

#: The largest of a row's gradient, which is 0 where there is none.
g_max = series("g_max")


def touched(new, old):
    """New where a row has a gradient, old where not; a gradient that is nan is one."""
    return when(g_max[t] <= 0, old, new)


SparseAdam = OptimizerSpec(
    "SparseAdam",
    reading="torch",
    paper="torch 2.13, torch.optim.SparseAdam; Kingma & Ba 2015, arXiv:1412.6980",
    summary="Adam for embeddings: rows without gradient keep their weights and their moments.",
    notes="Gradients are dense here, and a row of zeros counts as one without a gradient, where "
    "torch goes by which indices are given. The rows of a tensor are what its first axis counts; "
    "those of a vector, its elements. A step counts for all rows.",
    arguments=(lr, betas, eps),
    matrices="first",
    equations=(
        Eq(g_max[t], when(ndim >= 2, row_max(Abs(grad[t])), Abs(grad[t]))),
        Eq(m[t], touched(beta1 * m[t - 1] + (1 - beta1) * grad[t], m[t - 1])),
        Eq(v[t], touched(beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2, v[t - 1])),
        Eq(
            w[t],
            touched(
                w[t - 1] - lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m[t] / (sqrt(v[t]) + eps),
                w[t - 1],
            ),
        ),
    ),
)
