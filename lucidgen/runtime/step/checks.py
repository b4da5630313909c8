"""What a step refuses: data and gradients that do not fit.

Owns the errors. Changes nothing, and does not own what is done with parameters that are good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import is_floating, is_mlx
from ..groups.parameters import check_data
from ..groups.settings import Settings
from ..groups.states import Slot

#: A group: how errors call it, its settings, its parameters, their names, their gradients.
Checked = tuple[str, Settings, Sequence[Any], Sequence[str] | None, list[Any]]


def check_parameter(label: str, settings: Settings, slot: Slot, data: Any) -> None:
    """Refuse data that is no floating array, or that the state does not fit."""
    check_data(data, label)
    if settings.rule.shaped and len(data.shape) < 2:
        raise ValueError(
            f"{label}: a parameter of shape {tuple(data.shape)} has no rows and columns, which "
            f"this optimizer reduces along; give it to another optimizer"
        )
    for state in settings.arrays:
        found = slot.entry.get(state.key)
        if found is not None and tuple(np.shape(found)) != state.shape(tuple(data.shape)):
            raise ValueError(
                f"{label}: .data has shape {tuple(data.shape)}, but its state {state.key!r} has "
                f"shape {tuple(np.shape(found))}; after a change of shape, delete "
                f"optimizer.state[parameter] to start it afresh"
            )


def _checked_gradient(label: str, grad: Any, data: Any) -> Any:
    """The gradient as a floating array of the data's own kind, and of a type that steps convert."""
    grad = check_gradient(label, grad, data)
    if is_mlx(grad) or grad.dtype in arrays.TYPES:
        return grad
    with np.errstate(over="ignore"):  # what is too large becomes inf, as in torch, without a word
        return grad.astype(data.dtype, copy=False)


def check_gradient(label: str, grad: Any, data: Any) -> Any:
    """The gradient, if it is a floating array of the data's own kind and shape."""
    on_mlx = is_mlx(data)
    if isinstance(grad, np.generic):
        grad = np.asarray(grad)
    if not isinstance(grad, np.ndarray) and not is_mlx(grad):
        raise TypeError(
            f"{label}: .grad must be a numpy.ndarray or an mlx.core.array, got "
            f"{type(grad).__module__}.{type(grad).__name__}"
        )
    if is_mlx(grad) != on_mlx:
        kinds = ("an MLX", "a NumPy") if on_mlx else ("a NumPy", "an MLX")
        raise TypeError(
            f"{label}: {kinds[0]} parameter with {kinds[1]} gradient; move both to one device"
        )
    if not is_floating(grad):
        raise TypeError(f"{label}: the gradient is of type {grad.dtype}, not a real floating type")
    if tuple(grad.shape) != tuple(data.shape):
        raise ValueError(
            f"{label}: the gradient has shape {tuple(grad.shape)}, the parameter "
            f"{tuple(data.shape)}"
        )
    return grad
