"""Schedules of the learning rate, or of any other hyperparameter, as closed forms."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    Rational,
    Schedule,
    cos,
    flag,
    floor,
    hyper,
    keyword_only,
    log,
    pi,
    series,
    sqrt,
    when,
)
from lucidgen.spec.schedule import (
    base,
    choice,
    function,
    momentum,
    points,
    required,
    t,
    value,
    whole,
)

SGDR = "Loshchilov & Hutter 2017, arXiv:1608.03983"

# Steps and powers

gamma = hyper("gamma", 0.1, above=0, doc="What each decay multiplies with.")
step_size = whole("step_size", at_least=1, doc="Steps between two decays.")

StepLR = Schedule(
    "StepLR",
    summary="Decays by a factor every so many steps.",
    example="step_size=30, gamma=0.5",
    arguments=(step_size, gamma),
    equations=(Eq(value[t], base * gamma ** floor(t / step_size)),),
)

milestones = points("milestones", doc="The steps at which it decays, in increasing order.")

MultiStepLR = Schedule(
    "MultiStepLR",
    summary="Decays by a factor at each of some milestones.",
    notes="A milestone that is given twice counts twice.",
    example="milestones=[30, 80], gamma=0.5",
    arguments=(milestones, gamma),
    equations=(Eq(value[t], base * gamma ** milestones.passed(t)),),
)

rate = hyper("gamma", required, above=0, doc="What each step multiplies with.")

ExponentialLR = Schedule(
    "ExponentialLR",
    summary="Decays by a factor at every step.",
    example="gamma=0.95",
    arguments=(rate,),
    equations=(Eq(value[t], base * rate**t),),
)

lr_lambda = function(
    "lr_lambda", saved_as="lr_lambdas", doc="The factor, as a function of the number of steps."
)

LambdaLR = Schedule(
    "LambdaLR",
    summary="Follows a function: the factor on the value at the start.",
    notes="Lucid 2 has the first two arguments the other way round; either order is understood.",
    example="lr_lambda=lambda t: 0.95**t",
    arguments=(lr_lambda,),
    equations=(Eq(value[t], base * lr_lambda(t)),),
    chainable=False,
)

# Lines and curves

factor = hyper("factor", 1 / 3, at_least=0, at_most=1, doc="The factor before the end.")
total_iters = hyper("total_iters", 5, at_least=0, doc="The number of steps until the end.")

ConstantLR = Schedule(
    "ConstantLR",
    summary="A constant factor for a number of steps, and none from then on.",
    example="factor=0.5, total_iters=40",
    arguments=(factor, total_iters),
    equations=(Eq(value[t], base * when(t < total_iters, factor, 1)),),
)

start_factor = hyper("start_factor", 1 / 3, above=0, at_most=1, doc="The factor at first.")
end_factor = hyper("end_factor", 1.0, at_least=0, at_most=1, doc="The factor in the end.")
length = hyper("total_iters", 5, above=0, doc="The number of steps until the end.")

LinearLR = Schedule(
    "LinearLR",
    summary="A factor that changes linearly from one value to another.",
    example="start_factor=0.1, total_iters=40",
    arguments=(start_factor, end_factor, length),
    equations=(
        Eq(
            value[t],
            base * (start_factor + (end_factor - start_factor) * Min(t, length) / length),
        ),
    ),
)

power = hyper("power", 1.0, at_least=0, doc="The power of the polynomial.")
PolynomialLR = Schedule(
    "PolynomialLR",
    summary="Decays to zero as a power of the remaining fraction of steps.",
    example="total_iters=100, power=2.0",
    arguments=(length, power),
    equations=(Eq(value[t], base * Max(0, 1 - t / length) ** power),),
)

T_max = hyper("T_max", required, above=0, doc="The number of steps from the top to the bottom.")
eta_min = hyper("eta_min", 0.0, doc="The smallest value.")

CosineAnnealingLR = Schedule(
    "CosineAnnealingLR",
    summary="Half a cosine from the start down to the smallest value, and up again.",
    paper=f"{SGDR}, equation (5), without restarts",
    example="T_max=100, eta_min=0.05",
    arguments=(T_max, eta_min),
    equations=(Eq(value[t], eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2),),
)

# Restarts and cycles

T_0 = whole("T_0", at_least=1, doc="The number of steps until the first restart.")
T_mult = whole(
    "T_mult", 1, at_least=1, special=1, doc="How many times longer each period is than the last."
)
nearly, restarts = series("nearly"), series("restarts")
begin, period = series("begin"), series("period")

CosineAnnealingWarmRestarts = Schedule(
    "CosineAnnealingWarmRestarts",
    summary="Half a cosine down to the smallest value, again and again.",
    notes="The logarithm is rounded to the nearest number, and the comparison says which side of "
    "a restart t lies on: rounding cannot misplace one. Steps may be fractions of epochs.",
    paper=f"{SGDR}, equation (5)",
    example="T_0=15, T_mult=2",
    arguments=(T_0, T_mult, eta_min),
    equations=(
        Eq(
            nearly[t],
            when(
                T_mult,
                floor(log(1 + (T_mult - 1) * t / T_0) / log(T_mult) + Rational(1, 2)),
                floor(t / T_0),
            ),
        ),
        Eq(
            restarts[t],
            when((t * (T_mult - 1) < T_0 * (T_mult ** nearly[t] - 1)), nearly[t] - 1, nearly[t]),
        ),
        Eq(
            begin[t],
            when(T_mult, T_0 * (T_mult ** restarts[t] - 1) / (T_mult - 1), T_0 * restarts[t]),
        ),
        Eq(period[t], T_0 * T_mult ** restarts[t]),
        Eq(
            value[t],
            eta_min + (base - eta_min) * (1 + cos(pi * (t - begin[t]) / period[t])) / 2,
        ),
    ),
    chainable=False,
    torch_keys={"T_cur": None, "T_i": None},
)

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
cycle, place = series("cycle"), series("place")
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
    "cosine goes on as in torch; a line stays at its end, where torch's goes below.",
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

# Warmup

model_size = hyper("model_size", required, above=0, doc="The width of the model.")
warmup = hyper("warmup_steps", required, above=0, doc="The number of steps up to the top.")
scale_factor = hyper("factor", 1.0, above=0, doc="A factor on all of it.")
step = series("step_number")

NoamScheduler = Schedule(
    "NoamScheduler",
    summary="Rises linearly, then decays with the square root of the steps.",
    notes="The value does not depend on the optimizer's own.",
    paper="Vaswani et al. 2017, arXiv:1706.03762, equation (3)",
    example="model_size=512, warmup_steps=40",
    arguments=(model_size, warmup, scale_factor),
    equations=(
        Eq(step[t], Max(t, 1)),
        Eq(
            value[t],
            scale_factor
            / sqrt(model_size)
            * Min(1 / sqrt(step[t]), step[t] / (warmup * sqrt(warmup))),
        ),
    ),
    chainable=False,
)

warmup_steps = hyper("warmup_steps", required, at_least=0, doc="The number of steps to rise.")
end_step = hyper("total_steps", required, above=0, doc="The step at which it has come down.")
first_factor = hyper("start_factor", 0.0, at_least=0, at_most=1, doc="The factor at first.")
last_factor = hyper("end_factor", 0.0, at_least=0, at_most=1, doc="The factor in the end.")
progress = series("progress")
rise = first_factor + (1 - first_factor) * t / warmup_steps

WarmupCosineLR = Schedule(
    "WarmupCosineLR",
    summary="A linear warmup, and half a cosine down.",
    paper=f"{SGDR}; warmup: Goyal et al. 2017, arXiv:1706.02677",
    example="warmup_steps=10, total_steps=100",
    arguments=(warmup_steps, end_step, first_factor, last_factor),
    requires=((warmup_steps < end_step, "warmup_steps must be below total_steps"),),
    equations=(
        Eq(progress[t], Min(1, (t - warmup_steps) / (end_step - warmup_steps))),
        Eq(
            value[t],
            base
            * when(
                t < warmup_steps,
                rise,
                last_factor + (1 - last_factor) * (1 + cos(pi * progress[t])) / 2,
            ),
        ),
    ),
)

stable_steps = hyper("stable_steps", required, at_least=0, doc="The number of steps to stay.")
decay_steps = hyper("decay_steps", required, above=0, doc="The number of steps to come down.")
shape = choice("decay", "linear", "cosine", "sqrt", doc="The shape of the decay.")
kept = series("kept")

WarmupStableDecayLR = Schedule(
    "WarmupStableDecayLR",
    summary="A linear warmup, a long constant phase, and a short decay.",
    paper="Hu et al. 2024, arXiv:2404.06395; the shape sqrt: Hägele et al. 2024, arXiv:2405.18392",
    example="warmup_steps=10, stable_steps=70, decay_steps=20",
    arguments=(warmup_steps, stable_steps, decay_steps, first_factor, last_factor, shape),
    equations=(
        Eq(progress[t], Min(1, Max(0, (t - warmup_steps - stable_steps) / decay_steps))),
        Eq(
            kept[t],
            when(
                shape["linear"],
                1 - progress[t],
                when(shape["cosine"], (1 + cos(pi * progress[t])) / 2, 1 - sqrt(progress[t])),
            ),
        ),
        Eq(
            value[t],
            base * when(t < warmup_steps, rise, last_factor + (1 - last_factor) * kept[t]),
        ),
    ),
)
