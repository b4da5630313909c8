"""LARS: a learning rate for every tensor, from the norms of its weights and its gradient."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, norm, series, t, w, when

lr = hyper("lr", 1e-1, at_least=0, doc="Learning rate.")
momentum = hyper("momentum", 0.9, at_least=0, doc="Momentum factor.")
weight_decay = hyper("weight_decay", 5e-4, at_least=0, doc="Weight decay, part of the trust ratio.")
trust_coefficient = hyper(
    "trust_coefficient", 1e-3, at_least=0, doc="How far a tensor trusts its own update."
)

g = series("g")
w_norm, grad_norm, trust_ratio = series("w_norm"), series("grad_norm"), series("trust_ratio")
velocity = series("velocity", saved_as="momentum_buffer")

LARS = OptimizerSpec(
    "LARS",
    reading="paper",
    paper="You, Gitman & Ginsburg 2017, arXiv:1708.03888, Algorithm 1 and equation (6)",
    summary="Layer-wise adaptive rate scaling, for large batches.",
    notes="A tensor whose weights or whose gradient is zero takes a plain step with lr.",
    arguments=(lr, momentum, weight_decay, trust_coefficient),
    equations=(
        Eq(w_norm[t], norm(w[t - 1])),
        Eq(grad_norm[t], norm(grad[t])),
        Eq(
            trust_ratio[t],
            when(
                (w_norm[t] > 0) & (grad_norm[t] > 0),
                trust_coefficient * w_norm[t] / (grad_norm[t] + weight_decay * w_norm[t]),
                1,
            ),
        ),
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(velocity[t], momentum * velocity[t - 1] + lr * trust_ratio[t] * g[t]),
        Eq(w[t], w[t - 1] - velocity[t]),
    ),
)
