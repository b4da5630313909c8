"""SGDW: SGD with momentum and decoupled weight decay."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w, when, where
from lucidgen.specs.adam import eta, lr_0
from lucidgen.specs.sgd import b, lr, momentum

m = series("m", saved_as="momentum_buffer")
weight_decay = hyper(
    "weight_decay", 1e-5, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

SGDW = OptimizerSpec(
    "SGDW",
    reading="paper",
    paper="Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 1",
    summary="Stochastic gradient descent with momentum and decoupled weight decay.",
    notes="The momentum holds the learning rate. The decay follows the schedule's multiplier and "
    "not lr itself; hence the default of weight_decay.",
    arguments=(lr, momentum, weight_decay),
    equations=(
        Eq(lr_0[0], lr),
        Eq(lr_0[t], lr_0[t - 1]),
        Eq(eta[t], when(lr_0[t] > 0, lr / lr_0[t], 1)),
        Eq(m[t], momentum * m[t - 1] + lr * grad[t]),
        Eq(w[t], (1 - eta[t] * weight_decay) * w[t - 1] - when(momentum, m[t], lr * grad[t])),
    ),
)

SGDW.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/sgd.py",
    notes="SGD as PyTorch has it, and the decay is multiplied with lr, as in AdamW there.",
    defaults={"weight_decay": 0.0},
    saved_elsewhere={
        "pytorch_optimizer": {
            "momentum_buffer": b[t],
            "dampening": 0.0,
            "nesterov": False,
            "weight_decouple": where(weight_decay, True),
        }
    },
    drop=(lr_0[0], lr_0[t], eta[t], m[t]),
    add=(Eq(b[1], grad[1]), Eq(b[t], momentum * b[t - 1] + grad[t])),
    replace=(Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * when(momentum, b[t], grad[t])),),
)
