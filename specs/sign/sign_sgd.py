"""signSGD, and with momentum Signum: steps by the gradient's sign alone."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sign, t, w, when, where

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate, by which every element moves.")
momentum = hyper(
    "momentum",
    0.0,
    at_least=0,
    below=1,
    special=0,
    doc="Decay rate of the moving average whose sign is taken; above 0 this is Signum.",
)
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

m = series("m", saved_as="momentum_buffer")
u = series("u")

SignSGD = OptimizerSpec(
    "SignSGD",
    reading="paper",
    paper="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 1; with momentum, Algorithm 2",
    summary="signSGD: every element moves by lr, against the sign of its gradient.",
    notes="The weight decay is decoupled. optax 0.2.8 has this as sign_sgd and signum; the default "
    "momentum of pytorch_optimizer 4.1 is 0.9.",
    arguments=(lr, momentum, weight_decay),
    saved_elsewhere={
        "optax": {"ema": m[t]},
        "pytorch_optimizer": {
            "momentum_buffer": m[t],
            "weight_decouple": where(weight_decay, True),
        },
    },
    equations=(
        Eq(m[t], momentum * m[t - 1] + (1 - momentum) * grad[t]),
        Eq(u[t], sign(when(momentum, m[t], grad[t]))),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * u[t]),
    ),
)

Signum = SignSGD.variant(
    "Signum",
    reading="paper",
    paper="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2",
    summary="Signum: every element moves by lr, against the sign of its momentum.",
    notes="SignSGD with another default of momentum. The weight decay is decoupled.",
    arguments=SignSGD.arguments,
    defaults={"momentum": 0.9},
    saved_elsewhere=SignSGD.saved_elsewhere,
)
