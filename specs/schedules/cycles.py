"""Cycles of the learning rate and, the other way, of the momentum."""

from lucidgen.spec import Eq, Max, Schedule, cos, flag, floor, hyper, keyword_only, pi, series, when
from lucidgen.spec.schedule import base, choice, function, momentum, required, t, value, whole

# Up and down

cycle_momentum = flag(
    "cycle_momentum",
    True,
    doc="Whether the momentum, or the first of the betas, moves the other way.",
)
base_lr = hyper("base_lr", required, doc="The value at the bottom of a cycle.")
top = hyper("max_lr", required, doc="The value at the top of a cycle.")
step_size_up = whole("step_size_up", 2000, at_least=1, doc="Steps from the bottom to the top.")
step_size_down = whole(
    "step_size_down", None, at_least=1, otherwise=step_size_up, doc="Steps back to the bottom."
)
mode = choice(
    "mode",
    *("triangular", "triangular2", "exp_range"),
    doc="Whether the height of a cycle stays, halves every time, or decays by gamma every step.",
)
decay = hyper("gamma", 1.0, above=0, doc="The decay of the height in the mode exp_range.")
scale_fn = function(
    "scale_fn",
    None,
    saved_as="_scale_fn_custom",
    doc="A function for the height, in place of mode.",
)
scale_mode = choice(
    "scale_mode",
    *("cycle", "iterations"),
    doc="What scale_fn is a function of: the number of the cycle, from 1, or that of steps.",
)
low = hyper("base_momentum", 0.8, doc="The momentum at the top of a cycle.")
high = hyper("max_momentum", 0.9, doc="The momentum at the bottom of a cycle.")
period, cycle, place = series("period"), series("cycle"), series("place")
scale, height = series("scale"), series("height")

CyclicLR = Schedule(
    "CyclicLR",
    summary="Rises from a base to a maximum and falls back, again and again.",
    paper="Smith 2017, arXiv:1506.01186",
    example="base_lr=0.1, max_lr=1.0, step_size_up=20",
    arguments=(
        *(base_lr, top, step_size_up, step_size_down, mode, decay, scale_fn, keyword_only),
        *(scale_mode, cycle_momentum, low, high),
    ),
    equations=(
        Eq(base, base_lr),
        Eq(period[t], step_size_up + step_size_down),
        Eq(cycle[t], floor(t / period[t])),
        Eq(place[t], t - cycle[t] * period[t]),
        Eq(
            scale[t],
            when(
                scale_fn.given,
                scale_fn(when(scale_mode["cycle"], cycle[t] + 1, t)),
                when(mode["triangular"], 1, when(mode["triangular2"], 2 ** -cycle[t], decay**t)),
            ),
        ),
        Eq(
            height[t],
            scale[t]
            * when(
                place[t] <= step_size_up,
                place[t] / step_size_up,
                (period[t] - place[t]) / step_size_down,
            ),
        ),
        Eq(value[t], base + (top - base) * height[t]),
        Eq(momentum[t], high - (high - low) * height[t]),
    ),
    chainable=False,
    torch_keys={
        "max_lrs": top,
        "base_momentums": low,
        "max_momentums": high,
        "total_size": None,
        "step_ratio": None,
        "use_beta1": None,
    },
)

# Once up and down

max_lr = hyper("max_lr", required, doc="The value at the top.")
epochs = whole("epochs", None, at_least=1, doc="The number of epochs, in place of total_steps.")
steps_per_epoch = whole("steps_per_epoch", None, at_least=1, doc="Steps in each of them.")
total_steps = whole(
    "total_steps", None, at_least=1, otherwise=epochs * steps_per_epoch, doc="The number of steps."
)
pct_start = hyper(
    "pct_start", 0.3, at_least=0, at_most=1, special=1, doc="The fraction of them until the top."
)
anneal = choice("anneal_strategy", "cos", "linear", doc="The shape of rise and fall.")
base_momentum = hyper("base_momentum", 0.85, doc="The momentum at the top.")
max_momentum = hyper("max_momentum", 0.95, doc="The momentum at the start and in the end.")
div_factor = hyper("div_factor", 25.0, above=0, doc="max_lr divided by the value at the start.")
final_div_factor = hyper(
    "final_div_factor", 1e4, above=0, doc="The value at the start divided by that in the end."
)
three_phase = flag(
    "three_phase",
    False,
    doc="Whether to come back to the start first, as fast as it rose, and then fall to the end.",
)
peak, valley = series("peak"), series("valley")
way, left = series("way"), series("left")
origin, goal = series("origin"), series("goal")
momentum_origin, momentum_goal = series("momentum_origin"), series("momentum_goal")

rising = (t < peak[t]) | ~pct_start
falling_back = three_phase & (t < valley[t])
last_phase = three_phase & (t >= valley[t])

OneCycleLR = Schedule(
    "OneCycleLR",
    summary="Rises once to a maximum and falls to next to nothing.",
    notes="A step after total_steps is refused. At total_steps itself, one step after the end, a "
    "cosine goes on as in torch; a line stays at its end, where torch's goes below zero.",
    paper="Smith & Topin 2018, arXiv:1708.07120",
    example="max_lr=1.0, total_steps=100",
    arguments=(
        *(max_lr, total_steps, epochs, steps_per_epoch, pct_start, anneal, cycle_momentum),
        *(base_momentum, max_momentum, div_factor, final_div_factor, three_phase),
    ),
    equations=(
        Eq(base, max_lr / div_factor),
        Eq(peak[t], pct_start * total_steps - 1),
        Eq(valley[t], when(three_phase, 2 * peak[t], peak[t])),
        Eq(
            way[t],
            when(
                rising,
                t / peak[t],
                when(
                    falling_back,
                    (t - peak[t]) / (valley[t] - peak[t]),
                    (t - valley[t]) / (total_steps - 1 - valley[t]),
                ),
            ),
        ),
        Eq(left[t], when(anneal["cos"], (1 + cos(pi * way[t])) / 2, Max(0, 1 - way[t]))),
        Eq(origin[t], when(rising | last_phase, base, max_lr)),
        Eq(goal[t], when(rising, max_lr, when(falling_back, base, base / final_div_factor))),
        Eq(
            momentum_origin[t],
            when(rising | last_phase, max_momentum, base_momentum),
        ),
        Eq(momentum_goal[t], when(rising, base_momentum, max_momentum)),
        Eq(value[t], goal[t] + (origin[t] - goal[t]) * left[t]),
        Eq(momentum[t], momentum_goal[t] + (momentum_origin[t] - momentum_goal[t]) * left[t]),
    ),
    chainable=False,
    until=total_steps,
    torch_keys={
        "_schedule_phases": None,
        "_anneal_func_type": anneal,
        "use_beta1": None,
    },
)
