"""Calls of GPU kernels: what one is given, for one tensor or for several at once.

Owns the assembling of a call. Whether a kernel may be used at all is ``trial``'s business, which
tensors are put together ``packing``'s, and the text that is called ``text``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import mlx.core as mx

from ...rules.rule import State, names_of
from . import languages, text
from .kernel import Kernel

Array = Any

#: Threads of a group; any grid is a whole number of groups of this many, or less than one.
THREADS = 256

#: Smaller arrays come to Metal in another address space, so that they cannot share a pointer.
FEW = 8


class Call:
    """One kernel with its static choices: assembles the arguments of a call and makes it."""

    def __init__(
        self,
        kernel: Kernel,
        states: Sequence[State],
        choices: Mapping[str, bool],
        known: Sequence[str],
    ) -> None:
        self.kernel = kernel
        self.language = languages.LANGUAGES[kernel.language]
        # Every live state that is an array, in the rule's order, and those that have elements.
        self.states = tuple(s.name for s in states)
        self.live = tuple(s.name for s in states if s.domain == "element")
        self.fixed = {
            name: mx.array(on) for name, on in choices.items() if name in kernel.conditions
        }
        read = dict.fromkeys((*kernel.constants, *wanted(kernel)))
        self.scalars = tuple(name for name in read if name in known and name not in self.fixed)
        self.template = [(kernel.spelled.get(name, name), choices[name]) for name in kernel.choices]
        self.choices = choices
        self._made: dict[int, Callable[..., Any]] = {}

    def most(self) -> int:
        """How many tensors one call can update: 1 if what is one number per tensor is computed."""
        if self.kernel.tensors is not None:
            return 1
        others = 2 * len(self.live) + len(self.kernel.constants) + self.kernel.draws + 1
        return max(1, (self.language.buffers - others) // 3)

    def tensors(self, w: Array, grad: Array, available: Mapping[str, Any]) -> dict[str, Any]:
        """What is one number per tensor, computed in single precision."""
        if self.kernel.tensors is None:
            return {}
        single = {"w": w.astype(mx.float32), "grad": grad.astype(mx.float32)}
        arrays = {k: a.astype(mx.float32) for k, a in available.items() if k in self.states}
        names = names_of(self.kernel.tensors)
        given = {**self.choices, **available, **arrays, **single}
        return self.kernel.tensors(**{name: given.get(name) for name in names})

    def run(
        self, w: Array, grad: Array, states: list[Array], values: list[Array], *stream: Array
    ) -> list[Array]:
        """The new w and live states, in the types that came in.

        A rule that draws random numbers is given the ``stream`` of the parameter.
        """
        if w.size == 0:
            return [w, *states]
        kind = w.dtype
        grad = grad.astype(kind)
        named = dict(zip(self.states, states, strict=True))
        available = {**self.fixed, **dict(zip(self.scalars, values, strict=True)), **named}
        tensors = self.tensors(w, grad, available)
        available.update({k: a for k, a in tensors.items() if k in self.kernel.scalars})
        arrays = [_flat(array.astype(kind)) for array in (w, grad, *(named[s] for s in self.live))]
        found = self._call(
            self._function(1),
            [*arrays, *self._constants(available), *stream, _count(w.size)],
            [w.shape] * (1 + len(self.live)),
            kind,
            w.size,
        )
        new = dict(zip(self.live, found[1:], strict=True))
        rest = {s: tensors[s].astype(kind) for s in self.states if s not in new}
        return [found[0], *(({**new, **rest})[s] for s in self.states)]

    def together(
        self,
        ws: Sequence[Array],
        grads: Sequence[Array],
        flats: list[Array],
        values: list[Array],
        streams: Sequence[Array] = (),
    ) -> tuple[list[Array], list[Array]]:
        """The new ws and flat live states of up to `most` tensors.

        Parameters
        ----------
        ws, grads : sequences of array
            Of one type, each with at least `FEW` elements.
        flats : list of array
            For each live state the states of all tensors, one after the other, with one axis.
        values : list of array
            What `scalars` names.
        streams : sequence of array
            Of each tensor that of its random numbers, where the rule draws any.
        """
        kind, sizes = ws[0].dtype, tuple(w.size for w in ws)
        available = {**self.fixed, **dict(zip(self.scalars, values, strict=True))}
        found = self._call(
            self._function(len(ws)),
            [
                *ws,
                *(grad.astype(kind) for grad in grads),
                *flats,
                *self._constants(available),
                *([mx.concatenate(list(streams))] if streams else []),
                _starts(sizes),
            ],
            [*(w.shape for w in ws), *((sum(sizes),) for _ in flats)],
            kind,
            sum(sizes),
        )
        return found[: len(ws)], found[len(ws) :]

    def _constants(self, available: Mapping[str, Array]) -> list[Array]:
        """The scalars and conditions, in the order of the kernel's inputs."""
        single = [available[name].astype(mx.float32) for name in self.kernel.scalars]
        return [*single, *(available[name] for name in self.kernel.conditions)]

    def _call(
        self, function: Callable[..., Any], inputs: list[Array], shapes: Any, kind: Any, size: int
    ) -> list[Array]:
        found: list[Array] = function(
            inputs=inputs,
            template=[("T", kind), *self.template],
            grid=(size, 1, 1),
            threadgroup=(min(THREADS, size), 1, 1),
            output_shapes=shapes,
            output_dtypes=[kind] * len(shapes),
        )
        return found

    def _function(self, tensors: int) -> Callable[..., Any]:
        """The kernel for so many tensors."""
        if tensors not in self._made:
            arguments = text.arguments(self.kernel, self.live, tensors)
            self._made[tensors] = languages.make_kernel(self.language, **arguments)
        return self._made[tensors]


def wanted(kernel: Kernel) -> tuple[str, ...]:
    """What the computing of numbers per tensor asks for."""
    return () if kernel.tensors is None else names_of(kernel.tensors)


def _flat(array: Array) -> Array:
    """The array with an axis: a 0-d one would come as a reference, not as a pointer."""
    return array.reshape(1) if array.ndim == 0 else array


@lru_cache(4096)
def _count(size: int) -> Array:
    return mx.array(size, dtype=mx.uint32)


@lru_cache(4096)
def _starts(sizes: tuple[int, ...]) -> Array:
    return mx.array([0, *accumulate(sizes)], dtype=mx.uint32)


def covering(
    kernel: Kernel,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Call | None:
    """The call of a kernel, if it covers these live states, choices and scalars."""
    on, live = dict(choices), {s.name for s in arrays if s.domain == "element"}
    given = {*on, *known}
    if kernel.tensors is not None:
        given.update(kernel.scalars)  # it computes what the host does not know
    needed = {*kernel.constants, *kernel.choices}
    if not (live.issubset(kernel.states) and given.issuperset(needed)):
        return None
    if any(name in known and name not in on for name in _decisions(kernel)):
        return None  # conditions are arrays here, and Python code cannot branch on them
    return Call(kernel, arrays, on, known)


def _decisions(kernel: Kernel) -> tuple[str, ...]:
    """The conditions that Python code asks for."""
    return tuple(name for name in kernel.conditions if name in wanted(kernel))
