"""SRMM: SGD on an average of gradients whose memory begins anew now and then."""

from lucidgen.spec import Eq, OptimizerSpec, Rational, grad, hyper, series, t, w, when

lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
beta = hyper("beta", 0.5, at_least=0, doc="Power with which the weight of new values falls.")
memory_length = hyper(
    "memory_length", 100, above=0, doc="Steps after which the weight begins anew."
)

weight, g_average = series("weight"), series("g_average", saved_as="mov_avg_grad")
k = series("k")

SRMM = OptimizerSpec(
    "SRMM",
    reading="paper",
    paper="Lyu 2022, arXiv:2201.01652, Algorithm 1 with a quadratic surrogate; the authors' code",
    summary="SRMM: stochastic regularized majorization-minimization.",
    notes="The moving average of parameters, which the algorithm steps from, is the parameter.",
    arguments=(lr, beta, memory_length),
    equations=(
        Eq(k[0], memory_length - 1),
        # Compared with what lies between two whole numbers, so that rounding decides nothing.
        Eq(k[t], when(k[t - 1] < memory_length - Rational(3, 2), k[t - 1] + 1, 0)),
        Eq(weight[t], (k[t] + 1) ** -beta),
        Eq(g_average[t], (1 - weight[t]) * g_average[t - 1] + weight[t] * grad[t]),
        Eq(w[t], w[t - 1] - lr * g_average[t]),
    ),
)

SRMM.dialect(
    "pytorch_optimizer",
    paper="pytorch_optimizer 4.1, optimizer/srmm.py",
    notes="The memory is a step ahead: the first step has a weight below 1, so that a part of the "
    "start value is lost.",
    add=(Eq(w[1], weight[1] * w[0] - lr * g_average[1]),),
    replace=(Eq(k[0], 0),),
)
