"""Calling generated functions by name, and the arithmetic that runs once per step.

Owns the rule that a generated function gets exactly what its parameters name, the second attempt in
IEEE arithmetic where Python would raise, and where generated files lie that are no modules. Does
not touch arrays.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .rule import Rule, names_of


def file_of(module: str, ending: str) -> Path:
    """The file that a rule names like a module: of package.folder.adam, adam{ending} in there."""
    folder, _, name = module.rpartition(".")
    return Path(next(iter(importlib.import_module(folder).__path__))) / f"{name}{ending}"


def call(function: Callable[..., Any], available: Mapping[str, Any]) -> Any:
    """Call a generated function with what its parameters name."""
    names = names_of(function)
    try:
        arguments = {name: available[name] for name in names}
    except KeyError:
        raise unknown_name(function, available) from None
    return function(**arguments)


def unknown_name(function: Callable[..., Any], available: Mapping[str, Any]) -> TypeError:
    """The error for a generated function that names what the runtime does not know."""
    missing = [name for name in names_of(function) if name not in available]
    return TypeError(
        f"{function.__module__}.{function.__qualname__} names {', '.join(missing)}, which is no "
        f"hyperparameter, state, choice or host scalar of its rule; run `lucidgen build`"
    )


#: What host arithmetic gives where nothing out of the ordinary happens.
_PLAIN = frozenset((float, bool))


@cache
def step_names(rule: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parameters of a rule's step on arrays, after w and grad.

    First those that differ from call to call: states, draws and ``scratch``. The rest are scalars
    and static choices, which the parameters of a bucket have in common; a compiled loop reads the
    same.
    """
    names = names_of(rule.numpy)
    arrays = {"w", "grad", "scratch", *(state.name for state in rule.arrays)}
    arrays.update(draw.name for draw in rule.draws)
    count = sum(name in arrays for name in names)
    if names[:2] != ("w", "grad") or not arrays.issuperset(names[:count]):
        raise TypeError(
            f"{rule.numpy.__qualname__} must take w, grad, states and scratch first; "
            f"run `lucidgen build`"
        )
    return names[2:count], names[count:]


def call_in_ieee(
    function: Callable[..., Any],
    available: Mapping[str, Any],
    number: Callable[[Any], Any] = np.float64,
) -> Any:
    """Call a generated function; where Python raises (1/0, overflow), with IEEE's answers.

    Parameters
    ----------
    function : callable
        A function of numbers, and of arrays perhaps.
    available : mapping
        Values by name, in which numbers are Python's.
    number : callable
        Makes of a Python number one of the same value whose arithmetic is IEEE's.
    """
    try:
        return call(function, available)
    except (ZeroDivisionError, OverflowError):
        with np.errstate(all="ignore"):
            return call(function, _wrapped(available, number))


def _wrapped(available: Mapping[str, Any], number: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        name: number(value) if type(value) in (float, int) else value
        for name, value in available.items()
    }


def evaluate(function: Callable[..., Any], available: Mapping[str, Any]) -> dict[str, float | bool]:
    """Host arithmetic: Python floats, or IEEE results where Python raises or leaves the reals."""
    found = call_in_ieee(function, available)
    if _PLAIN.issuperset(map(type, found.values())):
        return found  # type: ignore[no-any-return]
    if any(isinstance(value, complex) for value in found.values()):
        with np.errstate(all="ignore"):
            found = call(function, _wrapped(available, np.float64))
    return {
        name: bool(value) if isinstance(value, bool | np.bool_) else float(value)
        for name, value in found.items()
    }
