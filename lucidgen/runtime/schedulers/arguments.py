"""The arguments of schedules: what is legal, and how errors say what is not.

Owns the kinds of arguments that a schedule can have and the checking of their values. A number and
a function may also be given as a list, with one for each parameter group.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

from ..checking import as_number, nearest
from ..rules.rule import Flag


@dataclass(frozen=True)
class Number:
    """A number in a range; ``whole`` ones have no fraction, ``optional`` ones may be None.

    ``shared`` ones are the same for all groups, and cannot be given as a list.
    ``otherwise`` says what None stands for, from other arguments.
    """

    name: str
    whole: bool = False
    optional: bool = False
    shared: bool = False
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    otherwise: Callable[..., float] | None = None

    def checked(self, value: Any, label: str, groups: int) -> Any:
        """The number, or the list of numbers, one for each group."""
        if value is None and self.optional:
            return None
        is_list = isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1
        if is_list and not self.shared:
            found = [self._one(x, f"{label}[{i}]") for i, x in enumerate(value)]
            return _one_for_each(found, label, groups)
        return self._one(value, label)

    def _one(self, value: Any, label: str) -> float:
        number = as_number(value, label)
        if self.whole and not number.is_integer():
            raise ValueError(f"{label} must be a whole number, got {value!r}")
        legal = (
            ("at least", self.at_least, self.at_least is None or number >= self.at_least),
            ("above", self.above, self.above is None or number > self.above),
            ("at most", self.at_most, self.at_most is None or number <= self.at_most),
            ("below", self.below, self.below is None or number < self.below),
        )
        for text, limit, holds in legal:
            if not holds:
                raise ValueError(f"{label} must be {text} {limit:g}, got {value!r}")
        return int(number) if self.whole or isinstance(value, Integral) else number


@dataclass(frozen=True)
class Points:
    """An increasing list of whole numbers of steps."""

    name: str

    def checked(self, value: Any, label: str, groups: int) -> tuple[int, ...]:
        """The steps. torch saves them as a count of each; a repeated one counts twice."""
        if isinstance(value, Mapping):
            value = [step for step in sorted(value) for _ in range(value[step])]
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            raise TypeError(f"{label} must be a list of steps, got {value!r}")
        number = Number(self.name, whole=True, at_least=0)
        steps = [int(number._one(x, f"{label}[{i}]")) for i, x in enumerate(value)]
        if not steps:
            raise ValueError(f"{label} must hold at least one step")
        for i, (step, after) in enumerate(pairwise(steps)):
            if after < step:
                raise ValueError(
                    f"{label} must be in increasing order, got {after} at [{i + 1}] after {step}; "
                    f"sort them"
                )
        return tuple(steps)


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    name: str
    words: tuple[str, ...]

    def checked(self, value: Any, label: str, groups: int) -> str:
        """The word."""
        if value not in self.words:
            raise ValueError(
                f"{label} must be one of {', '.join(map(repr, self.words))}, got {value!r}; "
                f"{nearest(value, self.words)}"
            )
        return str(value)


@dataclass(frozen=True)
class Function:
    """A function of one number, or None if it is ``optional``.

    A scheduler has it, and saves it, as ``saved_as``: the attributes of an object, since the code
    of a function cannot be saved. What is not ``optional`` is saved for each group, as in torch.
    """

    name: str
    optional: bool = False
    saved_as: str = ""

    @property
    def saved_for_each(self) -> bool:
        """Whether the state of one function for all groups is saved for each of them."""
        return not self.optional

    def checked(self, value: Any, label: str, groups: int) -> Any:
        """The function, or the list of functions, one for each group."""
        if value is None and self.optional:
            return None
        if isinstance(value, list | tuple):
            found = [self._one(x, f"{label}[{i}]") for i, x in enumerate(value)]
            return _one_for_each(found, label, groups)
        return self._one(value, label)

    def _one(self, value: Any, label: str) -> Any:
        if not callable(value):
            raise TypeError(f"{label} must be a function of the step, got {value!r}")
        return value


Argument = Number | Points | Choice | Function | Flag


def _one_for_each(found: list[Any], label: str, groups: int) -> list[Any]:
    if len(found) != groups:
        raise ValueError(
            f"{label} must have one value for each parameter group, of which there are {groups}; "
            f"got {len(found)}"
        )
    return found


def checked(argument: Argument, value: Any, label: str, groups: int) -> Any:
    """The value of an argument, or an error that names it."""
    label = f"{label}: {argument.name}"
    if isinstance(argument, Flag):
        if not isinstance(value, bool):
            raise TypeError(f"{label} must be True or False, got {value!r}")
        return value
    return argument.checked(value, label, groups)


def of_group(value: Any, index: int) -> Any:
    """A group's own part of an argument that has one for each group."""
    return value[index] if isinstance(value, list) else value


def of_groups(values: list[Any], first: int, end: int, label: str) -> list[Any]:
    """The values for some groups of an argument that has one for each group."""
    if len(values) < end:
        raise ValueError(
            f"{label} must have one value for each parameter group, of which there are {end} now; "
            f"it has {len(values)}: append what the new ones shall have"
        )
    return values[first:end]


def function_state(argument: Function, value: Any, groups: int) -> Any:
    """What is saved of functions, as in torch: the attributes of objects, else None."""
    if isinstance(value, list):
        return [_attributes(function) for function in value]
    return (
        [_attributes(value) for _ in range(groups)]
        if argument.saved_for_each
        else _attributes(value)
    )


def _attributes(function: Any) -> dict[str, Any] | None:
    if function is None or isinstance(function, types.FunctionType):
        return None
    return dict(getattr(function, "__dict__", {}))


def restore_functions(value: Any, saved: Any) -> None:
    """Give the functions the attributes that were saved of them."""
    states = saved if isinstance(saved, list) else [saved]
    functions = value if isinstance(value, list) else [value] * len(states)
    for function, state in zip(functions, states, strict=False):
        if state and function is not None:
            function.__dict__.update(state)
