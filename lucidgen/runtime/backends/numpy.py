"""Steps on NumPy parameters, in place.

Owns the making of states, the flattened views and chunks that step functions get, and the work
arrays. Does not own private copies of weights (``private_arrays``), nor checks of gradients and
groups (``stepping``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..arrays import Array, as_numpy, computing_type
from ..groups.bucket import Bucket
from ..groups.settings import Settings
from ..groups.states import Slot
from ..rules.calling import unknown_name
from ..rules.rule import Rule, State, names_of
from .private_arrays import mark_private, private

#: Elements per call of an elementwise step. Work arrays of this size stay in the caches; smaller
#: chunks cost more calls than they save memory traffic (measured from 8 thousand to 262 thousand).
CHUNK = 131_072


#: For each call: which elements (None for all), those of w, and the states and work arrays.
Calls = list[tuple[slice | None, Array, tuple[Any, ...]]]

#: A parameter's record and its gradient.
Entry = tuple[Slot, Any]
Part = tuple[Bucket, list[Entry]]


def _layout(array: Array) -> str:
    return "C" if array.flags.c_contiguous or not array.flags.f_contiguous else "F"


def _states(state: State, slots: Sequence[Slot], settings: Settings) -> list[Array]:
    """The arrays of a state with the type and the layout of w: those there are, and new ones."""
    new = _zeros(state, [slot for slot in slots if slot.entry.get(state.key) is None])
    arrays = []
    for slot in slots:
        found = slot.entry.get(state.key)
        if found is None:
            found = next(new)
            if state.start is not None:
                found[...] = settings.start(state, slot.data)
        arrays.append(_fitting(found, slot))
    return arrays


def _zeros(state: State, slots: Sequence[Slot]) -> Iterator[Array]:
    """New states that are zero, for each type parts of one array.

    What a step runs over lies in a row then, and in large pages where the system has them.
    """
    shapes = [state.shape(slot.shape) for slot in slots]
    ends: Counter[Any] = Counter()
    parts = []
    for slot, shape in zip(slots, shapes, strict=True):
        start = ends[slot.dtype]
        ends[slot.dtype] += math.prod(shape)
        parts.append(slice(start, ends[slot.dtype]))
    whole = {dtype: np.zeros(size, dtype) for dtype, size in ends.items()}
    for array in whole.values():
        mark_private(array, None)
    for slot, shape, part in zip(slots, shapes, parts, strict=True):
        order: Any = slot.order
        yield whole[slot.dtype][part].reshape(shape, order=order)


def _fitting(found: Any, slot: Slot) -> Array:
    """The state as an array that a step can update together with w."""
    order: Any = slot.order
    if isinstance(found, np.ndarray) and found.dtype == slot.dtype and found.flags.writeable:
        flags = found.flags
        if flags.f_contiguous if order == "F" else flags.c_contiguous:
            return found
    fitting: Array = np.array(as_numpy(found), dtype=slot.dtype, order=order)
    return fitting


def bind(slots: Sequence[Slot], settings: Settings) -> None:
    """Make the private copies and the states that steps on these parameters use."""
    for slot in slots:
        w = private(slot.param)
        slot.data, slot.kind, slot.dtype, slot.shape = w, type(w), w.dtype, w.shape
        slot.order = _layout(w)
    keys = [state.key for state in settings.arrays]
    columns = [_states(state, slots, settings) for state in settings.arrays]
    for number, slot in enumerate(slots):
        slot.sources = tuple(zip(keys, [column[number] for column in columns], strict=True))
        slot.entry.update(slot.sources)
        slot.arrays = settings.arrays


def _calls(slot: Slot, settings: Settings, work: WorkArrays) -> Calls:
    """What the step function is called with, chunk by chunk."""
    rule, w = settings.rule, slot.data
    order: Any = slot.order
    states = [array for _, array in slot.sources]
    plan = plan_of(rule)
    names = [state.name for state in settings.arrays]
    if rule.shaped:
        views = work.of(w.dtype, w.size, rule.scratch)
        scratch = tuple(view.reshape(w.shape, order=order) for view in views)
        return [(None, w, plan.tail(dict(zip(names, states, strict=True)), scratch))]
    w = w.reshape(-1, order=order)
    flat = {
        state.name: array.reshape(-1, order=order) if state.domain == "element" else array
        for state, array in zip(settings.arrays, states, strict=True)
    }
    calls: Calls = []
    length = min(CHUNK, w.size) if rule.elementwise else w.size
    for start in range(0, w.size, max(length, 1)):
        part = None if length == w.size else slice(start, min(start + length, w.size))
        size = w.size if part is None else part.stop - start
        found = {
            name: array if part is None or not array.ndim else array[part]
            for name, array in flat.items()
        }
        tail = plan.tail(found, work.of(w.dtype, size, rule.scratch))
        calls.append((part, w if part is None else w[part], tail))
    return calls


class WorkArrays:
    """The work arrays of one optimizer, shared by all its parameters, and its tables."""

    def __init__(self) -> None:
        self._full: dict[tuple[np.dtype[Any], int], list[Array]] = {}
        self._views: dict[tuple[np.dtype[Any], int, int], tuple[Array, ...]] = {}
        #: What compiled steps are called with, by number of the part and type.
        self.tables: dict[tuple[int, Any], Any] = {}

    def of(self, dtype: np.dtype[Any], size: int, count: int) -> tuple[Array, ...]:
        """``count`` work arrays of this size, of the type in which dtype is computed."""
        dtype = computing_type(dtype)
        key = (dtype, size, count)
        views = self._views.get(key)
        if views is None:
            full = self._full.setdefault((dtype, max(size, CHUNK)), [])
            while len(full) < count:
                full.append(np.empty(max(size, CHUNK), dtype))
            views = self._views[key] = tuple(array[:size] for array in full[:count])
        return views


class Plan:
    """A step function and where its arguments come from.

    Its first parameters are w, grad, the states and `scratch`: they differ from call to call. The
    rest are scalars and static choices, which the parameters of a bucket have in common.
    """

    __slots__ = ("common", "function", "own")

    def __init__(self, rule: Rule) -> None:
        self.function = rule.numpy
        names = names_of(rule.numpy)
        arrays = {"w", "grad", "scratch", *(state.name for state in rule.arrays)}
        count = sum(name in arrays for name in names)
        if names[:2] != ("w", "grad") or not arrays.issuperset(names[:count]):
            raise TypeError(
                f"{rule.numpy.__qualname__} must take w, grad, states and scratch first; "
                f"run `lucidgen build`"
            )
        self.own, self.common = names[2:count], names[count:]

    def tail(self, states: Mapping[str, Array], scratch: tuple[Array, ...]) -> tuple[Any, ...]:
        """The arguments after w and grad that belong to one call."""
        known = {**states, "scratch": scratch}
        return tuple(known.get(name) for name in self.own)

    def arguments(self, bucket: Bucket, dtype: np.dtype[Any]) -> tuple[Any, ...]:
        """The arguments that a bucket has in common, for weights of this type.

        Scalars are 0-d arrays: NumPy takes them in a third of the time that a Python float costs.
        """
        arguments = bucket.arguments.get(dtype)
        if arguments is None:
            values = bucket.values
            if not values.keys() >= set(self.common):
                raise unknown_name(
                    self.function, {**values, **dict.fromkeys(("w", "grad", *self.own))}
                )
            kind = computing_type(dtype)
            arguments = bucket.arguments[dtype] = tuple(
                np.array(values[name], kind) if type(values[name]) is float else values[name]
                for name in self.common
            )
        return arguments


@cache
def plan_of(rule: Rule) -> Plan:
    """The argument plan of a rule's NumPy step."""
    return Plan(rule)


def run(parts: list[Part], work: WorkArrays, kernel: str = "auto") -> list[Any]:
    """Update weights and states in place. Gradients are only read.

    Returns
    -------
    list
        For each part that was one call of a compiled step its table and the step, else None.
    """
    calls: list[Any] = [None] * len(parts)
    compiled = [_compiled(bucket.settings.rule, entries, kernel) for bucket, entries in parts]
    with np.errstate(all="ignore"):
        for number, ((bucket, entries), steps) in enumerate(zip(parts, compiled, strict=True)):
            bind([slot for slot, _ in entries if slot.arrays is None], bucket.settings)
            for type_, step in steps.items():
                table, rest = _run_compiled(step, type_, bucket, entries, work, number)
                calls[number] = None if rest or len(steps) > 1 else (table, step)
                entries = rest
            if entries:
                _run_numpy(bucket, entries, work)
    return calls


def _compiled(rule: Rule, entries: list[Entry], kernel: str) -> dict[np.dtype[Any], Any]:
    """The compiled steps that there are, or must be, for these entries, by type."""
    if rule.cpp is None or kernel == "numpy":
        return {}
    from .loops import compiler

    found = {}
    for type_ in {slot.param.data.dtype for slot, _ in entries}:
        if type_.isnative and type_.name in compiler.TYPES:
            given = compiler.demanded if kernel == "cpp" else compiler.available
            found[type_] = given(rule, type_.name)
        elif kernel == "cpp":
            raise TypeError(f'kernel="cpp": there are no C++ loops for arrays of type {type_}')
    return {type_: step for type_, step in found.items() if step is not None}


def _run_compiled(
    step: Any,
    type_: np.dtype[Any],
    bucket: Bucket,
    entries: list[Entry],
    work: WorkArrays,
    number: int,
) -> tuple[Any, list[Entry]]:
    """Run what a compiled step can run, in one call; return its table and the rest."""
    from .loops import pointer_table

    rule, live = bucket.settings.rule, bucket.settings.arrays
    for slot, _ in entries:
        if slot.pointers is None:
            slot.pointers = pointer_table.pointers(slot, rule.arrays, live)
    fit = [entry for entry in entries if entry[0].pointers and entry[0].dtype == type_]
    if not fit:
        return None, entries
    key = number, type_
    bound = [slot.pointers for slot, _ in fit]
    table = work.tables.get(key)
    if table is None or not table.is_of(rule, bound):
        slots, sizes = [slot for slot, _ in fit], [slot.data.size for slot, _ in fit]
        names = plan_of(rule).common
        table = work.tables[key] = pointer_table.Table(rule, slots, bound, sizes, names)
    table.run(step, bucket, [grad for _, grad in fit])
    if len(fit) == len(entries):
        return table, []
    done = {id(slot) for slot, _ in fit}
    return table, [entry for entry in entries if id(entry[0]) not in done]


def _run_numpy(bucket: Bucket, entries: list[Entry], work: WorkArrays) -> None:
    settings = bucket.settings
    shaped = settings.rule.shaped
    plan = plan_of(settings.rule)
    function = plan.function
    dtype, common = None, ()
    for slot, grad in entries:
        if slot.calls is None:
            slot.calls = _calls(slot, settings, work)
        if slot.dtype is not dtype:
            dtype = slot.dtype
            common = plan.arguments(bucket, slot.dtype)
        if grad.ndim != 1 and not shaped:
            grad = grad.ravel(slot.order)
        if slot.dtype.itemsize < 4:
            _run_half(function, grad, slot.calls, common)
            continue
        for part, w, tail in slot.calls:
            some = grad if part is None else grad[part]
            function(w, some.astype(w.dtype, copy=False), *tail, *common)


def _run_half(
    function: Callable[..., None], grad: Array, calls: Calls, common: tuple[Any, ...]
) -> None:
    """The calls of a float16 parameter, computed in float32."""
    for part, w, tail in calls:
        given = [w, *tail]
        wide = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in given]
        half_grad = (grad if part is None else grad[part]).astype(w.dtype, copy=False)
        function(wide[0], half_grad.astype(np.float32), *wide[1:], *common)
        for array, result in zip(given, wide, strict=True):
            if isinstance(array, np.ndarray):
                array[...] = result
