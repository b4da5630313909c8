"""Steps on MLX parameters by compiled loops, in the arrays' own memory: where MLX runs on the CPU.

Owns the question whether that memory is ours alone. MLX arrays are values: a copy, a view or a lazy
expression taken before a step must not change, and may share memory with what the step updates.

Weights are anybody's. Before every step each parameter gets an array of the same values that shares
memory with no other, and the loop updates that one. There are two ways. One is a copy. The other is
an operation that MLX may do in place: ``mx.array(w)``, with our own references to w given up before
it is evaluated. MLX then reuses the memory if w was the only one to hold it, and copies if a name,
a view, a lazy expression or a buffer still does: it counts references, and nobody is overlooked.
An array that this module did not make is always copied: it may wrap memory of somebody else's.
Microseconds of processor time per array for a whole step of AdamW in float32, two shared cores:

=============== ===== ===== ===== ===== ====== ======
elements         1000  2000  4000  8000  16000  50000
copy              9.1  11.9  15.7  20.8   31.4   71.2
in place         20.4  21.8  21.5  27.2   33.2   62.5
=============== ===== ===== ===== ===== ====== ======

A copy is made in memory that the last one gave back, and costs no waiting for MLX's thread.

States are the optimizer's. Those that were made here, and that nobody has asked for since, keep
their place and are updated in it; the others are copied first. ``states`` knows who asked.

Until the loops run, nothing has changed but which array holds a value, and they cannot fail. While
they run, no other thread may take hold of a parameter's array.
Does not own how loops come to be (``native``) nor their tables (``native_backend``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ctypes import addressof, c_char
from functools import cache
from typing import Any

import mlx.core as mx
import numpy as np

from ...arrays import is_mlx
from ...groups.bucket import Bucket
from ...groups.settings import Settings
from ...groups.states import Slot
from ...rules.rule import State
from ..numpy import WorkArrays, plan_of
from . import compiler
from .pointer_table import Table, packed

Array = Any

#: A parameter's record and its gradient.
Entry = tuple[Slot, Any]
Part = tuple[Bucket, list[Entry]]

#: Arrays of at most so many elements are copied; see above.
SMALL = 16_384

#: For types that a copy through a buffer would not keep: integers of the same size.
BITS = {mx.bfloat16: mx.uint16, mx.float64: mx.int64}

_first_byte = c_char.from_buffer

_TYPES = {getattr(mx, name): name for name in compiler.TYPES}


def copied(array: Array, bits: Any = None) -> Array:
    """An array of the same values in new memory, in row-major order; ``bits`` is of `BITS`."""
    buffer: Any = memoryview(array if bits is None else array.view(bits))
    if not buffer.c_contiguous:
        return copied(mx.contiguous(array), bits)
    return mx.array(buffer) if bits is None else mx.array(buffer).view(array.dtype)


def addresses(arrays: Iterable[Array]) -> list[int]:
    """Where in memory the elements of row-major arrays are; 0 if there are none.

    Raises
    ------
    TypeError
        If an array is not row-major.
    """
    arrays = list(arrays)
    try:
        return list(map(addressof, map(_first_byte, arrays)))
    except ValueError:  # one of them has no first byte
        return [addressof(_first_byte(array)) if array.size else 0 for array in arrays]


@cache
def respects_holders() -> bool:
    """Whether ``mx.array(w)`` copies what a name, a view or a lazy expression still holds."""
    holders: tuple[Callable[[Array], Array], ...] = (lambda w: w, lambda w: w[1:], lambda w: w * 2)
    for hold in holders:
        given = [mx.array([1.0, 2.0])]
        held, before = hold(given[0]), addresses(given)
        made = mx.array(given.pop())
        mx.eval(made)
        if addresses([made]) == before:
            return False
        del held
    return True


def prepare(parts: list[Part], kernel: str, work: WorkArrays) -> tuple[list[Call], list[Part]]:
    """Make ready what compiled loops can update. Changes no value.

    Returns
    -------
    calls : list of Call
        They remain to be run.
    rest : list of Part
        What is left for MLX's own functions.
    """
    on_cpu = mx.default_device() == mx.Device(mx.cpu)
    if kernel not in ("auto", "cpp") or not on_cpu or not respects_holders():
        return [], parts
    calls: list[Call] = []
    rest: list[Part] = []
    for number, (bucket, entries) in enumerate(parts):
        for dtype, some in _by_type(entries).items():
            step = _step(bucket, _TYPES[dtype], kernel)
            if step is None:
                rest.append((bucket, some))
            else:
                calls.append(Call(step, bucket, dtype, some, (number, _TYPES[dtype])))
    mx.eval([call.given_up() for call in calls])
    for call in calls:
        call.bind(work)
    return calls, rest


def _by_type(entries: list[Entry]) -> dict[Any, list[Entry]]:
    """The entries by the type of their weights."""
    types = [slot.param.data.dtype for slot, _ in entries]
    if types.count(types[0]) == len(types):
        return {types[0]: entries}
    found: dict[Any, list[Entry]] = {}
    for dtype, entry in zip(types, entries, strict=True):
        found.setdefault(dtype, []).append(entry)
    return found


def _step(bucket: Bucket, name: str, kernel: str) -> Any:
    """The compiled step for weights of this type, if there is one."""
    rule = bucket.settings.rule
    if rule.cpp is None:
        return None
    return (compiler.demanded if kernel == "cpp" else compiler.available)(rule, name)


def _is_new(state: State, slot: Slot) -> bool:
    """Whether the state begins in this step, as zeros."""
    return state.start is None and slot.entry.get(state.key) is None


def _old(state: State, slot: Slot, settings: Settings) -> Array:
    """The state that there is, or that begins as something else than zeros."""
    from ..mlx import state_array  # most first steps do without it

    w = slot.param.data
    return mx.broadcast_to(state_array(state, slot.entry, settings, w), w.shape)


def _zeros(like: Array) -> Array:
    """New zeros. A small array takes less time by way of NumPy."""
    if like.size > SMALL or like.dtype in BITS:
        return mx.zeros(like.shape, like.dtype)
    return mx.array(np.zeros(like.shape, _TYPES[like.dtype]))


class Call:
    """One call of a compiled step, on parameters of a bucket that are of one type."""

    def __init__(
        self, step: Any, bucket: Bucket, dtype: Any, entries: list[Entry], key: tuple[int, str]
    ) -> None:
        self.step, self.bucket, self.dtype, self.key = step, bucket, dtype, key
        self.slots = [slot for slot, _ in entries]
        self.grads = [grad for _, grad in entries]
        #: The states of parameters that were not updated by the last call as they are.
        self.states: dict[Slot, dict[State, Array]] = {}
        self.copied: list[Slot] = []
        self.weights: list[Array] = []
        self.table: Any = None

    def given_up(self) -> list[Array]:
        """What is to be evaluated, with our references to large weights given up.

        A parameter whose weights were given up has an equal array at once, evaluated or not.
        """
        settings = self.bucket.settings
        self.grads = [
            grad.view(mx.uint16) if grad.dtype == mx.bfloat16 else grad  # which NumPy lacks
            for grad in self.grads
        ]
        waiting = [*self.grads, *filter(is_mlx, self.bucket.values.values())]
        for slot in self.slots:
            param = slot.param
            if slot.pointers is None:
                slot.forget()
                self.states[slot] = states = {
                    state: _zeros(param.data)
                    if _is_new(state, slot)
                    else _old(state, slot, settings)
                    for state in settings.arrays
                }
                waiting += states.values()
                self.copied.append(slot)
            elif slot.data.size > SMALL:
                slot.data = None
                param.data = mx.contiguous(mx.array(param.data))
            else:
                self.copied.append(slot)
            waiting.append(param.data)
        return waiting

    def bind(self, work: WorkArrays) -> None:
        """Copy what may be shared, and find where everything is in memory."""
        bits = BITS.get(self.dtype)
        for slot in self.copied:
            slot.data = None  # so that the memory is free for the next copy
            slot.param.data = copied(slot.param.data, bits)
        for slot, states in self.states.items():
            for state, array in states.items():
                if not _is_new(state, slot):
                    states[state] = copied(array, bits)
        rule = self.bucket.settings.rule
        bound = [slot.pointers or self._pointers(slot) for slot in self.slots]
        self.weights = [slot.param.data for slot in self.slots]
        table = work.tables.get(self.key)
        if table is None or not table.is_of(rule, bound):
            sizes = [w.size for w in self.weights]
            table = Table(rule, self.slots, bound, sizes, plan_of(rule).common)
            work.tables[self.key] = table
        table.arrays[:, 0] = addresses(self.weights)
        self.table = table
        self.grads = [np.array(grad, copy=False) for grad in self.grads]
        packed(self.bucket, table.names)

    def _pointers(self, slot: Slot) -> tuple[int, ...]:
        """The addresses of the states, 0 for one that is not live; in front the place of w's."""
        states = self.states[slot]
        own = dict(zip(states, addresses(states.values()), strict=True))
        return (0, *(own.get(state, 0) for state in self.bucket.settings.rule.arrays))

    def run(self) -> None:
        """The step, and what is remembered of it."""
        self.table.run(self.step, self.bucket, self.grads)
        for slot, w in zip(self.slots, self.weights, strict=True):
            slot.data = w
        for slot, pointers in zip(self.slots, self.table.bound, strict=True):
            if slot in self.states:
                self._remember(slot, pointers)

    def _remember(self, slot: Slot, pointers: tuple[int, ...]) -> None:
        w, states = slot.data, self.states[slot]
        slot.kind, slot.dtype, slot.shape = type(w), w.dtype, w.shape
        slot.arrays, slot.pointers = self.bucket.settings.arrays, pointers
        slot.sources = tuple((state.key, array) for state, array in states.items())
        slot.entry.update(slot.sources)
        if slot.shared and not slot.is_held():
            slot.shared = False
        if slot.shared:
            slot.forget()
