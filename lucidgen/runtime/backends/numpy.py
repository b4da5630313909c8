"""NumPy updates NumPy's arrays, in place: the backend that takes whatever is left.

Owns the flattened views and chunks that step functions get, and the work arrays. Does not own the
arrays themselves (``numpy_arrays``), nor checks of gradients and groups (``step``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from ..groups.bucket import Part
from ..groups.states import Seen
from ..rules import philox
from ..rules.calling import step_names, unknown_name
from .numpy_arrays import bind, computing_type, keep, with_equation_axes

#: Elements per call of an elementwise step. Work arrays of this size stay in the caches; smaller
#: chunks cost more calls than they save memory traffic (measured from 8 thousand to 262 thousand).
CHUNK = 131_072

#: For each call: which elements (None for all), those of w, and the states and work arrays. Draws
#: have a place there that is filled in each step.
Chunks = list[tuple[slice | None, Array, tuple[Any, ...]]]


class NumPy:
    """The backend."""

    name = "numpy"

    def prepare(
        self, parts: Sequence[Part], own: dict[str, Any]
    ) -> tuple[list[Call], Sequence[Part]]:
        """Prepare all parts; nothing is left."""
        work = own.get(self.name)
        if work is None:
            work = own[self.name] = WorkArrays()
        for part in parts:
            bind(part)
        return [Call(part, work) for part in parts], ()


class WorkArrays:
    """The work arrays of one optimizer, shared by all its parameters."""

    def __init__(self) -> None:
        self._full: dict[tuple[np.dtype[Any], int], list[Array]] = {}
        self._views: dict[tuple[np.dtype[Any], int, int], tuple[Array, ...]] = {}

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


class Call:
    """The step function on the parameters of a part, one after the other."""

    def __init__(self, part: Part, work: WorkArrays) -> None:
        self.part, self.work = part, work
        rule, values = part.bucket.settings.rule, part.bucket.values
        self.shaped = part.bucket.settings.shaped
        self.own, self.common = step_names(rule)
        self.draws = rule.drawn(part.bucket.values)
        if not all(map(values.__contains__, self.common)):
            known = dict.fromkeys(("w", "grad", *self.own))
            raise unknown_name(rule.numpy, {**values, **known})

    def run(self) -> None:
        """The step itself."""
        part, rule = self.part, self.part.bucket.settings.rule
        keep(part.members)
        function, name, dtype, common = rule.numpy, NumPy.name, None, ()
        with np.errstate(all="ignore"):
            for number, (slot, grad) in enumerate(zip(part.slots, part.grads, strict=True)):
                seen: Any = slot.seen
                chunks = seen.own.get(name)
                if chunks is None:
                    chunks = seen.own[name] = self._chunks(seen)
                if seen.dtype is not dtype:
                    dtype = seen.dtype
                    common = self._arguments(dtype)
                if self.shaped:
                    grad = with_equation_axes(grad, rule)
                elif grad.ndim != 1:
                    grad = grad.ravel(seen.order)
                if self.draws:
                    chunks = self._drawn(seen, chunks, part.streams[number])
                if dtype.itemsize < 4:
                    _run_half(function, grad, chunks, common)
                    continue
                for elements, w, tail in chunks:
                    some = grad if elements is None else grad[elements]
                    function(w, some.astype(dtype, copy=False), *tail, *common)

    def _drawn(self, seen: Seen, chunks: Chunks, stream: Array) -> Chunks:
        """The chunks with random numbers in their places."""
        kind, rule = computing_type(seen.dtype), self.part.bucket.settings.rule
        places = [(self.own.index(draw.name), draw) for draw in self.draws]
        # Elements are counted in C's order: where they lie in another one, all are drawn at once.
        order: Any = seen.order
        whole = order == "F" and seen.data.ndim > 1
        found: Chunks = []
        for part, w, tail in chunks:
            start, stop = (0, seen.data.size) if part is None or whole else (part.start, part.stop)
            given = list(tail)
            for place, draw in places:
                numbers = philox.KINDS[draw.kind](stream, draw.number, start, stop)
                numbers = numbers.astype(kind, copy=False)
                if whole:
                    numbers = numbers.reshape(seen.shape).ravel(order)
                    numbers = numbers if part is None else numbers[part]
                given[place] = numbers
                if self.shaped:
                    given[place] = numbers.reshape(seen.shape, order=order)
                    given[place] = with_equation_axes(given[place], rule)
            found.append((part, w, tuple(given)))
        return found

    def _arguments(self, dtype: np.dtype[Any]) -> tuple[Any, ...]:
        """What the parameters have in common, for weights of this type.

        Scalars are 0-d arrays: NumPy takes them in a third of the time that a Python float costs.
        """
        kind, values = computing_type(dtype), self.part.bucket.values
        given = [values[name] for name in self.common]
        return tuple([np.array(x, kind) if type(x) is float else x for x in given])

    def _chunks(self, seen: Seen) -> Chunks:
        """What the step function is called with, chunk by chunk; it holds as the arrays do."""
        rule, w = self.part.bucket.settings.rule, seen.data
        order: Any = seen.order
        states = [array for _, array in seen.sources]
        if self.shaped:
            w = with_equation_axes(w, rule)
            views = self.work.of(w.dtype, w.size, rule.scratch)
            scratch = tuple(view.reshape(w.shape, order=order) for view in views)
            own = {
                state.name: with_equation_axes(array, rule) if state.domain == "element" else array
                for state, array in zip(seen.arrays, states, strict=True)
            }
            return [(None, w, self._tail(own, scratch))]
        w = w.reshape(-1, order=order)
        flat = {
            state.name: array.reshape(-1, order=order) if state.domain == "element" else array
            for state, array in zip(seen.arrays, states, strict=True)
        }
        chunks: Chunks = []
        length = min(CHUNK, w.size) if rule.elementwise else w.size
        # What reduces nothing has a result, too.
        for start in range(0, w.size, max(length, 1)) if rule.elementwise else (0,):
            part = None if length == w.size else slice(start, min(start + length, w.size))
            size = w.size if part is None else part.stop - start
            found = {
                name: array if part is None or not array.ndim else array[part]
                for name, array in flat.items()
            }
            tail = self._tail(found, self.work.of(w.dtype, size, rule.scratch))
            chunks.append((part, w if part is None else w[part], tail))
        return chunks

    def _tail(self, states: Mapping[str, Array], scratch: tuple[Array, ...]) -> tuple[Any, ...]:
        """The arguments after w and grad that belong to one call."""
        known = {**states, "scratch": scratch}
        return tuple(known.get(name) for name in self.own)


def _run_half(
    function: Callable[..., None], grad: Array, chunks: Chunks, common: tuple[Any, ...]
) -> None:
    """The calls of a float16 parameter, computed in float32."""
    for part, w, tail in chunks:
        given = [w, *tail]
        wide = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in given]
        half_grad = (grad if part is None else grad[part]).astype(w.dtype, copy=False)
        function(wide[0], half_grad.astype(np.float32), *wide[1:], *common)
        for array, result in zip(given, wide, strict=True):
            if isinstance(array, np.ndarray):
                array[...] = result
