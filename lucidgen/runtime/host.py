"""Calling generated functions by name, and the arithmetic that runs once per step.

Owns the rule that a generated function gets exactly what its parameters name, the second attempt in
IEEE arithmetic where Python would raise, and ``Bucket``: what the parameters of a group that share
step count, scalar states and static choices have in common. Does not touch arrays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .rule import Rule, names_of

if TYPE_CHECKING:
    from .groups import Settings


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


def evaluate(function: Callable[..., Any], available: Mapping[str, Any]) -> dict[str, float | bool]:
    """Host arithmetic: Python floats, or IEEE results where Python raises or leaves the reals."""
    try:
        found = call(function, available)
    except (ZeroDivisionError, OverflowError):
        found = None
    if found is None or any(isinstance(value, complex) for value in found.values()):
        wrapped = {
            name: np.float64(value) if type(value) in (float, int) else value
            for name, value in available.items()
        }
        with np.errstate(all="ignore"):
            found = call(function, wrapped)
    return {
        name: bool(value) if isinstance(value, bool | np.bool_) else float(value)
        for name, value in found.items()
    }


class Bucket:
    """What the parameters of a group with equal step count, scalars and choices have in common.

    ``values`` is everything a step function may name, arrays apart; ``choices`` the part of it that
    is static, ``scalars`` the new values of the scalar states by key.
    """

    __slots__ = ("arguments", "choices", "packed", "scalars", "settings", "t", "values")

    def __init__(
        self,
        rule: Rule,
        settings: Settings,
        t: int,
        firsts: tuple[str, ...],
        scalars: tuple[float, ...],
    ) -> None:
        self.settings = settings
        self.t = t
        self.choices = settings.choices_at(t, firsts)
        self.values: dict[str, Any] = {"t": float(t), **settings.values, **self.choices}
        states = settings.scalars
        # A scalar state that these choices do not need is still a parameter of the function.
        self.values.update({state.name: 0.0 for state in rule.scalar_states})
        self.values.update({state.name: old for state, old in zip(states, scalars, strict=True)})
        if rule.scalars is not None:
            found = evaluate(rule.scalars, self.values)
            self.values.update(found)
            self.choices.update(
                {name: value for name, value in found.items() if isinstance(value, bool)}
            )
        self.scalars = {state.key: self.values[state.name] for state in states}
        self.packed: Any = None  # the compiled step's
        self.arguments: dict[Any, tuple[Any, ...]] = {}  # the NumPy step's, by type of the weights

    def scaled(self, factor: Any) -> Bucket:
        """The bucket with gradients that are multiplied by a number, or by an MLX array."""
        made = copy.copy(self)
        made.choices = {**self.choices, "scale_grad": True}
        made.values = {**self.values, "scale_grad": True}
        made.values["grad_factor"] = factor * self.values["grad_factor"]
        made.packed, made.arguments = None, {}
        return made
