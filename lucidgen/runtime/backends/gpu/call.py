"""Calls of GPU kernels: the arguments of one, and the text that it needs.

Owns the assembling of a call, for one tensor or for several at once. Whether a kernel may be used
at all is ``gpu_backend``'s business, which tensors are put together is ``packing``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate
from typing import Any

import mlx.core as mx

from ...rules.kernel import Body, Kernel
from ...rules.rule import State, names_of
from . import languages

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
        body: Body,
        states: Sequence[str],
        choices: Mapping[str, bool],
        known: Sequence[str],
    ) -> None:
        self.kernel, self.body = kernel, body
        self.dialect = languages.DIALECTS[kernel.dialect]
        self.states = states  # every live state that is an array, in the rule's order
        self.live = body.live
        self.fixed = {
            name: mx.array(on) for name, on in choices.items() if name in kernel.conditions
        }
        read = dict.fromkeys((*kernel.scalars, *kernel.conditions, *wanted(kernel)))
        self.scalars = tuple(name for name in read if name in known and name not in self.fixed)
        names = zip(kernel.template, kernel.choices, strict=True)
        self.template = [(text, choices[name]) for text, name in names]
        self.choices = choices
        self._made: dict[int, Callable[..., Any]] = {}

    def most(self) -> int:
        """How many tensors one call can update: 1 if what is one number per tensor is computed."""
        if self.kernel.tensors is not None:
            return 1
        states = len(self.live)
        constants = len(self.body.inputs) - 2 - states
        return max(1, (self.dialect.buffers - 2 * states - constants - 1) // 3)

    def tensors(self, w: Array, grad: Array, available: Mapping[str, Any]) -> dict[str, Any]:
        """What is one number per tensor, computed in single precision."""
        if self.kernel.tensors is None:
            return {}
        single = {"w": w.astype(mx.float32), "grad": grad.astype(mx.float32)}
        arrays = {k: a.astype(mx.float32) for k, a in available.items() if k in self.states}
        names = names_of(self.kernel.tensors)
        given = {**self.choices, **available, **arrays, **single}
        return self.kernel.tensors(**{name: given.get(name) for name in names})

    def run(self, w: Array, grad: Array, states: list[Array], values: list[Array]) -> list[Array]:
        """The new w and live states, in the types that came in."""
        if w.size == 0:
            return [w, *states]
        kind = w.dtype
        grad = grad.astype(kind)
        named = dict(zip(self.states, states, strict=True))
        available = {**self.fixed, **dict(zip(self.scalars, values, strict=True)), **named}
        tensors = self.tensors(w, grad, available)
        available.update({k: a for k, a in tensors.items() if k in self.kernel.tensor_scalars})
        arrays = [_flat(array.astype(kind)) for array in (w, grad, *(named[s] for s in self.live))]
        found = self._call(
            self._function(1),
            [*arrays, *self._constants(available), _count(w.size)],
            [w.shape] * (1 + len(self.live)),
            kind,
            w.size,
        )
        new = dict(zip(self.live, found[1:], strict=True))
        rest = {s: tensors[s].astype(kind) for s in self.states if s not in new}
        return [found[0], *(({**new, **rest})[s] for s in self.states)]

    def together(
        self, ws: Sequence[Array], grads: Sequence[Array], flats: list[Array], values: list[Array]
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
                _starts(sizes),
            ],
            [*(w.shape for w in ws), *((sum(sizes),) for _ in flats)],
            kind,
            sum(sizes),
        )
        return found[: len(ws)], found[len(ws) :]

    def _constants(self, available: Mapping[str, Array]) -> list[Array]:
        """The scalars and conditions, in the order of the body's inputs."""
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
            self._made[tensors] = languages.make_kernel(self.dialect, **self._text(tensors))
        return self._made[tensors]

    def _text(self, tensors: int) -> dict[str, Any]:
        body, states = self.body, self.body.inputs[2 : 2 + len(self.live)]
        constants = body.inputs[2 + len(states) :]
        if tensors == 1:
            inputs, outputs = [*body.inputs, "size"], [*body.outputs]
            first = self.dialect.one()
        else:
            inputs = [f"{name}_{k}" for name in ("w", "grad") for k in range(tensors)]
            inputs += [*(f"flat_{state}" for state in states), *constants, "starts"]
            outputs = [f"new_w_{k}" for k in range(tensors)]
            outputs += [f"flat_new_{state}" for state in states]
            first = self.dialect.many(tensors, states)
        source = first + body.source.removeprefix("\n")
        digest = sha256(f"{self.kernel.header}\0{source}".encode()).hexdigest()[:12]
        return {
            "name": f"lucidgen_{self.kernel.name}_{digest}",
            "input_names": inputs,
            "output_names": outputs,
            "header": self.kernel.header,
            "source": source,
        }


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
    body = kernel.body(tuple(s.name for s in arrays if s.domain == "element"))
    if body is None:
        return None
    on = dict(choices)
    given = {*on, *known, *kernel.tensor_scalars}
    if not given.issuperset((*kernel.scalars, *kernel.conditions, *kernel.choices)):
        return None
    if any(name in known and name not in on for name in _decisions(kernel)):
        return None  # conditions are arrays here, and Python code cannot branch on them
    return Call(kernel, body, tuple(s.name for s in arrays), on, known)


def _decisions(kernel: Kernel) -> tuple[str, ...]:
    """The conditions that Python code asks for."""
    return tuple(name for name in kernel.conditions if name in wanted(kernel))
