"""What can be wrong with the names and the arguments of a spec.

Owns the rules about declarations; `check.py` owns those about equations and runs all of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .errors import Location, Problem, nearest
from .names import (
    OPTIMIZER,
    OPTIMIZER_CLASSES,
    SEED,
    class_problems,
    is_name,
    not_a_name,
    of_optimizers,
    problems_of,
)
from .optimizer import OptimizerSpec
from .quantities import (
    ROLES,
    At,
    Bounds,
    Flag,
    Given,
    Hyper,
    HyperTuple,
    Shape,
    keyword_only,
    roles_of,
    symbols_of,
    update,
)

#: Keys that the runtime has uses for beside the states.
RESERVED_KEYS = {
    *("step", "group_step", "started", "params", "lr", "grad_norm", "master_weight", "grad_sum"),
}


def names(spec: OptimizerSpec) -> Iterator[Problem]:
    """Names are identifiers, unique over series, arguments and what the compiler makes."""
    for name in spec.names:
        yield from class_problems(name, OPTIMIZER_CLASSES, spec.location)
    if not is_name(spec.reading):
        yield not_a_name(spec.reading, "the name of a dialect", spec.location)
    owners: dict[str, tuple[str, Any]] = {}
    taken = of_optimizers() | made_of(spec)
    taken_arguments = taken | OPTIMIZER | noted_beside(spec)
    taken_arguments |= {SEED} if spec.takes_seed else set()

    def claim(name: str, kind: str, owner: Any, location: Location) -> Iterator[Problem]:
        own = taken if kind == "series" else taken_arguments
        yield from problems_of(name, kind, own, location)
        if name in owners and owners[name] != (kind, owner):
            yield Problem(
                location,
                f"the {kind} {name!r} shadows the {owners[name][0]} {name!r}",
                "Give one of the two another name.",
            )
        owners[name] = (kind, owner)

    read = {s for e in spec.equations for s in e.right.atoms(Shape, Given)}
    kinds = {Shape: "number of the shape", Given: "number of the step"}
    owners |= {number.name: (kinds[type(number)], number) for number in read}

    for argument in spec.parameters:
        kind = "flag" if isinstance(argument, Flag) else "hyperparameter"
        if isinstance(argument, HyperTuple):
            yield from claim(argument.name, kind, argument, argument.location)
            for symbol in argument.symbols:
                yield from claim(symbol.name, kind, symbol, argument.location)
        else:
            yield from claim(argument.name, kind, argument, argument.location)
    everywhere = {
        at.series
        for e in spec.equations
        for at in (e.left, *e.right.atoms(At))
        if isinstance(at, At)
    }
    for series in sorted(everywhere):
        if series.name not in ("w", "grad") and series != update:
            yield from claim(series.name, "series", series, series.location)
    saved = Counter(s.saved_as for s in spec.states)
    for series in spec.states:
        if not series.saved_as.isidentifier():
            yield Problem(
                series.location,
                f"the state {series} is saved as {series.saved_as!r}, which is no identifier",
                "Give it a saved_as such as 'exp_avg'.",
            )
        if saved[series.saved_as] > 1 or series.saved_as in RESERVED_KEYS:
            yield Problem(
                series.location,
                f"the state {series} is saved as {series.saved_as!r}, which is taken",
                "Give it another saved_as.",
            )


def made_of(spec: OptimizerSpec) -> set[str]:
    """The names that the compiler makes of an author's: `first_m`, `use_weight_decay`."""
    first = {f"first_{series}" for series in spec.by_moment("first")}
    return first | {f"use_{hyper.name}" for hyper in spec.hypers if hyper.special is not None}


def noted_beside(spec: OptimizerSpec) -> set[str]:
    """What groups and states have beside arguments of these names, and calls take for the rate."""
    rate = roles_of(spec.parameters).get("rate")
    found = {f"initial_{hyper.name}" for hyper in spec.hypers}
    if rate is not None:
        found |= {"step"} if rate.name == "step" else {"learning_rate"} - {rate.name}
    return found


def arguments(spec: OptimizerSpec) -> Iterator[Problem]:
    """Arguments are declared, legal by default, listed once and used."""
    for argument in spec.arguments:
        if argument is not keyword_only and argument not in spec.parameters:
            yield Problem(
                spec.location,
                f"{argument!r} in `arguments` is no argument",
                "List hypers and flags; for betas, the tuple and not its parts.",
            )
    count = Counter(argument.name for argument in spec.parameters)
    yield from (
        Problem(spec.location, f"the argument {name!r} is listed twice", "List it once.")
        for name, times in count.items()
        if times > 1
    )
    parts = Counter(s.name for a in spec.parameters for s in symbols_of(a))
    yield from (
        Problem(
            spec.location,
            f"{name!r} stands for two numbers: it is an argument or a part of a tuple, twice",
            "Give one of them another name.",
        )
        for name, times in parts.items()
        if times > 1 and count[name] < 2
    )
    for name in sorted(set(spec.defaults) - set(count)):
        yield Problem(
            spec.location,
            f"a default for {name!r}, which is no argument{nearest(name, count)}",
            "Name one of " + ", ".join(count) + ".",
        )
    yield from _wrong_bounds(spec)
    required = {s for r in spec.requirements for s in r.condition.free_symbols}
    for argument in spec.parameters:
        is_own = argument.name in spec.defaults or argument.name in spec.bounds
        place = spec.location if is_own else argument.location
        legal = spec.bounds.get(argument.name)
        legal = legal if isinstance(legal, Bounds) else None  # else said already
        yield from bad_default(argument, spec.default(argument), place, legal)
        symbols = set(symbols_of(argument))
        used = any(reading.uses(argument) for reading in spec.readings.values())
        unused = not used and not symbols & required
        if unused and argument not in spec.ignores and spec.base is None:
            yield Problem(
                argument.location,
                f"no equation of {spec.name} uses {argument.name}",
                "Use it here or in a dialect, or take it out of `arguments`.",
            )


def _wrong_bounds(spec: OptimizerSpec) -> Iterator[Problem]:
    """What is wrong with the ranges that differ from those of the declarations."""
    known = [a.name for a in spec.parameters if not isinstance(a, Flag)]
    for name, legal in spec.bounds.items():
        if name not in known:
            yield Problem(
                spec.location,
                f"bounds for {name!r}, which is no hyperparameter{nearest(str(name), known)}",
                f"Name one of {', '.join(known)}.",
            )
        elif not isinstance(legal, Bounds):
            yield Problem(
                spec.location,
                f"the bounds of {name} are {legal!r}",
                "Write Bounds(at_least=0), or Bounds() for any finite number.",
            )


def roles(spec: OptimizerSpec) -> Iterator[Problem]:
    """Roles are known, of one argument each, and of what can play them."""
    first: dict[str, str] = {}
    for argument in spec.parameters:
        if isinstance(argument, Flag) or not argument.role:
            continue
        name, role = argument.name, argument.role
        if role not in ROLES:
            known = ", ".join(map(repr, ROLES))
            yield Problem(
                argument.location,
                f"{name} has the role {role!r}, which nobody asks for{nearest(role, ROLES)}",
                f"Name one of {known}, or none.",
            )
        elif first.setdefault(role, name) != name:
            yield Problem(
                argument.location,
                f"{name} has the role {role!r}, and so has {first[role]}",
                "Give it to one of them.",
            )
        elif role != "momentum" and isinstance(argument, HyperTuple):
            yield Problem(
                argument.location,
                f"{name} has the role {role!r} and is a tuple",
                "Make the number that has this role an argument by itself.",
            )
        elif role == "decay" and not _can_be_left_out(argument.symbols[0], spec.legal(argument)):
            yield Problem(
                argument.location,
                f"{name} is the decay and must be {spec.legal(argument)}: there is no "
                "value without decay",
                "Let it be 0, or name the value without decay as special=...",
            )
    rate = roles_of(spec.parameters).get("rate")
    for series in spec.states:
        if rate is not None and series.saved_as == rate.name not in RESERVED_KEYS:
            yield Problem(
                series.location,
                f"the state {series} is saved as {series.saved_as!r}, which is the rate",
                "Give it another saved_as.",
            )


def _can_be_left_out(decay: Hyper, legal: Bounds) -> bool:
    """Whether there is a value at which nothing decays."""
    return decay.special is not None or legal.admits(0)


def bad_default(
    argument: Any, value: Any, place: Location, legal: Bounds | None = None
) -> Iterator[Problem]:
    """What is wrong with the default and the limits of a hyperparameter or flag.

    Its limits are those of its declaration, unless there are other `legal` ones.
    """
    if isinstance(argument, Flag):
        if not isinstance(value, bool):
            yield Problem(
                place,
                f"the default of the flag {argument.name} is {value!r}",
                "A flag is True or False.",
            )
        return
    values = (value,) if isinstance(argument, Hyper) else value
    if not isinstance(values, tuple) or len(values) != len(argument.symbols):
        yield Problem(
            place,
            f"the default of {argument.name} is {value!r}",
            f"Give a tuple of {len(argument.symbols)} numbers.",
        )
        return
    legal = legal or argument.symbols[0].bounds
    limits = {"special": argument.symbols[0].special, **vars(legal)}
    for name, limit in limits.items():
        if limit is not None and not _is_number(limit):
            yield Problem(
                argument.location,
                f"{name} of {argument.name} is {_said(limit)}, which is no finite number",
                "Give a float.",
            )
            return
    for symbol, number in zip(argument.symbols, values, strict=True):
        if isinstance(number, bool) or not isinstance(number, int | float):
            yield Problem(
                place, f"the default of {symbol} is {number!r}, which is no number", "Give a float."
            )
        elif isinstance(number, int) and not _is_number(number):
            yield Problem(
                place, f"the default of {symbol} is {_said(number)}", "Give a smaller number."
            )
        elif not legal.admits(number):
            yield Problem(
                place,
                f"the default of {symbol} is {number!r}, out of its own range",
                f"It must be {legal}.",
            )


def _said(value: Any) -> str:
    """A value in a message; of a huge number not all digits."""
    is_huge = isinstance(value, int) and not isinstance(value, bool) and not _is_number(value)
    return "larger than any float" if is_huge else repr(value)


def _is_number(value: Any) -> bool:
    """Whether a value is a number, and a double can hold it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
