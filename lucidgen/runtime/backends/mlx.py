"""Steps on MLX parameters: pure functions, compiled once per rule and static choices.

Owns the wrapping of generated functions for ``mx.compile``, the types of the arithmetic, and the
single evaluation of a step. MLX is imported by this module, which is itself imported only when an
MLX array is met. Does not own checks of gradients and groups (``stepping``).

One compiled function serves one parameter at a time: independent graphs never share a kernel, a new
subset of parameters needs no new trace, and it measured as fast as one function over all. On a GPU
kernels of ours take its place (``gpu_backend``), for many small tensors at once (``packing``).
"""

from __future__ import annotations

import importlib
import shutil
import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import mlx.core as mx

from ..arrays import as_numpy
from ..checking import warning_level
from ..groups.bucket import Bucket
from ..groups.settings import Settings
from ..groups.states import Slot
from ..rules.calling import unknown_name
from ..rules.rule import Rule, State, names_of
from .gpu import packing, trial
from .gpu.packing import New

Array = Any  # mlx.core.array has no usable type information for operators


def computing_type(dtype: Any) -> Any:
    """The type in which arithmetic on this type is done: float32 for the half types."""
    return mx.float32 if dtype in (mx.float16, mx.bfloat16) else dtype


def as_mlx(value: Any, dtype: Any) -> Array:
    """An array of any library, copied, as an MLX array of this type."""
    if not isinstance(value, mx.array):
        value = mx.array(as_numpy(value))
    return mx.array(value) if value.dtype == dtype else value.astype(dtype)


def state_array(state: State, entry: dict[str, Any], settings: Settings, w: Array) -> Array:
    """The state's array, of w's type: the one there is, or a new one."""
    found = entry.get(state.key)
    if found is not None:
        if isinstance(found, mx.array) and found.dtype == w.dtype:
            return found
        return as_mlx(found, w.dtype)
    shape = state.shape(w.shape)
    if state.start is None:
        return mx.zeros(shape, dtype=w.dtype)
    made = settings.start(state, w)
    if not isinstance(made, mx.array):
        made = mx.array(made, dtype=w.dtype)
    return mx.broadcast_to(made.astype(w.dtype), shape)


class Step:
    """A compiled step: which scalars it reads, and the function that runs it."""

    __slots__ = ("run", "scalars")

    def __init__(self, scalars: tuple[str, ...], run: Callable[..., Any]) -> None:
        self.scalars = scalars
        self.run = run


def function_of(rule: Rule, suffix: str) -> Callable[..., Any] | None:
    """The function {name}_{suffix} of a rule's MLX module, if it has one."""
    found = getattr(importlib.import_module(rule.mlx), f"{rule.name}_{suffix}", None)
    return found if callable(found) else None


def required_function(rule: Rule, suffix: str) -> Callable[..., Any]:
    """The function {name}_{suffix} of a rule's MLX module."""
    function = function_of(rule, suffix)
    if function is None:
        raise ImportError(f"{rule.mlx} has no function {rule.name}_{suffix}; run `lucidgen build`")
    return function


@cache
def compiled(
    rule: Rule,
    suffix: str,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Step:
    """The compiled step of a rule for these live states and static choices.

    ``known`` are the scalars that exist. The compiled function takes w, grad, the live states and
    the scalars, and returns the new w and live states in the types that came in.
    """
    _warn_without_compiler()
    function = required_function(rule, suffix)
    constants: dict[str, Any] = dict(choices)
    constants.update({state.name: None for state in rule.arrays if state not in arrays})
    names = names_of(function)
    live = tuple(state.name for state in arrays)
    scalars = tuple(name for name in names if name in known and name not in constants)
    given = {"w", "grad", *live, *scalars, *constants}
    if not given.issuperset(names):
        raise unknown_name(function, dict.fromkeys(given))
    returned = [1 + index for index, state in enumerate(rule.arrays) if state in arrays]
    fixed = {name: value for name, value in constants.items() if name in names}

    def step(w: Array, grad: Array, states: list[Array], values: list[Array]) -> list[Array]:
        kind, work = w.dtype, computing_type(w.dtype)
        available = dict(zip(live, (state.astype(work) for state in states), strict=True))
        available["w"], available["grad"] = w.astype(work), grad.astype(kind).astype(work)
        arguments = {name: available[name] for name in names if name in available}
        results = function(**arguments, **dict(zip(scalars, values, strict=True)), **fixed)
        return [results[index].astype(kind) for index in (0, *returned)]

    return Step(scalars, mx.compile(step))


def chosen(
    kernel: str,
    w: Array,
    rule: Rule,
    suffix: str,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> trial.Step:
    """The step of a parameter: by a kernel where MLX runs on a GPU, or as compiled."""
    reference = compiled(rule, suffix, arrays, choices, known)
    if kernel in ("numpy", "cpp"):
        kernel = "auto"
    if kernel == "mlx" or (kernel == "auto" and not trial.is_available()):
        return reference
    return trial.step(kernel, reference, w, rule, arrays, choices, known)


def step_for(bucket: Bucket, kernel: str, w: Array) -> trial.Step:
    """The step of a bucket; its choices are static, host conditions included."""
    settings, choices = bucket.settings, tuple(bucket.choices.items())
    known = tuple(name for name in bucket.values if name not in bucket.choices)
    return chosen(kernel, w, settings.rule, "step", settings.arrays, choices, known)


def run(parts: list[tuple[Bucket, list[tuple[Slot, Any]]]], kernel: str) -> list[New]:
    """The new weights and live states of each entry, evaluated together. Changes nothing."""
    results = [new for bucket, entries in parts for new in _updated(bucket, entries, kernel)]
    mx.eval([new.arrays for new in results])
    return results


def _updated(bucket: Bucket, entries: list[tuple[Slot, Any]], kernel: str) -> list[New]:
    """What a step makes of the parameters of a bucket, in their order; nothing is evaluated."""
    settings = bucket.settings
    alike: dict[Any, list[int]] = {}
    for index, (slot, _) in enumerate(entries):
        w = slot.param.data
        alike.setdefault((w.dtype, w.size > trial.MOST_ELEMENTS), []).append(index)
    found: dict[int, New] = {}
    for indices in alike.values():
        members = []
        for slot, grad in (entries[index] for index in indices):
            if slot.arrays is None:
                w, entry = slot.param.data, slot.entry
                states = [state_array(state, entry, settings, w) for state in settings.arrays]
            else:
                states = [array for _, array in slot.sources]
            members.append((slot, grad, states))
        w = members[0][0].param.data
        step, kind = step_for(bucket, kernel, w), computing_type(w.dtype)
        values = [mx.array(bucket.values[name], dtype=kind) for name in step.scalars]
        if isinstance(step, trial.Tried):
            new = packing.run(step, members, values)
        else:
            new = [New(step.run(slot.param.data, g, old, values)) for slot, g, old in members]
        found.update(zip(indices, new, strict=True))
    return [found[index] for index in range(len(entries))]


def commit(parts: list[tuple[Bucket, list[tuple[Slot, Any]]]], results: list[New]) -> None:
    """Store what ``run`` computed."""
    remaining = iter(results)
    for bucket, entries in parts:
        arrays = bucket.settings.arrays
        for slot, _ in entries:
            (w, *states), slot.place = next(remaining)
            slot.param.data = w
            slot.data, slot.kind, slot.dtype, slot.shape = w, type(w), w.dtype, w.shape
            slot.arrays, slot.pointers = arrays, None
            slot.sources = tuple(
                (state.key, array) for state, array in zip(arrays, states, strict=True)
            )
            slot.entry.update(slot.sources)


@cache
def _warn_without_compiler() -> None:
    on_linux_cpu = sys.platform == "linux" and mx.default_device() == mx.Device(mx.cpu)
    if on_linux_cpu and shutil.which("g++") is None:
        warnings.warn(
            "MLX compiles its CPU kernels with g++, which is not on the PATH: steps are correct "
            "but several times slower. Install g++ to change that.",
            RuntimeWarning,
            stacklevel=warning_level(),
        )
