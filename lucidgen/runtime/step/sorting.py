"""Which parameters of a group are updated alike: each is checked, and put with its bucket.

Owns the closer look at every parameter, what it refuses and with which words, and what makes a
bucket: step count, first updates and scalar states. Changes nothing. Does not own what happens to
the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import is_floating, is_mlx, plain
from ..backends.numpy_arrays import apart
from ..groups.bucket import Bucket, Members, Part, first_updates, old_scalars
from ..groups.parameters import check_data, describe
from ..groups.settings import Settings
from ..groups.states import Slot, States

#: A group: how errors call it, its settings, its parameters, their names, their gradients.
Checked = tuple[str, Settings, Sequence[Any], Sequence[str] | None, list[Any]]

#: Step count, first updates, and scalar states before the step: what a bucket is made of.
Key = tuple[int, tuple[str, ...], tuple[float, ...]]


#: Gives the bucket of these settings and this key.
BucketOf = Callable[[Settings, Key], Bucket]


def sort(group: Checked, states: States, bucket_of: BucketOf) -> list[Part]:
    """The parts of a group, of the parameters that have a gradient.

    A parameter whose arrays are the objects that the last step left is not checked again.

    Raises
    ------
    TypeError, ValueError
        If data or a gradient does not fit.
    """
    where, settings, params, names, grads = group
    slots, of_group, asks_shapes = states.slots, settings, settings.rule.asks_shapes
    arrays, scalars = ((), ()) if asks_shapes else (settings.arrays, settings.scalars)
    counts_steps = settings.rule.counts_steps
    parts: dict[Any, Part] = {}
    for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if grad is None:
            continue
        slot, data = slots.get(id(param)) or states.slot(param), param.data
        entry, seen = slot.entry, slot.seen
        if asks_shapes:
            settings = of_group.of(tuple(np.shape(data)))
            arrays, scalars = settings.arrays, settings.scalars
        if seen is not None and not seen.holds(data, entry, arrays):
            seen = slot.seen = None
        if seen is None or not seen.is_like(grad):
            label = f"{where}: {describe(index, names[index] if names else None)}"
            if seen is None:
                check_parameter(label, settings, slot, data)
            grad = _checked_gradient(label, grad, data)
        t = entry.get("step", 0) + 1 if counts_steps else 0
        firsts: tuple[str, ...] = ()
        olds: tuple[float, ...] = ()
        if seen is None or scalars:
            firsts = first_updates(settings, entry, entry)
            olds = tuple(map(float, old_scalars(settings, entry, data)))
        kind = seen.kind if seen is not None else type(data) if is_mlx(data) else np.ndarray
        key = t, firsts, olds
        place = (kind, key, settings) if asks_shapes else (kind, key)
        part = parts.get(place)
        if part is None:
            part = parts[place] = Part(kind, bucket_of(settings, key), Members([]), [])
        part.slots.append(slot)
        part.seen.append(seen)
        part.grads.append(apart(grad) if kind is np.ndarray else grad)
    return list(parts.values())


def check_parameter(label: str, settings: Settings, slot: Slot, data: Any) -> None:
    """Refuse data that is no floating array, or that the state does not fit."""
    check_data(data, label)
    settings.check_shape(tuple(data.shape), label)
    if settings.rule.asks_shapes:
        for state in settings.rule.states:
            if slot.entry.get(state.key) is not None and state not in settings.possible:
                raise ValueError(
                    f"{label}: .data has shape {tuple(data.shape)}, of which this optimizer keeps "
                    f"no {state.key!r}; after a change of shape, delete optimizer.state[parameter] "
                    f"to start it afresh"
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
    if isinstance(grad, np.ndarray | np.generic):
        grad = plain(grad)
    elif not is_mlx(grad):
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
