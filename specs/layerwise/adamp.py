"""AdamP and SGDP: steps without their part along the weights, where only directions matter."""

from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    OptimizerSpec,
    columns,
    flag,
    grad,
    hyper,
    largest,
    ndim,
    norm,
    row_norm,
    row_total,
    series,
    size,
    sqrt,
    t,
    total,
    w,
    when,
    where,
)
from lucidgen.specs.adam import beta1, beta2, betas, lr, m, v, v_hat

eps = hyper(
    "eps", 1e-8, above=0, doc="Added to the denominator and to norms, for numerical stability."
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
delta = hyper(
    "delta",
    0.1,
    at_least=0,
    doc="How nearly at right angles to weights a gradient must be for them to count as invariant.",
)
wd_ratio = hyper(
    "wd_ratio", 0.1, at_least=0, at_most=1, doc="The part of the decay that invariant weights have."
)
nesterov = flag("nesterov", False, doc="Whether to look ahead, with Nesterov's momentum.")
dampening = hyper("dampening", 0.0, doc="Dampening of the momentum.")
momentum = hyper("momentum", 0.0, at_least=0, below=1, doc="Momentum factor.")

cos_row, cos_all = series("cos_row"), series("cos_all")
norms_row, norms_all = series("norms_row"), series("norms_all")
length_row, length_all = series("length_row"), series("length_all")
p, q, decay = series("p"), series("q"), series("decay")
b = series("b", saved_as="momentum")


def cosine(cos, norms, total_of, norm_of):
    """The cosine between gradient and weights, by what sums and measures."""
    return (
        Eq(norms[t], Max(norm_of(grad[t]), eps) * Max(norm_of(w[t - 1]), eps)),
        Eq(cos[t], Abs(total_of(grad[t] * w[t - 1])) / norms[t]),
    )


def cases(by_row, whole, plain):
    """One of three: rows are invariant, or the whole tensor is, or neither; vectors never are."""
    of_all = when(cos_all[t] < delta / sqrt(size), whole, plain)
    of_rows = when(largest(cos_row[t]) < delta / sqrt(columns), by_row, of_all)
    return when(ndim >= 2, of_rows, plain)


projection = (
    *cosine(cos_row, norms_row, row_total, row_norm),
    *cosine(cos_all, norms_all, total, norm),
    Eq(length_row[t], row_norm(w[t - 1]) + eps),
    Eq(length_all[t], norm(w[t - 1]) + eps),
    Eq(
        q[t],
        cases(
            p[t] - row_total(w[t - 1] * p[t]) / length_row[t] ** 2 * w[t - 1],
            p[t] - total(w[t - 1] * p[t]) / length_all[t] ** 2 * w[t - 1],
            p[t],
        ),
    ),
    Eq(decay[t], weight_decay * cases(wd_ratio, wd_ratio, 1)),
)

ahead = when(nesterov, beta1 * m[t] + (1 - beta1) * grad[t], m[t])

AdamP = OptimizerSpec(
    "AdamP",
    reading="paper",
    paper="Heo et al. 2021, arXiv:2006.08217, Algorithm 2, as its authors' code reads it",
    summary="AdamP: Adam whose steps do not lengthen weights of which only the direction matters.",
    notes="Rows are channels: what belongs to one index of the first axis. Where the gradient is "
    "nearly at right angles to every row, steps lose their part along each row; else the same is "
    "asked of the whole tensor. The decay is decoupled.",
    arguments=(lr, betas, eps, weight_decay, delta, wd_ratio, nesterov),
    matrices="first",
    equations=(
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * grad[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * grad[t] ** 2),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(p[t], ahead / (sqrt(v_hat[t]) + eps)),
        *projection,
        Eq(w[t], (1 - lr * decay[t]) * w[t - 1] - lr / (1 - beta1**t) * q[t]),
    ),
)

AdamP.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/adamp.py",
    notes="eps is added before the bias correction.",
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "exp_avg_sq": v[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        }
    },
    drop=(v_hat[t],),
    replace=(Eq(p[t], sqrt(1 - beta2**t) * ahead / (sqrt(v[t]) + eps)),),
)

SGDP = OptimizerSpec(
    "SGDP",
    reading="paper",
    paper="Heo et al. 2021, arXiv:2006.08217, Algorithm 1, as its authors' code reads it",
    summary="SGDP: SGD whose steps do not lengthen weights of which only the direction matters.",
    notes="What is said of AdamP holds here. pytorch_optimizer 4.1 computes the same.",
    arguments=(lr, momentum, dampening, weight_decay, delta, wd_ratio, nesterov, eps),
    matrices="first",
    saved_elsewhere={
        "pytorch_optimizer": {
            "momentum": b[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(b[t], momentum * b[t - 1] + (1 - dampening) * grad[t]),
        Eq(p[t], when(nesterov, grad[t] + momentum * b[t], b[t])),
        *projection,
        Eq(w[t], (1 - lr * decay[t] / (1 - momentum)) * w[t - 1] - lr * q[t]),
    ),
)
