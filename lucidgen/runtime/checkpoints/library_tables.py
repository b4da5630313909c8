"""What other libraries call the states of an optimizer, and in what unit they keep them.

Owns these facts, as data; reading and converting is done in ``foreign``. The *unit* of a state is
what it grows by for a gradient of 1: torch's momentum buffer grows by 1, keras's, which holds the
learning rate, by -lr, a moving average by 1 - momentum. A state goes from one unit to another by
their quotient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Unit = Callable[[Mapping[str, float]], float]
"""The unit of a state, given values of its group."""

#: The values that units depend on.
IN_UNITS = ("lr", "momentum", "dampening")


def plain(values: Mapping[str, float]) -> float:
    """That of a sum of gradients."""
    return 1.0


def of_lr(values: Mapping[str, float]) -> float:
    """That of a sum of scaled gradients."""
    return values["lr"]


def of_minus_lr(values: Mapping[str, float]) -> float:
    """That of a sum of updates."""
    return -values["lr"]


def dampened(values: Mapping[str, float]) -> float:
    """That of a sum of dampened gradients."""
    return 1.0 - values.get("dampening", 0.0)


def averaged(values: Mapping[str, float]) -> float:
    """That of a moving average, whose weights add up to 1."""
    return 1.0 - values["momentum"]


#: The units of our own states, by class and dialect; those that are not here are plain.
UNITS: Mapping[tuple[str, str], Mapping[str, Unit]] = {
    ("SGD", "torch"): {"momentum_buffer": dampened},
    ("SGD", "mlx"): {"momentum_buffer": dampened},
    ("SGD", "keras"): {"momentum_buffer": of_minus_lr},
    ("RMSprop", "keras"): {"momentum_buffer": of_lr},
    ("RMSprop", "optax"): {"momentum_buffer": of_minus_lr},
    ("RMSprop", "paper"): {"momentum_buffer": of_minus_lr},
}


@dataclass(frozen=True)
class Kept:
    """How a library keeps the state of one optimizer.

    ``keys`` are ours by the library's, ``units`` those that are not plain, by the library's keys.
    ``dialects`` are the readings that go on from this state as the library does: the first with all
    its options, the others where they agree with it. ``settings`` are entries of the library's
    groups that must have these values, since nothing here does otherwise.
    """

    dialects: tuple[str, ...]
    keys: Mapping[str, str]
    units: Mapping[str, Unit] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


MLX = {
    "SGD": Kept(("mlx", "torch"), {"v": "momentum_buffer"}, {"v": dampened}),
    # The reading of torch is that of bias_correction=True.
    "Adam": Kept(("mlx", "torch"), {"m": "exp_avg", "v": "exp_avg_sq"}),
    "AdamW": Kept(("mlx", "torch"), {"m": "exp_avg", "v": "exp_avg_sq"}),
    "Adamax": Kept(("mlx",), {"m": "exp_avg", "v": "exp_inf"}),
    "Adagrad": Kept(("mlx", "torch"), {"v": "sum"}),
    "Adadelta": Kept(("torch",), {"v": "square_avg", "u": "acc_delta"}),
    "RMSprop": Kept(("torch",), {"v": "square_avg"}),
    "Lion": Kept(("paper",), {"m": "exp_avg"}),
}

_OF_KERAS = {"momentum": "exp_avg", "velocity": "exp_avg_sq"}
KERAS = {
    "SGD": Kept(("keras", "torch"), {"momentum": "momentum_buffer"}, {"momentum": of_minus_lr}),
    "Adam": Kept(("keras",), {**_OF_KERAS, "velocity_hat": "max_exp_avg_sq"}),
    "AdamW": Kept(("keras",), {**_OF_KERAS, "velocity_hat": "max_exp_avg_sq"}),
    # The product of mu is one variable for all parameters, without a name of its own.
    "NAdam": Kept(("keras",), {**_OF_KERAS, "variable": "mu_product"}),
    "Adamax": Kept(("keras", "lucid2"), {"momentum": "exp_avg", "norm": "exp_inf"}),
    "Adagrad": Kept(("keras", "optax"), {"accumulator": "sum"}),
    "Adadelta": Kept(
        ("keras", "torch"),
        {"accumulated_grad": "square_avg", "accumulated_delta_var": "acc_delta"},
    ),
    "RMSprop": Kept(
        ("keras", "lucid2"),
        {
            "velocity": "square_avg",
            "momentum": "momentum_buffer",
            "average_gradient": "grad_avg",
        },
        {"momentum": of_lr},
    ),
    "Lion": Kept(("paper",), {"momentum": "exp_avg"}),
}

_MOMENTS = {"mu": "exp_avg", "nu": "exp_avg_sq"}
OPTAX = {
    # optax.sgd keeps a trace; a chain with optax.ema, whose debias is off, an average.
    "SGD": Kept(
        ("torch",), {"trace": "momentum_buffer", "ema": "momentum_buffer"}, {"ema": averaged}
    ),
    "Adam": Kept(("optax", "torch"), {**_MOMENTS, "nu_max": "max_exp_avg_sq"}),
    "AdamW": Kept(("optax", "torch"), {**_MOMENTS, "nu_max": "max_exp_avg_sq"}),
    "NAdam": Kept(("optax",), _MOMENTS),
    "RAdam": Kept(("optax",), _MOMENTS),
    "Adamax": Kept(("optax", "torch"), {"mu": "exp_avg", "nu": "exp_inf"}),
    "Adagrad": Kept(("optax", "keras"), {"sum_of_squares": "sum"}),
    "Adadelta": Kept(("torch",), {"e_g": "square_avg", "e_x": "acc_delta"}),
    "RMSprop": Kept(
        ("optax", "keras", "lucid2"),
        {"mu": "grad_avg", "nu": "square_avg", "trace": "momentum_buffer"},
        {"trace": of_minus_lr},
    ),
    "Rprop": Kept(("optax",), {"step_sizes": "step_size", "prev_updates": "prev"}),
    "Lion": Kept(("paper",), {"mu": "exp_avg"}),
    "SignSGD": Kept(("paper",), {"ema": "momentum_buffer"}),
    "AdaBelief": Kept(("paper",), {"mu": "exp_avg", "nu": "exp_avg_var"}),
    "Yogi": Kept(("pytorch_optimizer",), _MOMENTS),
    "ADOPT": Kept(("paper",), _MOMENTS),
    "AdEMAMix": Kept(("paper",), {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"}),
    "MADGRAD": Kept(("pytorch_optimizer",), {"s": "s", "grad_sum_sq": "grad_sum_sq", "x0": "x0"}),
}


def _same(dialect: str, keys: str, **settings: Any) -> Kept:
    """States of the same names as ours."""
    return Kept((dialect,), {key: key for key in keys.split()}, settings=settings)


_PLAIN_DECAY = {"fixed_decay": False}
_MOMENTS_OF_TORCH = "exp_avg exp_avg_sq"
PYTORCH_OPTIMIZER = {
    "Lion": _same("paper", "exp_avg", weight_decouple=True, **_PLAIN_DECAY),
    "SignSGD": _same("paper", "momentum_buffer", weight_decouple=True),
    "Adan": _same(
        "pytorch_optimizer",
        "exp_avg exp_avg_diff exp_avg_sq previous_grad",
        weight_decouple=False,
        max_grad_norm=0.0,
    ),
    "AdaBelief": _same(
        "paper",
        "exp_avg exp_avg_var",
        weight_decouple=True,
        rectify=False,
        ams_bound=False,
        **_PLAIN_DECAY,
    ),
    "Yogi": _same("pytorch_optimizer", _MOMENTS_OF_TORCH, weight_decouple=True, **_PLAIN_DECAY),
    "ADOPT": _same("pytorch_optimizer", _MOMENTS_OF_TORCH, **_PLAIN_DECAY),
    "AdEMAMix": _same(
        "paper", "exp_avg exp_avg_slow exp_avg_sq", weight_decouple=True, **_PLAIN_DECAY
    ),
    "QHAdam": _same(
        "pytorch_optimizer",
        "beta1_weight beta2_weight exp_avg exp_avg_sq",
        weight_decouple=False,
        **_PLAIN_DECAY,
    ),
    "AggMo": _same(
        "paper",
        "momentum_buffer1 momentum_buffer2 momentum_buffer3",
        weight_decouple=False,
        **_PLAIN_DECAY,
    ),
    "MADGRAD": _same("pytorch_optimizer", "grad_sum_sq s x0", weight_decouple=False),
}
#: Our arguments by the library's names, where they differ.
RENAMED: Mapping[str, tuple[str, ...]] = {
    "weight_decouple": ("decoupled_weight_decay",),
    "t_alpha_beta3": ("alpha_warmup", "beta3_warmup"),
}

LIBRARIES: Mapping[str, Mapping[str, Kept]] = {
    "mlx": MLX,
    "keras": KERAS,
    "optax": OPTAX,
    "pytorch_optimizer": PYTORCH_OPTIMIZER,
}
#: These save no parameter groups.
WITHOUT_GROUPS = ("mlx", "keras", "optax")
