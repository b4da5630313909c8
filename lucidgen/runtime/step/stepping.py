"""One step over all groups: check everything, then compute, then store.

Owns the order of things (nothing changes before every group, parameter and gradient is known to be
good) and the sorting of parameters into buckets. The arithmetic on arrays is the backends'.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..arrays import is_mlx
from ..backends import kernel_choice
from ..backends import numpy as numpy_backend
from ..backends.private_arrays import apart
from ..groups.bucket import Bucket
from ..groups.parameters import describe
from ..groups.settings import Settings
from ..groups.states import Slot, States
from . import clipping
from .checks import Checked, _checked_gradient, check_parameter

#: A parameter's record and its gradient.
Entry = tuple[Slot, Any]

#: The entries of a bucket.
Part = tuple[Bucket, list[Entry]]

#: A group that needs no closer look, its bucket and its gradients.
Ready = tuple[Any, Bucket, list[Any]]


def step(
    groups: Sequence[Checked],
    states: States,
    work: numpy_backend.WorkArrays,
    kernel: str = "auto",
    max_grad_norm: float | None = None,
) -> Any:
    """Update every parameter that has a gradient.

    Returns
    -------
    float, 0-d array or None
        The norm of all gradients, if they are clipped to ``max_grad_norm``.
    """
    on_numpy: list[Part] = []
    on_mlx: list[Part] = []
    ready: list[Ready] = []
    whole: dict[int, int] = {}  # where in on_numpy a group is that is there as a whole
    for number, group in enumerate(groups):
        found = _ready(number, group, states, kernel) if states.steady else None
        if found is not None:
            ready.append(found)
            continue
        whole[number] = len(on_numpy)
        for bucket, numpy_entries, mlx_entries in _sorted(group, states):
            if numpy_entries:
                on_numpy.append((bucket, numpy_entries))
            if mlx_entries:
                on_mlx.append((bucket, mlx_entries))
    norm = None
    if max_grad_norm is not None:
        norm = _norm(on_numpy, on_mlx, ready)
        factor = clipping.factor(norm, max_grad_norm)
        if type(factor) is not float or factor != 1:
            on_numpy = [(bucket.scaled(factor), entries) for bucket, entries in on_numpy]
            on_mlx = [(bucket.scaled(factor), entries) for bucket, entries in on_mlx]
            ready = [(steady, bucket.scaled(factor), grads) for steady, bucket, grads in ready]
    loops: list[Any] = []
    results: list[Any] = []
    rest: list[Part] = []
    if on_mlx:
        from ..backends.loops import mlx_memory

        loops, rest = mlx_memory.prepare(on_mlx, kernel, work)
    if rest:
        from ..backends import mlx as mlx_backend  # where loops do everything it is never imported

        results = mlx_backend.run(rest, kernel)
    if on_numpy:
        calls = numpy_backend.run(on_numpy, work, kernel_choice.on_numpy(kernel))
        _advance(on_numpy)
        for number, index in whole.items():
            _remember(number, groups[number], states, on_numpy[index:], calls[index:])
    for steady, bucket, grads in ready:
        steady.run(bucket, grads)
        steady.store(_news(bucket))
    if on_mlx:
        for call in loops:
            call.run()
        if rest:
            mlx_backend.commit(rest, results)
        _advance(on_mlx)
    return norm


def _norm(on_numpy: list[Part], on_mlx: list[Part], ready: list[Ready]) -> Any:
    """The norm of all gradients: of MLX arrays alone an array, which nobody waits for."""
    of_mlx = (
        clipping.mlx_norm(grad for _, entries in on_mlx for _, grad in entries) if on_mlx else 0.0
    )
    if on_mlx and not (on_numpy or ready):
        return of_mlx
    grads = [grad for _, entries in on_numpy for _, grad in entries]
    grads += [grad for _, _, own in ready for grad in own]
    return math.hypot(clipping.numpy_norm(grads), float(of_mlx))


def _advance(parts: list[Part]) -> None:
    """Store the step count and the scalar states."""
    for bucket, entries in parts:
        new = _news(bucket)
        if new:
            for slot, _ in entries:
                slot.entry.update(new)


def _news(bucket: Bucket) -> dict[str, Any]:
    """The new step count and scalar states of a bucket's parameters."""
    return {**bucket.scalars, "step": bucket.t} if bucket.t else bucket.scalars


def _ready(number: int, group: Checked, states: States, kernel: str) -> Ready | None:
    """The group, if only its gradients have changed since a compiled step updated all of it."""
    steady = states.steady.get(number)
    if steady is None or kernel_choice.on_numpy(kernel) == "numpy":
        return None
    _, settings, params, _, grads = group
    shared = steady.shared() if steady.fits(params, grads, settings, states.slots) else None
    if shared is None:
        return None
    t, scalars = shared
    return (
        steady,
        _bucket(settings, (t + 1 if settings.rule.counts_steps else 0, (), scalars)),
        grads,
    )


def _remember(
    number: int, group: Checked, states: States, parts: list[Part], calls: Sequence[Any]
) -> None:
    """Note that a compiled step updated all parameters of a group in one call, if it did."""
    _, settings, params, _, _ = group
    states.steady.pop(number, None)
    if parts and calls[0] is not None:
        bucket, entries = parts[0]
        if bucket.settings is settings and len(entries) == len(params):
            from .unchanged import Steady

            states.steady[number] = Steady(params, settings, *calls[0])


def _sorted(group: Checked, states: States) -> Iterable[tuple[Bucket, list[Entry], list[Entry]]]:
    """Check the parameters of a group and put each with its bucket: NumPy ones, MLX ones.

    This runs once per parameter and step, and is most of what a step on small arrays costs: a
    parameter whose arrays are the objects seen at the last step is let through at once.
    """
    where, settings, params, names, grads = group
    slots, arrays, scalars = states.slots, settings.arrays, settings.scalars
    counts = settings.rule.counts_steps
    on_numpy: list[Entry] = []
    on_mlx: list[Entry] = []
    buckets: dict[Any, tuple[Bucket, list[Entry], list[Entry]]] = {}
    key: Any = None
    t = 0
    firsts: tuple[str, ...] = ()
    olds: tuple[float, ...] = ()
    for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if grad is None:
            continue
        slot = slots.get(id(param)) or states.slot(param)
        data, entry = param.data, slot.entry
        known = slot.data is data and slot.arrays is arrays
        if known and slot.kind is not np.ndarray:  # MLX's change in place by becoming others
            known = data.dtype == slot.dtype and data.shape == slot.shape
        if known:
            for name, array in slot.sources:
                if entry.get(name) is not array:
                    known = False
        if not (
            known
            and type(grad) is slot.kind
            and grad.dtype == slot.grad_dtype
            and grad.shape == slot.shape
        ):
            label = f"{where}: {describe(index, names[index] if names else None)}"
            if not known:
                slot.forget()
                check_parameter(label, settings, slot, data)
            grad = _checked_gradient(label, grad, data)
            slot.grad_dtype = grad.dtype
        if counts:
            t = entry.get("step", 0) + 1
        if scalars:
            olds = tuple([_old(settings, entry, state, data) for state in scalars])
        firsts = () if known and not scalars else _firsts(settings, entry)
        new_key = (t, firsts, olds)
        if new_key != key:
            key = new_key
            if key not in buckets:
                buckets[key] = _bucket(settings, key), [], []
            _, on_numpy, on_mlx = buckets[key]
        if slot.kind is np.ndarray or (slot.kind is None and not is_mlx(data)):
            on_numpy.append((slot, apart(grad, slot)))
        else:
            on_mlx.append((slot, grad))
    return buckets.values()


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
