"""SGD-SaI: momentum with a learning rate for every tensor, from its first gradient."""

from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    grad,
    hyper,
    mean,
    ndim,
    norm,
    rows,
    series,
    size,
    sqrt,
    t,
    total,
    w,
    when,
    where,
)

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
momentum = hyper(
    "momentum", 0.9, at_least=0, below=1, special=0, doc="Decay rate of the average of gradients."
)
weight_decay = hyper(
    "weight_decay", 1e-2, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the deviation for numerical stability.")

g_snr = series("g_snr", saved_as="gsnr")
m = series("m", saved_as="momentum_buffer")


def ratio(is_measured):
    """The norm of the gradient, to its deviation where that is measured and is not zero."""
    signal = norm(grad[1])
    noise = sqrt(total((grad[1] - mean(grad[1])) ** 2) / (size - 1))
    return when(is_measured, when(noise > 0, signal / (noise + eps), signal), signal)


SGDSaI = OptimizerSpec(
    "SGDSaI",
    reading="paper",
    paper="Xu et al. 2024, arXiv:2412.11768",
    summary="SGD-SaI: learning rates scaled by the signal-to-noise ratio of the first gradients.",
    notes="The first gradient of a tensor fixes its g_snr for good. The decay is decoupled.",
    arguments=(lr, momentum, weight_decay, eps),
    also_called=("SGD_sai",),
    equations=(
        Eq(g_snr[1], ratio(size > 1)),
        Eq(g_snr[t], g_snr[t - 1]),
        Eq(m[t], momentum * m[t - 1] + (1 - momentum) * grad[t]),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * g_snr[t] * when(momentum, m[t], grad[t]),
        ),
    ),
)

SGDSaI.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/sgd.py",
    notes="The deviation of vectors, and of what has one index on its first axis, is not measured.",
    matrices="first",
    saved_elsewhere={
        "pytorch_optimizer": {
            "momentum_buffer": m[t],
            "gsnr": g_snr[t],
            "weight_decouple": where(weight_decay, True),
        }
    },
    replace=(Eq(g_snr[1], ratio((ndim >= 2) & (rows > 1))),),
)
