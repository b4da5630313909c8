"""A2Grad: accelerated steps that are the shorter the more gradients stray from their mean."""

from lucidgen.spec import Eq, Max, OptimizerSpec, grad, hyper, series, sqrt, t, total, w, when

beta = hyper("beta", 10.0, at_least=0, doc="How much the noise of gradients shortens steps.")
lips = hyper(
    "lips",
    10.0,
    above=0,
    doc="Lipschitz constant of the gradient; steps begin near its inverse.",
)
rho = hyper("rho", 0.5, at_least=0, below=1, doc="Decay rate of the average of the noise.")

g_mean = series("g_mean", saved_as="avg_grad")
x = series("x", saved_as="x_k")
v = series("v", saved_as="v_k")
v_mean = series("v_mean", saved_as="v_kk")
noise, h, gamma, step = series("noise"), series("h"), series("gamma"), series("step")
alpha, alpha_next = series("alpha"), series("alpha_next")

A2GradUni = OptimizerSpec(
    "A2GradUni",
    reading="pytorch_optimizer",
    paper='pytorch_optimizer 4.1, optimizer/a2grad.py, variant="uni"; '
    "Deng, Cheng & Lan 2018, arXiv:1810.00553",
    summary="A2Grad: accelerated stochastic gradient descent, adaptive by a sum of its noise.",
    notes="Weights are where gradients are taken, x is the iterate. A tensor shares one step.",
    arguments=(beta, lips),
    equations=(
        Eq(g_mean[t], g_mean[t - 1] + (grad[t] - g_mean[t - 1]) / t),
        Eq(noise[t], total((grad[t] - g_mean[t]) ** 2)),
        Eq(v[t], v[t - 1] + noise[t]),
        Eq(h[t], sqrt(v[t])),
        Eq(gamma[t], 2 * lips / (t + 1)),
        Eq(step[t], 1 / (gamma[t] + beta * h[t])),
        Eq(alpha[t], when(t > 1, 2 / (t + 2), 1)),
        Eq(alpha_next[t], 2 / (t + 3)),
        Eq(x[0], w[0]),
        Eq(x[t], x[t - 1] - step[t] * grad[t]),
        Eq(
            w[t],
            alpha_next[t] * x[t] + (1 - alpha_next[t]) * (w[t - 1] - alpha[t] * step[t] * grad[t]),
        ),
    ),
)

A2GradInc = A2GradUni.variant(
    "A2GradInc",
    reading="pytorch_optimizer",
    paper='pytorch_optimizer 4.1, optimizer/a2grad.py, variant="inc"; '
    "Deng, Cheng & Lan 2018, arXiv:1810.00553",
    summary="A2Grad: accelerated stochastic gradient descent, of which late noise counts more.",
    notes=A2GradUni.notes,
    replace=(
        Eq(v[t], (t / (t + 1)) ** 2 * v[t - 1] + noise[t]),
        Eq(h[t], sqrt((t + 1) * v[t])),
    ),
)

A2GradExp = A2GradUni.variant(
    "A2GradExp",
    reading="pytorch_optimizer",
    paper='pytorch_optimizer 4.1, optimizer/a2grad.py, variant="exp"; '
    "Deng, Cheng & Lan 2018, arXiv:1810.00553",
    summary="A2Grad: accelerated stochastic gradient descent, by the largest average of its noise.",
    notes=A2GradUni.notes,
    arguments=(beta, lips, rho),
    add=(Eq(v_mean[t], rho * v_mean[t - 1] + (1 - rho) * noise[t]),),
    replace=(
        Eq(v[t], Max(v[t - 1], v_mean[t])),
        Eq(h[t], sqrt((t + 1) * v[t])),
    ),
)
