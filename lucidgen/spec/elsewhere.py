"""What other libraries keep of an optimizer, in terms of its own quantities.

Owns the meaning of `saved_elsewhere` in a spec, and the names of the libraries. A line of it says
what an entry of a library's state or groups is here, as an equation would:

    saved_elsewhere={
        "keras": {"momentum": -lr * b[t]},                # what it keeps is -lr times our b
        "pytorch_optimizer": {
            "k": t,                                       # it counts the steps
            "exp_avg": m[t],
            "warmup": (alpha_warmup, beta3_warmup),       # its argument for two of ours
            "step_size": (),                              # for none: it says nothing here
            "fixed_decay": False,                         # else it computes something else
            "weight_decouple": where(weight_decay, True), # that too, where there is a decay
        },
    }

What fits a spec is in `check_elsewhere`; how the libraries lay out what they save is known to the
runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from .quantities import Argument, At, Flag, Hyper, HyperTuple, Series, t

#: The libraries whose states can be read. "torch" is whoever saves torch's layout, Lucid 2 too:
#: its keys are ours, but for those that are said to differ.
LIBRARIES = ("torch", "mlx", "keras", "optax", "pytorch_optimizer")


@dataclass(frozen=True)
class Kept:
    """An entry that holds a state of ours, times a factor."""

    at: At
    factor: sympy.Expr


@dataclass(frozen=True)
class Setting:
    """An entry that must have a value where a condition on arguments holds."""

    value: Any
    condition: sympy.Basic = sympy.true


@dataclass(frozen=True)
class Renamed:
    """An entry that holds arguments of ours, or none."""

    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class StepCount:
    """An entry that counts the steps."""


Meaning = Kept | Setting | Renamed | StepCount


class NotUnderstoodError(Exception):
    """A line that means nothing: what is wrong with it, and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def where(condition: Any, value: Any) -> Setting:
    """A setting of another library that matters only where a condition holds.

    Parameters
    ----------
    condition : hyper, flag, or condition of these
        As in `requires`: `weight_decay` for where there is one.
    value : bool, number, text or None
        What the library must have been told; with another value it computes something else.
    """
    return Setting(value, sympy.sympify(condition))


def meaning(value: Any) -> Meaning:
    """What a line of `saved_elsewhere` says.

    Raises
    ------
    NotUnderstoodError
        With what is wrong and the remedy.
    """
    if isinstance(value, Setting):
        return value
    if value is t:
        return StepCount()
    if isinstance(value, Hyper | HyperTuple | Flag):
        return Renamed((value,))
    if isinstance(value, tuple) and all(isinstance(v, Argument) for v in value):
        return Renamed(value)
    if isinstance(value, Series):
        raise NotUnderstoodError(f"{value} has no time", f"Write {value}[t].")
    if isinstance(value, sympy.Basic):
        return _kept(value)
    if value is None or isinstance(value, bool | int | float | str | tuple):
        return Setting(value)
    raise NotUnderstoodError(
        f"{value!r} is nothing that a library could keep",
        "Give a state such as m[t], a multiple of one, t, an argument, or the value that it must "
        "have.",
    )


def _kept(value: sympy.Basic) -> Kept:
    """A state or its multiple."""
    found = sorted(value.atoms(At), key=str)
    if len(found) != 1:
        names = " and ".join(map(str, found)) or "no state"
        raise NotUnderstoodError(
            f"{value} reads {names}", "What another library keeps is one state, times a factor."
        )
    at = found[0]
    if at.shift != 0:
        raise NotUnderstoodError(f"{at} is not what a step leaves", f"Write {at.series}[t].")
    factor = sympy.diff(value, at)
    if factor.has(At) or factor == 0 or value.xreplace({at: sympy.Integer(0)}) != 0:
        raise NotUnderstoodError(
            f"{value} is no multiple of {at}", "A state can be converted by a factor alone."
        )
    return Kept(at, factor)
