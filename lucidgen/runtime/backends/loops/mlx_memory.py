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
their place and are updated in it; the others are copied first. ``groups.states`` knows who asked.

Until the loops run, nothing has changed but which array holds a value, and they cannot fail. While
they run, no other thread may take hold of a parameter's array.
Does not own how loops come to be (``compiler``) nor their tables (``pointer_table``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ctypes import addressof, c_char
from functools import cache
from typing import Any

import mlx.core as mx
import numpy as np

from ...groups.bucket import Part
from ...groups.settings import Settings
from ...groups.states import Seen, Slot
from ...rules.rule import State
from ..mlx_arrays import state_array
from . import compiler
from .pointer_table import NAME, Loop, Table, bound, chosen

Array = Any

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


class Loops:
    """The backend. A loop that is not demanded is left out while it is being compiled."""

    def __init__(self, demanded: bool) -> None:
        self.demanded = demanded

    def prepare(
        self, parts: Sequence[Part], own: dict[str, Any]
    ) -> tuple[list[Call], Sequence[Part]]:
        """Prepare what loops can update: where MLX runs on the CPU, and minds who holds arrays.

        Raises
        ------
        Unavailable
            If loops are demanded that cannot be had.
        """
        if mx.default_device() != mx.Device(mx.cpu) or not respects_holders():
            return [], parts
        calls: list[Call] = []
        rest: list[Part] = []
        for part in parts:
            rule, kept = part.bucket.settings.rule, bound(part.members)
            for dtype, places in kept.types.items():
                step = None
                if dtype in kept.loops:
                    step = kept.loops[dtype].step
                elif "cpp" in rule.targets:
                    step = compiler.step(rule, _TYPES[dtype], self.demanded)
                if step is not None:
                    calls.append(Call(step, part, dtype, places))
                else:
                    rest.append(part if places is None else part.only(places))
        mx.eval([call.given_up() for call in calls])
        for call in calls:
            call.bind()
        return calls, rest


def _is_new(state: State, slot: Slot) -> bool:
    """Whether the state begins in this step, as zeros."""
    return state.start is None and slot.entry.get(state.key) is None


def _old(state: State, slot: Slot, settings: Settings) -> Array:
    """The state that there is, or that begins as something else than zeros."""
    w = slot.param.data
    return mx.broadcast_to(state_array(state, slot.entry, settings, w), state.shape(w.shape))


def _zeros(state: State, w: Array) -> Array:
    """A new state of zeros. A small array takes less time by way of NumPy."""
    shape = state.shape(w.shape)
    if w.size > SMALL or w.dtype in BITS:
        return mx.zeros(shape, w.dtype)
    return mx.array(np.zeros(shape, _TYPES[w.dtype]))


class Call:
    """One call of a compiled step, on parameters of a part that are of one type."""

    def __init__(
        self, step: compiler.Step, part: Part, dtype: Any, places: list[int] | None
    ) -> None:
        self.step, self.bucket, self.dtype, self.places = step, part.bucket, dtype, places
        self.kept = bound(part.members)
        self.slots, self.grads = chosen(part.slots, places), chosen(part.grads, places)
        self.streams = part.streams
        if places is not None and self.streams is not None:
            self.streams = self.streams[places]
        #: The states of parameters whose states were not updated by loops at the last step.
        self.states: dict[Slot, dict[State, Array]] = {}
        #: The addresses of their states, 0 for one that is not live.
        self.addresses: dict[Slot, tuple[int, ...]] = {}
        self.copied: list[Slot] = []
        self.weights: list[Array] = []

    def given_up(self) -> list[Array]:
        """What is to be evaluated, with our references to large weights given up.

        A parameter whose weights were given up has an equal array at once, evaluated or not.
        """
        settings = self.bucket.settings
        self.grads = [
            grad.view(mx.uint16) if grad.dtype == mx.bfloat16 else grad  # which NumPy lacks
            for grad in self.grads
        ]
        waiting = [*self.grads]
        waiting += [v for v in self.bucket.values.values() if isinstance(v, mx.array)]
        for slot in self.slots:
            param, seen = slot.param, slot.seen
            if seen is None or not seen.private:
                slot.seen = None
                self.states[slot] = states = {
                    state: _zeros(state, param.data)
                    if _is_new(state, slot)
                    else _old(state, slot, settings)
                    for state in settings.arrays
                }
                waiting += states.values()
                self.copied.append(slot)
            elif seen.data.size > SMALL:
                seen.data = None
                param.data = mx.contiguous(mx.array(param.data))
            else:
                self.copied.append(slot)
            waiting.append(param.data)
        return waiting

    def bind(self) -> None:
        """Copy what may be shared, and find where everything is in memory."""
        bits = BITS.get(self.dtype)
        for slot in self.copied:
            if slot.seen is not None:
                slot.seen.data = None  # so that the memory is free for the next copy
            slot.param.data = copied(slot.param.data, bits)
        for slot, states in self.states.items():
            for state, array in states.items():
                if not _is_new(state, slot):
                    states[state] = copied(array, bits)
        self.weights = [slot.param.data for slot in self.slots]
        if self.states or self.dtype not in self.kept.loops:
            self.kept.loops[self.dtype] = Loop(self.step, self._table(), self.places)
        table = self.kept.loops[self.dtype].table
        table.arrays[:, 0] = addresses(self.weights)
        self.grads = [np.array(grad, copy=False) for grad in self.grads]
        table.pack(self.bucket)

    def _table(self) -> Table:
        """The table of these parameters, kept as long as they are the members of a part."""
        for slot, states in self.states.items():
            own = dict(zip(states, addresses(states.values()), strict=True))
            of_states = (own.get(state, 0) for state in self.bucket.settings.rule.arrays)
            self.addresses[slot] = (0, *of_states)  # in front the place of w's
        found = [
            self.addresses[slot] if slot.seen is None else slot.seen.own[NAME]
            for slot in self.slots
        ]
        sizes, shapes = [w.size for w in self.weights], [w.shape for w in self.weights]
        return Table(self.bucket, found, sizes, "C" * len(sizes), shapes)

    def run(self) -> None:
        """The step, and what is remembered of it."""
        self.kept.loops[self.dtype].table.run(self.step, self.grads, streams=self.streams)
        for slot, w in zip(self.slots, self.weights, strict=True):
            if slot.seen is None:
                self._remember(slot, w)
            else:
                slot.seen.data = w

    def _remember(self, slot: Slot, w: Array) -> None:
        """Put the states that were made here in place; they are ours if nobody may see them."""
        states = self.states[slot]
        sources = tuple((state.key, array) for state, array in states.items())
        slot.entry.update(sources)
        if slot.shared and not slot.is_held():
            slot.shared = False
        if not slot.shared:
            arrays = self.bucket.settings.arrays
            slot.seen = seen = Seen(w, arrays, sources, private=True)
            seen.own[NAME] = self.addresses[slot]
