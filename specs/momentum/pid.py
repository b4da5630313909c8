"""PID: SGD as a controller of the present, past and future of the gradient."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w, when, where
from lucidgen.specs.sgd import lr, weight_decay

momentum = hyper(
    "momentum",
    0.9,
    at_least=0,
    below=1,
    special=0,
    doc="Decay rate of the integral and of the derivative; at 0 there is neither.",
)
dampening = hyper("dampening", 0.0, special=0, doc="Dampening of the gradient in the integral.")
derivative = hyper("derivative", 10.0, doc="Weight of the derivative.")
integral = hyper("integral", 5.0, doc="Weight of the integral.")

g, u = series("g"), series("u")
g_before = series("g_before", saved_as="grad_buffer")
i = series("i", saved_as="i_buffer")
d = series("d", saved_as="d_buffer")

PID = OptimizerSpec(
    "PID",
    reading="paper",
    paper="An et al. 2018, Proc. CVPR, A PID Controller Approach for Stochastic Optimization of "
    "Deep Networks; the authors' code",
    summary="PID: SGD with the integral and the derivative of the gradient.",
    notes="pytorch_optimizer 4.1 computes the same; its default momentum is 0. The weight decay "
    "goes through the gradient.",
    arguments=(lr, momentum, dampening, derivative, integral, weight_decay),
    saved_elsewhere={
        "pytorch_optimizer": {
            "grad_buffer": g_before[t],
            "i_buffer": i[t],
            "d_buffer": d[t],
            "weight_decouple": where(weight_decay, False),
            "fixed_decay": False,
        }
    },
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(g_before[t], g[t]),
        Eq(i[t], momentum * i[t - 1] + (1 - dampening) * g[t]),
        Eq(d[1], 0),
        Eq(d[t], momentum * d[t - 1] + (1 - momentum) * (g[t] - g_before[t - 1])),
        Eq(u[t], when(momentum, g[t] + integral * i[t] + derivative * d[t], g[t])),
        Eq(w[t], w[t - 1] - lr * u[t]),
    ),
)
