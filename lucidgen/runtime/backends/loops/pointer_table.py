"""Calling compiled loops: all the tensors of a bucket in one call.

Owns the table of pointers that a call is given and when it must be made anew. It is the arrays that
count: a table holds for as long as the bound arrays are those that it was made of, and only the
gradients are looked at in every step. They may be of another type than their weights, and are
converted in the loop: no copies of them are made. It does not care whose memory it is: NumPy's, or
MLX's (``mlx_native``), whose gradients come as NumPy arrays that share their memory. Does not own
how loops come to be (``native``).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import addressof
from functools import cache
from operator import is_
from typing import Any

import numpy as np

from ...arrays import TYPES
from ...groups.bucket import Bucket
from ...groups.states import Slot
from ...rules.rule import Rule, State


class _Layout(ctypes.Structure):
    _fields_ = (
        ("axes", ctypes.c_int64),
        ("extents", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
    )


class _Table(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("arrays", ctypes.c_void_p),
        ("grads", ctypes.c_void_p),
        ("data_offset", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("layouts", ctypes.c_void_p),
    )


@cache
def threads() -> int:
    """How many threads a step may use: OMP_NUM_THREADS, or one for each processor that we have."""
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if named.isdigit() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _data_offset() -> int:
    """Where an array object keeps the pointer to its data, or -1 if it is not where it should be.

    It follows the object's header, and is part of the interface that every extension module is
    compiled against. Reading it there takes a tenth of the time of asking the array in Python.
    """
    offset = object.__basicsize__
    for array in (np.empty(3), np.empty((2, 2))[1:]):
        if ctypes.c_void_p.from_address(id(array) + offset).value != array.ctypes.data:
            return -1
    return offset


def pointers(slot: Slot, states: Sequence[State], live: Sequence[State]) -> tuple[int, ...]:
    """The addresses of a NumPy parameter's arrays, 0 for a state that is not live.

    Empty if a loop cannot work on them: they must be of one type and lie in memory alike.
    """
    own = {state.name: a for state, (_, a) in zip(live, slot.sources, strict=True)}
    arrays = [slot.data, *own.values()]
    for array in arrays:
        flags = array.flags
        flat = flags.f_contiguous if slot.order == "F" else flags.c_contiguous
        if not (flat and flags.behaved and array.dtype == slot.dtype and array.shape == slot.shape):
            return ()
    found = [own[state.name].ctypes.data if state.name in own else 0 for state in states]
    return (slot.data.ctypes.data, *found)


def packed(bucket: Bucket, names: Sequence[str]) -> tuple[Any, Any]:
    """The named values as C arrays: numbers, and choices."""
    if bucket.packed is None:
        values = [bucket.values[name] for name in names]
        numbers = [float(value) for value in values if type(value) is not bool]
        choices = [value for value in values if type(value) is bool]
        bucket.packed = (
            (ctypes.c_double * len(numbers))(*numbers),
            (ctypes.c_int * len(choices))(*choices),
        )
    found: tuple[Any, Any] = bucket.packed
    return found


class Table:
    """What a compiled step is given for these parameters; it holds as long as `is_of` them.

    `bound` are the addresses of each parameter's arrays, w first, and `names` the scalars and
    choices that the step reads.
    """

    def __init__(
        self,
        rule: Rule,
        slots: Sequence[Slot],
        bound: Sequence[tuple[int, ...]],
        sizes: Sequence[int],
        names: Sequence[str],
    ) -> None:
        self.rule, self.slots, self.bound, self.names = rule, slots, bound, names
        self.starts = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=self.starts[1:])
        self.arrays = np.array(bound, dtype=np.intp)
        self.dtypes: list[Any] = []
        self.strides: list[Any] = []
        self.types: Any = None
        self.layouts: Any = None
        self.made: dict[Any, tuple[int, Any]] = {}
        self.table = _Table(
            *(len(sizes), self.starts.ctypes.data, self.arrays.ctypes.data),
            *(None, _data_offset(), None, None),
        )

    def is_of(self, rule: Rule, bound: Sequence[tuple[int, ...]]) -> bool:
        """Whether these are the same parameters with the same arrays."""
        return (
            rule is self.rule and len(bound) == len(self.bound) and all(map(is_, bound, self.bound))
        )

    def run(self, step: Any, bucket: Bucket, grads: Sequence[Any]) -> None:
        """One call of a step, with these gradients."""
        table = self.table
        if table.data_offset >= 0:
            found = np.fromiter(map(id, grads), np.intp, len(grads))
        else:
            found = np.array([grad.ctypes.data for grad in grads], dtype=np.intp)
        table.grads = found.ctypes.data
        dtypes = [grad.dtype for grad in grads]
        strides = [grad.strides for grad in grads]
        if dtypes != self.dtypes or strides != self.strides:
            self.types = np.array([TYPES[dtype] for dtype in dtypes], dtype=np.int8)
            self.layouts = self._layouts(grads)
            self.dtypes, self.strides = dtypes, strides
            table.types = self.types.ctypes.data
            table.layouts = None if self.layouts is None else self.layouts.ctypes.data
        scalars, choices = packed(bucket, self.names)
        step(addressof(table), scalars, choices, threads())

    def _layouts(self, grads: Sequence[Any]) -> Any:
        """The layouts of these gradients; None if all are laid out like their weights."""
        found = [self._layout(*pair) for pair in zip(self.slots, grads, strict=True)]
        return np.array(found, dtype=np.intp) if any(found) else None

    def _layout(self, slot: Slot, grad: Any) -> int:
        key = grad.shape, grad.strides, grad.itemsize, slot.order
        if key not in self.made:
            axes = list(zip(grad.shape, grad.strides, strict=True))
            if slot.order == "F":
                axes.reverse()
            self.made[key] = _made([axis for axis in axes if axis[0] != 1], grad.itemsize)
        return self.made[key][0]


def _made(axes: list[tuple[int, int]], itemsize: int) -> tuple[int, Any]:
    """A layout, with its address and what keeps it alive; 0 for elements without gaps in order."""
    expected = itemsize
    for extent, stride in reversed(axes):
        if stride != expected:
            break
        expected *= extent
    else:
        return 0, None
    numbers = np.array(list(zip(*axes, strict=True)), dtype=np.int64)
    layout = _Layout(len(axes), numbers[0].ctypes.data, numbers[1].ctypes.data)
    return ctypes.addressof(layout), (layout, numbers)
