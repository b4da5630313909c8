"""The loss of a step: what a closure returns, or what the caller has already.

Owns what counts as one, and what is said where there is none. Which optimizers read it is their
rules' business.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np

from ..arrays import is_mlx
from ..checking import shown
from ..rules.rule import Rule

#: The types of MLX's arrays that are no numbers of ours.
NO_LOSS = ("bool", "complex64")


def called(closure: Callable[[], Any], loss: Any, label: str) -> Any:
    """The loss that a closure returns.

    Raises
    ------
    TypeError
        If it is no function, or the loss is given beside it.
    """
    if not callable(closure):
        raise TypeError(
            f"{label}: step takes a function that returns the loss, or nothing, got "
            f"{shown(closure)}"
        )
    if loss is not None:
        raise TypeError(f"{label}: step takes a function that returns the loss, or loss=, not both")
    return closure()


def check(value: Any, label: str) -> None:
    """Refuse what is no loss of any kind; nothing is evaluated.

    Raises
    ------
    TypeError
        If it is neither a number nor an array.
    """
    is_odd = isinstance(value, bool | np.bool_ | type)
    if is_odd or not (isinstance(value, Real) or hasattr(value, "item")):
        raise TypeError(f"{label}: the loss must be one number, got {shown(value)}")


def as_loss(value: Any, label: str) -> float:
    """The loss as a Python float; it may be infinite or nan, as gradients may.

    Raises
    ------
    TypeError
        If there is none, or it is not one number.
    """
    given(value, label, "step(closure), with a function that returns it, or step(loss=...)")
    number: Any = value
    if not isinstance(value, Real | np.bool_) and hasattr(value, "item"):
        with suppress(TypeError, ValueError, RuntimeError):  # of arrays that have more elements
            number = value.item()
    if isinstance(number, bool | np.bool_) or not isinstance(number, Real):
        raise TypeError(f"{label}: the loss must be one number, got {shown(value)}")
    try:
        return float(number)
    except OverflowError:
        return math.inf if number == abs(number) else -math.inf
    except TypeError:  # NumPy counts its differences of dates among the numbers
        raise TypeError(f"{label}: the loss must be one number, got {shown(value)}") from None


def as_graph_loss(value: Any, label: str) -> Any:
    """The loss as a float, or as an MLX array without axes, which may be one of a graph.

    Raises
    ------
    TypeError
        If there is none, or it is not one number.
    """
    given(
        value, label, "update(model, grads, loss=...) or apply_gradients(grads, params, loss=...)"
    )
    if is_mlx(value) and value.size == 1 and str(value.dtype).rpartition(".")[2] not in NO_LOSS:
        return value.reshape(())
    return as_loss(value, label)


def check_accumulation(rule: Rule | None, count: int, label: str) -> None:
    """Refuse to accumulate gradients where their loss is read.

    Raises
    ------
    ValueError
        With what to do instead.
    """
    if count > 1 and rule is not None and rule.reads_loss:
        raise ValueError(
            f"{label}: accumulation_steps must be 1, got {count}: the equations read the loss, of "
            "which each batch has its own; add up gradients and losses beforehand, for one step "
            "with both"
        )


def given(value: Any, label: str, how: str) -> None:
    """Refuse a step without a loss."""
    if value is None:
        raise TypeError(f"{label}: its equations read the loss; call {how}")
