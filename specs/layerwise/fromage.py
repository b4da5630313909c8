"""Fromage: in each tensor a step as long as a part of its weights, and weights that stay short."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, norm, series, sqrt, t, w, when

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate: the part of the weights that a step moves.")

w_norm, grad_norm, ratio = series("w_norm"), series("grad_norm"), series("ratio")

Fromage = OptimizerSpec(
    "Fromage",
    reading="paper",
    paper="Bernstein et al. 2020, arXiv:2002.03432, Algorithm 1",
    summary="Fromage: steps as long as the part lr of the weights, which are shortened then.",
    notes="A tensor whose weights or whose gradient is zero takes a plain step. optax 0.2.8 and "
    "pytorch_optimizer 4.1 compute the same.",
    arguments=(lr,),
    equations=(
        Eq(w_norm[t], norm(w[t - 1])),
        Eq(grad_norm[t], norm(grad[t])),
        Eq(
            ratio[t],
            when((w_norm[t] > 0) & (grad_norm[t] > 0), w_norm[t] / grad_norm[t], 1),
        ),
        Eq(w[t], (w[t - 1] - lr * ratio[t] * grad[t]) / sqrt(1 + lr**2)),
    ),
)
