"""Tiger: Lion with one decay rate, which is Signum as it is used with language models."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sign, t, w, where

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate, by which every element moves.")
beta = hyper("beta", 0.965, at_least=0, below=1, doc="Decay rate of the moving average.")
weight_decay = hyper(
    "weight_decay", 1e-2, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)
m = series("m", saved_as="exp_avg")

Tiger = OptimizerSpec(
    "Tiger",
    reading="paper",
    paper="Su 2023, Tiger: a tight-fisted optimizer, github.com/bojone/tiger",
    summary="Tiger: Lion with one decay rate, which needs no second momentum to keep.",
    notes="The weight decay is decoupled. pytorch_optimizer 4.1 computes the same. The authors' "
    "code scales lr by the kind of parameter; groups say that here.",
    arguments=(lr, beta, weight_decay),
    saved_elsewhere={
        "pytorch_optimizer": {
            "exp_avg": m[t],
            "weight_decouple": where(weight_decay, True),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(m[t], beta * m[t - 1] + (1 - beta) * grad[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * sign(m[t])),
    ),
)
