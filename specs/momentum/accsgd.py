"""AccSGD: accelerated SGD, whose momentum is a long average and not a fast one."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate of the short step.")
kappa = hyper("kappa", 1000.0, above=0, doc="Ratio of the long step to the short one.")
xi = hyper("xi", 10.0, above=0, doc="Statistical advantage; at most the root of kappa.")
constant = hyper("constant", 0.7, above=0, below=1, doc="The paper's constant 0.7.")
weight_decay = hyper(
    "weight_decay", 0.0, at_least=0, special=0, doc="Weight decay (L2, added to the gradient)."
)

g, alpha = series("g"), series("alpha")
w_short = series("w_short")
w_long = series("w_long", saved_as="momentum_buffer")

AccSGD = OptimizerSpec(
    "AccSGD",
    reading="paper",
    paper="Kidambi, Netrapalli, Jain & Kakade 2018, arXiv:1803.05591, Algorithm 3",
    summary="AccSGD: accelerated stochastic gradient descent, from a short and a long step.",
    notes="pytorch_optimizer 4.1 and the authors' code compute the same.",
    arguments=(lr, kappa, xi, constant, weight_decay),
    saved_elsewhere={"pytorch_optimizer": {"momentum_buffer": w_long[t]}},
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(alpha[t], 1 - constant**2 * xi / kappa),
        Eq(w_long[0], w[0]),
        Eq(
            w_long[t],
            alpha[t] * w_long[t - 1] + (1 - alpha[t]) * (w[t - 1] - kappa * lr / constant * g[t]),
        ),
        Eq(w_short[t], w[t - 1] - lr * g[t]),
        Eq(
            w[t],
            (constant * w_short[t] + (1 - alpha[t]) * w_long[t]) / (constant + 1 - alpha[t]),
        ),
    ),
)
