"""The conformance cases: optimizers, settings, start values and gradients, as plain NumPy data.

What the recording scripts and the tests share.  Nothing here knows a library or how results are
compared.  The gradients are fixed sequences that do not depend on the parameters: a difference in
one step then stays what it is instead of feeding back through a loss, so that a tolerance can be
derived.  Weight decay in the gradient still feeds back: where gradients are small, weights start so
large that no case reaches zero, about which they would swing and Adam's division would amplify
every rounding; or they are in the second parameter group, which has no decay.  The 0-d parameter
has gradients of one sign and no decay: it has no larger neighbour to be measured against when its
terms cancel.  Start values and gradients are exactly representable in float32, so one float64
recording is the yardstick for float64 and for float32 alike.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

STEPS = 50
CHECKPOINTS = (1, 2, 10, 25, 26, 50)
RESUME_AT = 25
LR_CHANGES_AT = 26  # from this step on the learning rate is a quarter of what it was
SEED = 20251212

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shape:
    """One parameter: its shape, layout, sizes of start values and gradients, steps without any."""

    name: str
    shape: tuple[int, ...]
    order: str
    start: float
    exponents: tuple[int, ...]  # of ten: the gradient's size at a step is drawn from these
    missing: frozenset[int] = frozenset()
    spread: bool = False  # elements fall from the drawn size by a factor 1e-8 along the array
    group: int = 0
    positive: bool = False  # all gradients are


PARAMETERS = (
    Shape("line", (7,), "C", 5.0, (0, -1), spread=True),
    Shape("tiny", (3, 4), "C", 5.0, (-6, -7, -8)),
    Shape("mixed", (4, 3), "F", 5.0, (0, -1, -2, -3, -4, -5, -6, -7, -8)),
    Shape("heavy", (2, 3, 2), "C", 100.0, (-2, -3)),
    Shape("sparse", (5,), "C", 0.0, (0, -1), frozenset({1, 5, 6, 26, 40})),
    Shape("fresh", (4,), "C", 0.0, (-6, -7, -8), group=1),
    Shape("point", (), "C", 1.0, (0, -1), group=1, positive=True),
)

# What each parameter group has of its own, whatever the case says.
GROUPS: tuple[dict[str, Any], ...] = ({}, {"weight_decay": 0.0})
WITHOUT_DECAY = ("Rprop", "FTRL", "SRMM", "Fromage", "SM3", "SparseAdam", "Amos", "Gravity")
WITHOUT_DECAY += ("AdaShift", "A2GradUni", "A2GradInc", "A2GradExp", "AliG", "PolyakSGD")
WITHOUT_RATE = ("A2GradUni", "A2GradInc", "A2GradExp")  # nor a learning rate
# The gradients of these lack rows.
SPARSE = ("SparseAdam",)
# These read the loss, which has one of these values in each step.
OF_LOSS = ("AliG", "PolyakSGD")
LOSSES = (0.5, 0.03125, 2.0, 0.001953125, 0.25)


@dataclass(frozen=True)
class Case:
    """One optimizer with its arguments, and the group entries that change before a step."""

    name: str
    optimizer: str
    arguments: Mapping[str, Any]
    changes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def sparse(self) -> bool:
        """Whether gradients lack rows."""
        return self.optimizer in SPARSE

    @property
    def groups(self) -> tuple[dict[str, Any], ...]:
        """What each parameter group has of its own."""
        return ({}, {}) if self.optimizer in WITHOUT_DECAY else GROUPS

    def loss(self, step: int) -> float | None:
        """The loss in a step, for an optimizer that reads it."""
        return loss_of(self.optimizer, step)

    def schedule(self) -> dict[int, dict[str, Any]]:
        """The changes of the case and that of the learning rate, which all have that have one."""
        changes = {step: dict(values) for step, values in self.changes.items()}
        if self.optimizer not in WITHOUT_RATE:
            changes.setdefault(LR_CHANGES_AT, {})["lr"] = self.arguments.get("lr", 0.001) / 4
        return changes


def loss_of(optimizer: str, step: int) -> float | None:
    """The loss in a step, for an optimizer that reads it."""
    return LOSSES[step % len(LOSSES)] if optimizer in OF_LOSS else None


def change(
    case: Case, groups: Sequence[MutableMapping[str, Any]], values: Mapping[str, Any]
) -> None:
    """Change entries of an optimizer's groups, but for those that a group has of its own."""
    for group, own in zip(groups, case.groups[: len(groups)], strict=True):
        for key in values.keys() - own.keys():
            group[key] = values[key]


def starts() -> list[Array]:
    """The start values in float64, in the order and layout of PARAMETERS; new arrays each call."""
    return [values.copy(order="K") for values in _starts()]


@cache
def _starts() -> list[Array]:
    random = np.random.RandomState(SEED)
    return [_layout(p.start * _uniform(random, p.shape), p.order) for p in PARAMETERS]


def gradients(sparse: bool = False) -> list[list[Array | None]]:
    """For each step the gradient of each parameter in float64, None where it is missing.

    A gradient has the other layout than its parameter: in real networks layouts differ. Half of the
    rows of a sparse one, or of the elements of a vector, are zero, and some elements of other rows.
    """
    random = np.random.RandomState(SEED + 1)
    found = [[_gradient(random, p, step) for p in PARAMETERS] for step in range(1, STEPS + 1)]
    for grad in itertools.chain.from_iterable(found if sparse else ()):
        if grad is not None and grad.ndim:
            missing = random.random_sample(len(grad)) < 0.5
            missing[random.randint(len(grad))] = False
            grad[missing] = 0.0
            if grad.ndim > 1:
                grad[random.random_sample(grad.shape) < 0.2] = 0.0
    return found


def _gradient(random: np.random.RandomState, p: Shape, step: int) -> Array | None:
    size = 10.0 ** p.exponents[random.randint(len(p.exponents))]
    values = size * _uniform(random, p.shape)
    if p.positive:
        values = np.abs(values)
    if p.spread:
        count = values.size - 1
        values *= np.array([float(f"1e-{8 * i // count}") for i in range(count + 1)])
    return None if step in p.missing else _layout(values, "C" if p.order == "F" else "F")


def _uniform(random: np.random.RandomState, shape: tuple[int, ...]) -> Array:
    """Numbers in (-1, 1), none of them zero; the same on every machine, as no libm is involved."""
    magnitude = 0.1 + 0.9 * random.random_sample(shape)
    return np.asarray(np.where(random.random_sample(shape) < 0.5, -magnitude, magnitude))


def _layout(values: Array, order: str) -> Array:
    return np.array(values.astype(np.float32), dtype=np.float64, order=order)  # type: ignore[call-overload,no-any-return]


def _combine(optimizer: str, common: dict[str, Any], **choices: tuple[Any, ...]) -> Iterator[Case]:
    """Every combination of the choices; the first value of each is not part of the name."""
    for values in itertools.product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        marked = [
            key if value is True else f"{key}={value}"
            for key, value in chosen.items()
            if value != choices[key][0]
        ]
        yield Case("-".join([optimizer, *marked]), optimizer, {**common, **chosen})


PLAIN: dict[str, tuple[Any, ...]] = {"weight_decay": (0.0, 0.1), "maximize": (False, True)}


def _sgd() -> Iterator[Case]:
    yield Case("SGD-defaults", "SGD", {})
    heavy_ball = {"momentum": (0.0, 0.9), "dampening": (0.0, 0.3)}
    yield from _combine("SGD", {"lr": 0.05}, **heavy_ball, **PLAIN)
    nesterov = {"lr": 0.05, "momentum": 0.9, "nesterov": True}
    for case in _combine("SGD", nesterov, **PLAIN):
        yield Case(case.name.replace("SGD", "SGD-nesterov", 1), "SGD", case.arguments)
    # The momentum buffer starts in whichever step momentum is first switched on, and is kept
    # while momentum is off.
    for extra in ({}, {"weight_decay": 0.1}, {"dampening": 0.3, "maximize": True}):
        marked = [key if value is True else f"{key}={value}" for key, value in extra.items()]
        yield Case(
            "-".join(["SGD-momentum_on_at_10", *marked]),
            "SGD",
            {"lr": 0.05, "momentum": 0.0, **extra},
            {10: {"momentum": 0.9}, 20: {"momentum": 0.0}, 24: {"momentum": 0.5}},
        )


def _adam(optimizer: str) -> Iterator[Case]:
    decay = (0.0, 0.1)
    yield from _combine(
        optimizer,
        {"lr": 0.01},
        weight_decay=decay,
        amsgrad=(False, True),
        maximize=(False, True),
    )
    yield from _common(optimizer)
    large = {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "amsgrad": True, "weight_decay": 0.1}
    yield Case(f"{optimizer}-large_eps-amsgrad-weight_decay=0.1", optimizer, large)


def _nadam() -> Iterator[Case]:
    yield from _combine("NAdam", {"lr": 0.01}, **_decoupled())
    yield from _common("NAdam")
    fast = {"lr": 0.01, "momentum_decay": 0.05, "weight_decay": 0.1}
    yield Case("NAdam-momentum_decay=0.05", "NAdam", fast)


def _radam() -> Iterator[Case]:
    yield from _combine("RAdam", {"lr": 0.01}, **_decoupled())
    yield from _common("RAdam")
    # beta2 = 0.5: the rectification is never defined.
    yield Case("RAdam-never_rectified", "RAdam", {"lr": 0.01, "betas": (0.9, 0.5)})
    # beta2 = 0.9999: rho is 4.9996 at step 5, where float32 cannot tell it from 5.
    yield Case("RAdam-beta2=0.9999", "RAdam", {"lr": 0.01, "betas": (0.9, 0.9999)})


def _decoupled() -> dict[str, tuple[Any, ...]]:
    return {
        "weight_decay": (0.0, 0.1),
        "decoupled_weight_decay": (False, True),
        "maximize": (False, True),
    }


def _common(optimizer: str) -> Iterator[Case]:
    """Defaults, values that are not the default, and settings changed between steps."""
    yield Case(f"{optimizer}-defaults", optimizer, {})
    large = {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3}
    yield Case(f"{optimizer}-large_eps", optimizer, large)
    yield Case(f"{optimizer}-beta1=0", optimizer, {"lr": 0.01, "betas": (0.0, 0.99)})
    yield Case(
        f"{optimizer}-changing",
        optimizer,
        {"lr": 0.01, "weight_decay": 0.0},
        {12: {"weight_decay": 0.1}, 20: {"betas": (0.8, 0.99)}, 30: {"eps": 1e-3}},
    )


def _adamax() -> Iterator[Case]:
    yield from _combine("Adamax", {"lr": 0.01}, **PLAIN)
    yield from _common("Adamax")


def _asgd() -> Iterator[Case]:
    yield Case("ASGD-defaults", "ASGD", {})
    common = {"lr": 0.05, "lambd": 0.01}
    yield from _combine("ASGD", common, t0=(10.0, 1e6), **PLAIN)
    yield Case("ASGD-momentum=0.9", "ASGD", {"lr": 0.05, "t0": 10.0, "momentum": 0.9})
    yield Case(
        "ASGD-changing",
        "ASGD",
        {**common, "t0": 10.0, "weight_decay": 0.0},
        {12: {"weight_decay": 0.1}, 20: {"alpha": 0.6}, 30: {"lambd": 0.1}, 40: {"t0": 20.0}},
    )


def _adagrad() -> Iterator[Case]:
    yield Case("Adagrad-defaults", "Adagrad", {})
    yield from _combine("Adagrad", {"lr": 0.05}, lr_decay=(0.0, 0.1), **PLAIN)
    for start in ({}, {"initial_accumulator_value": 0.1}):
        marked = "".join(f"-{key}={value}" for key, value in start.items())
        large = {"lr": 0.05, "eps": 1e-3, "weight_decay": 0.1}
        yield Case(f"Adagrad-large_eps{marked}", "Adagrad", {**large, **start})
    yield Case(
        "Adagrad-changing",
        "Adagrad",
        {"lr": 0.05, "weight_decay": 0.0},
        {12: {"weight_decay": 0.1}, 20: {"lr_decay": 0.2}, 30: {"eps": 1e-3}},
    )


def _adadelta() -> Iterator[Case]:
    yield Case("Adadelta-defaults", "Adadelta", {})
    yield from _combine("Adadelta", {"lr": 0.5}, **PLAIN)
    yield Case("Adadelta-large_eps", "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3})
    yield Case(
        "Adadelta-changing",
        "Adadelta",
        {"lr": 0.5, "weight_decay": 0.0},
        {12: {"weight_decay": 0.1}, 20: {"rho": 0.8}, 30: {"eps": 1e-3}},
    )


def _rmsprop() -> Iterator[Case]:
    yield Case("RMSprop-defaults", "RMSprop", {})
    yield from _combine(
        "RMSprop", {"lr": 0.001}, momentum=(0.0, 0.5), centered=(False, True), **PLAIN
    )
    large = {"lr": 0.001, "alpha": 0.9, "eps": 1e-3, "momentum": 0.9}
    yield Case("RMSprop-large_eps", "RMSprop", large)
    yield Case("RMSprop-large_eps-centered", "RMSprop", {**large, "centered": True})
    yield Case(
        "RMSprop-changing",
        "RMSprop",
        {"lr": 0.001, "weight_decay": 0.0, "momentum": 0.5},
        {12: {"weight_decay": 0.1}, 20: {"alpha": 0.9}, 25: {"momentum": 0.3}, 30: {"eps": 1e-3}},
    )


def _rprop() -> Iterator[Case]:
    yield Case("Rprop-defaults", "Rprop", {})
    yield from _combine("Rprop", {"lr": 0.01}, maximize=(False, True))
    narrow = {"lr": 0.01, "etas": (0.4, 1.5), "step_sizes": (2e-3, 0.02)}
    yield Case("Rprop-narrow", "Rprop", narrow)
    yield Case("Rprop-start_below_the_smallest", "Rprop", {**narrow, "lr": 1e-3})
    yield Case("Rprop-changing", "Rprop", {"lr": 0.01}, {20: {"etas": (0.4, 1.5)}})


def _eps_root() -> Iterator[Case]:
    """An argument of optax's."""
    for optimizer in ("Adam", "AdamW", "NAdam", "RAdam"):
        yield Case(f"{optimizer}-eps_root", optimizer, {"lr": 0.01, "eps_root": 1e-4})
    yield Case("Adam-eps_root-amsgrad", "Adam", {"lr": 0.01, "eps_root": 1e-4, "amsgrad": True})


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *_sgd(),
        *_adam("Adam"),
        *_adam("AdamW"),
        *_nadam(),
        *_radam(),
        *_adamax(),
        *_asgd(),
        *_adagrad(),
        *_adadelta(),
        *_rmsprop(),
        *_rprop(),
        *_eps_root(),
    )
}


def fingerprint(cases: Mapping[str, Case] = CASES) -> str:
    """A digest of all the data above: a recording made from other data is found by it."""
    digest = hashlib.sha256()
    described = [(c.name, c.optimizer, c.arguments, c.schedule()) for c in cases.values()]
    digest.update(json.dumps([described, CHECKPOINTS, GROUPS]).encode())
    for values in [*starts(), *itertools.chain.from_iterable(gradients())]:
        digest.update(b"none" if values is None else values.tobytes(order="C"))
    return digest.hexdigest()
