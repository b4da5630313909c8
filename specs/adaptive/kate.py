"""KATE: Adagrad whose steps do not depend on the scale of the data."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
delta = hyper("delta", 0.0, at_least=0, doc="Weight of squared gradients in the numerator.")
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the sum of squares at every step.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Decoupled weight decay coefficient."
)

b_squared, m_squared = series("b_squared"), series("m_squared")

Kate = OptimizerSpec(
    "Kate",
    reading="paper",
    also_called=("KATE",),
    paper="Choudhury et al. 2024, arXiv:2403.02648, Algorithm 1",
    summary="KATE: a scale-invariant Adagrad, without the root in its denominator.",
    notes="The paper has neither eps nor a weight decay; the decay is decoupled. pytorch_optimizer "
    "4.1 and the authors' code compute the same, and keep the roots of both states.",
    arguments=(lr, delta, eps, weight_decay),
    equations=(
        Eq(b_squared[t], b_squared[t - 1] + grad[t] ** 2 + eps),
        Eq(
            m_squared[t],
            m_squared[t - 1] + delta * grad[t] ** 2 + grad[t] ** 2 / b_squared[t],
        ),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1] - lr * sqrt(m_squared[t]) * grad[t] / b_squared[t],
        ),
    ),
)
