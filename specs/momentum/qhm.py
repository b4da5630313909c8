"""QHM: momentum that is weighed against the gradient of the moment."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, t, w, where
from lucidgen.specs.sgd import b, g, lr, weight_decay

momentum = hyper("momentum", 0.999, at_least=0, below=1, doc="Decay rate of the moving average.")
nu = hyper("nu", 0.7, doc="Weight of the moving average; 1 is momentum, 0 plain SGD.")

QHM = OptimizerSpec(
    "QHM",
    reading="paper",
    paper="Ma & Yarats 2018, arXiv:1810.06801, equations (3) and (4)",
    summary="QHM: quasi-hyperbolic momentum, a mean of momentum and plain SGD.",
    notes="The weight decay goes through the gradient. pytorch_optimizer 4.1 computes the same; "
    "its defaults, momentum 0 and nu 1, are those of SGD, and ours the paper's advice.",
    arguments=(lr, momentum, nu, weight_decay),
    saved_elsewhere={
        "pytorch_optimizer": {
            "momentum_buffer": b[t],
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(b[t], momentum * b[t - 1] + (1 - momentum) * g[t]),
        Eq(w[t], w[t - 1] - lr * ((1 - nu) * g[t] + nu * b[t])),
    ),
)
