"""Schedules of the learning rate, or of any other hyperparameter, as closed forms."""

from lucidgen.spec import (
    Eq,
    Max,
    Min,
    Rational,
    Schedule,
    cos,
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
    notes="With total_iters=0 there is none from the start, where torch's never ends.",
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

swa_lr = hyper("swa_lr", required, doc="The value that it comes to, and keeps.")
anneal_epochs = whole("anneal_epochs", 10, at_least=0, doc="Steps to get there; 0 is at once.")
strategy = choice("anneal_strategy", "cos", "linear", doc="The shape of the way.")
way, left = series("way"), series("left")

SWALR = Schedule(
    "SWALR",
    summary="Goes from the value that it finds to another one, and keeps that.",
    notes="For averages of weights: step it in place of the scheduler beside it from where the "
    "average begins. It goes on from what that one left.",
    paper="Izmailov et al. 2018, arXiv:1803.05407",
    example="swa_lr=0.05, anneal_epochs=20",
    arguments=(swa_lr, anneal_epochs, strategy),
    equations=(
        Eq(way[t], when(t < anneal_epochs, t / anneal_epochs, 1)),
        Eq(left[t], when(strategy["cos"], (1 + cos(pi * way[t])) / 2, 1 - way[t])),
        Eq(value[t], base * left[t] + swa_lr * (1 - left[t])),
    ),
    settles=True,
    torch_keys={"_anneal_strategy": strategy},
)

# Restarts

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

# Warmup

d_model = whole("d_model", None, at_least=1, doc="The width of the model, as Lucid 3 calls it.")
model_size = whole("model_size", None, at_least=1, otherwise=d_model, doc="The width of the model.")
warmup = hyper("warmup_steps", 4000, above=0, doc="The number of steps up to the top.")
scale_factor = hyper("factor", 1.0, above=0, doc="A factor on all of it.")
step = series("step_number")

NoamScheduler = Schedule(
    "NoamScheduler",
    summary="Rises linearly, then decays with the square root of the steps.",
    notes="The value does not depend on the optimizer's own.",
    paper="Vaswani et al. 2017, arXiv:1706.03762, equation (3)",
    example="model_size=512, warmup_steps=40",
    arguments=(model_size, warmup, scale_factor, keyword_only, d_model),
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
