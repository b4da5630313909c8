"""Rprop: a step size for every element, from the signs of its gradients alone."""

from lucidgen.spec import Eq, Max, Min, OptimizerSpec, grad, hyper, series, sign, t, w, when

lr = hyper("lr", 1e-2, at_least=0, doc="The first step size of every element.")
eta_minus, eta_plus = etas = hyper(
    "etas",
    (0.5, 1.2),
    names=("eta_minus", "eta_plus"),
    above=0,
    doc="Factors of a step size whose gradient changes its sign, and of one whose does not.",
)
s_min, s_max = step_sizes = hyper(
    "step_sizes",
    (1e-6, 50.0),
    names=("s_min", "s_max"),
    at_least=0,
    doc="The smallest and the largest step size.",
)

agreement = series("agreement")
g = series("g", saved_as="prev")
s = series("s", saved_as="step_size")

Rprop = OptimizerSpec(
    "Rprop",
    reading="torch",
    paper="Riedmiller & Braun 1993, Proc. ICNN; without weight backtracking: Igel & Huesken 2000, "
    "iRprop-; torch's reading",
    summary="Resilient propagation: steps that grow while a gradient keeps its sign.",
    notes="For full batches: in minibatches signs change by chance. An element whose gradient "
    "changes its sign rests for a step.",
    arguments=(lr, etas, step_sizes),
    counts_steps=True,
    requires=(
        ((eta_minus < 1) & (eta_plus > 1), "etas must be one number below 1 and one above it"),
    ),
    equations=(
        Eq(agreement[t], grad[t] * g[t - 1]),
        Eq(s[0], lr),
        Eq(
            s[t],
            Min(
                Max(
                    s[t - 1]
                    * when(agreement[t] > 0, eta_plus, when(agreement[t] < 0, eta_minus, 1)),
                    s_min,
                ),
                s_max,
            ),
        ),
        Eq(g[t], when(agreement[t] < 0, 0, grad[t])),
        Eq(w[t], w[t - 1] - s[t] * sign(g[t])),
    ),
)

initial_size = series("initial_size", saved_as="step_size")

Rprop.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/prop.py",
    notes="The step size is never stored: each step scales the first one, lr.",
    saved_as={g: "prev_grad"},
    drop=(s[0],),
    add=(
        Eq(initial_size[0], lr),
        Eq(initial_size[t], initial_size[t - 1]),
    ),
    replace=(
        Eq(
            s[t],
            Min(
                Max(
                    initial_size[t]
                    * when(agreement[t] > 0, eta_plus, when(agreement[t] < 0, eta_minus, 1)),
                    s_min,
                ),
                s_max,
            ),
        ),
    ),
)

delta = series("delta")

Rprop.dialect(
    "paper",
    paper="Riedmiller & Braun 1993, Proc. ICNN, with weight backtracking",
    notes="A step after which the gradient changes its sign is taken back.",
    defaults={"lr": 0.1},
    add=(Eq(delta[t], when(agreement[t] < 0, -delta[t - 1], -s[t] * sign(g[t]))),),
    replace=(Eq(w[t], w[t - 1] + delta[t]),),
)

change = series("change", saved_as="prev")

Rprop.dialect(
    "optax",
    paper="optax 0.2.8, optax.rprop",
    notes="Each step takes the update of the step before; the first one changes nothing. "
    "Step sizes are clipped only when they change.",
    saved_elsewhere={"optax": {"step_sizes": s[t], "prev_updates": change[t]}},
    drop=(g[t],),
    add=(Eq(change[t], when(agreement[t] < 0, 0, s[t] * sign(grad[t]))),),
    replace=(
        Eq(
            s[t],
            when(
                agreement[t] > 0,
                Min(Max(eta_plus * s[t - 1], s_min), s_max),
                when(
                    agreement[t] < 0,
                    Min(Max(eta_minus * s[t - 1], s_min), s_max),
                    s[t - 1],
                ),
            ),
        ),
        Eq(agreement[t], grad[t] * change[t - 1]),
        Eq(w[t], w[t - 1] - when(agreement[t] < 0, 0, change[t - 1])),
    ),
)
