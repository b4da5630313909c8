"""One step over all groups: check everything, then compute, then store.

Owns the order of things (nothing changes before every group, parameter and gradient is known to be
good) and the sorting of parameters into buckets. The arithmetic on arrays is the backends'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import numpy_backend
from .groups import Settings
from .host import Bucket
from .parameters import check_data, describe, is_floating, is_mlx
from .states import Slot, States

Entry = tuple[Slot, Any, Bucket]


def step(
    groups: Sequence[tuple[str, Settings, Sequence[Any], Sequence[str] | None]],
    states: States,
    work: numpy_backend.WorkArrays,
) -> None:
    """Update every parameter that has a gradient.

    A group is (how errors call it, its settings, its parameters, their names).
    """
    on_numpy: list[Entry] = []
    on_mlx: list[Entry] = []
    for where, settings, params, names in groups:
        _sort(where, settings, params, names, states, on_numpy, on_mlx)
    results: Any = None
    if on_mlx:
        from . import mlx_backend

        results = mlx_backend.run(on_mlx)
    if on_numpy:
        numpy_backend.run(on_numpy, work)
        _advance(on_numpy)
    if on_mlx:
        mlx_backend.commit(on_mlx, results)
        _advance(on_mlx)


def _advance(entries: list[Entry]) -> None:
    """Store the step count and the scalar states."""
    for slot, _, bucket in entries:
        if bucket.t:
            slot.entry["step"] = bucket.t
        if bucket.scalars:
            slot.entry.update(bucket.scalars)


def _sort(
    where: str,
    settings: Settings,
    params: Sequence[Any],
    names: Sequence[str] | None,
    states: States,
    on_numpy: list[Entry],
    on_mlx: list[Entry],
) -> None:
    """Check the parameters of a group and put each with its bucket."""
    slots, arrays, scalars = states.slots, settings.arrays, settings.scalars
    counts = settings.rule.counts_steps
    buckets: dict[Any, Bucket] = {}
    key: Any = None
    bucket: Any = None
    for index, param in enumerate(params):
        grad = param.grad
        if grad is None:
            continue
        slot = slots.get(id(param)) or states.slot(param)
        data = param.data
        known = slot.data is data and slot.arrays is arrays
        if known:
            entry = slot.entry
            for name, array in slot.sources:
                if entry.get(name) is not array:
                    known = False
        if not (
            known
            and type(grad) is type(data)
            and grad.dtype == slot.dtype
            and grad.shape == slot.shape
        ):
            label = f"{where}: {describe(index, names[index] if names else None)}"
            if not known:
                slot.forget()
                _check(label, settings, slot, data)
            grad = _checked_gradient(label, grad, data)
        entry = slot.entry
        t = entry.get("step", 0) + 1 if counts else 0
        firsts = () if known and not scalars else _firsts(settings, entry)
        olds = tuple([_old(settings, entry, state, data) for state in scalars]) if scalars else ()
        new_key = (t, firsts, olds)
        if new_key != key:
            key = new_key
            bucket = buckets.get(key)
            if bucket is None:
                bucket = buckets[key] = _bucket(settings, key)
        (on_numpy if isinstance(data, np.ndarray | np.generic) else on_mlx).append(
            (slot, grad, bucket)
        )


def _bucket(settings: Settings, key: tuple[int, tuple[str, ...], tuple[float, ...]]) -> Bucket:
    memo = settings.memo
    if memo is not None and memo[0] == key:
        bucket: Bucket = memo[1]
        return bucket
    bucket = Bucket(settings.rule, settings, *key)
    settings.memo = key, bucket
    return bucket


def _firsts(settings: Settings, entry: dict[str, Any]) -> tuple[str, ...]:
    """The static choices ``first_<state>`` that are True: the state is made in this step."""
    return tuple(
        [
            f"first_{state.name}"
            for state in (*settings.arrays, *settings.scalars)
            if state.first and entry.get(state.key) is None
        ]
    )


def _old(settings: Settings, entry: dict[str, Any], state: Any, w: Any) -> float:
    """The value of a scalar state before the step."""
    found = entry.get(state.key)
    return float(settings.start(state, w) if found is None else found)


def _check(label: str, settings: Settings, slot: Slot, data: Any) -> None:
    """Refuse data that is no floating array, or that the state does not fit."""
    check_data(data, label)
    for state in settings.arrays:
        found = slot.entry.get(state.key)
        if found is not None and tuple(np.shape(found)) != state.shape(tuple(data.shape)):
            raise ValueError(
                f"{label}: .data has shape {tuple(data.shape)}, but its state {state.key!r} has "
                f"shape {tuple(np.shape(found))}; after a change of shape, delete "
                f"optimizer.state[parameter] to start it afresh"
            )


def _checked_gradient(label: str, grad: Any, data: Any) -> Any:
    """The gradient as a floating array of the data's own kind and type."""
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
    return grad if on_mlx else np.asarray(grad).astype(data.dtype, copy=False)
