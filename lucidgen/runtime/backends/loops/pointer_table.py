"""Calling compiled loops: all the tensors of a bucket in one call.

Owns the table of pointers that a call is given and when it must be made anew. It is the arrays that
count: a table is kept with the members of a part, which go when their arrays do, and only the
gradients are looked at in every step. They may be of another type than their weights, and are
converted in the loop: no copies of them are made. It does not care whose memory it is: NumPy's
(``numpy_memory``), or MLX's (``mlx_memory``), whose gradients come as NumPy arrays that share their
memory. Does not own how loops come to be (``compiler``).
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from ctypes import addressof
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from ...arrays import TYPES
from ...cpython import data_offset
from ...groups.bucket import Bucket, Members
from ...rules.calling import step_names
from ...rules.rule import matrix_axes
from .compiler import Step

_dtype, _strides = attrgetter("dtype"), attrgetter("strides")


class _Layout(ctypes.Structure):
    _fields_ = (
        ("axes", ctypes.c_int64),
        ("extents", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
    )


class RawTable(ctypes.Structure):
    """The `Table` of `multi_tensor.h`."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("arrays", ctypes.c_void_p),
        ("grads", ctypes.c_void_p),
        ("data_offset", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("layouts", ctypes.c_void_p),
        ("streams", ctypes.c_void_p),
        ("places", ctypes.c_void_p),
        ("shapes", ctypes.c_void_p),
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


class Table:
    """What a compiled step is given for the parameters of a bucket, and of those that follow it.

    ``arrays`` are the addresses of each one's arrays, w first; ``orders`` say how they lie in
    memory, and ``shapes`` which shapes they have.
    """

    def __init__(
        self,
        bucket: Bucket,
        addresses: Sequence[tuple[int, ...]],
        sizes: Sequence[int],
        orders: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
    ) -> None:
        names = step_names(bucket.settings.rule)[1]
        self.numbers = [name for name in names if name not in bucket.choices]
        self.choices = [name for name in names if name in bucket.choices]
        self.packed = (
            (ctypes.c_double * len(self.numbers))(),
            (ctypes.c_int * len(self.choices))(),
        )
        self.orders = orders
        self.starts = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=self.starts[1:])
        self.arrays = np.array(addresses, dtype=np.intp)
        self.dtypes: list[Any] = []
        self.strides: list[Any] = []
        self.types: Any = None
        self.layouts: Any = None
        self.made: dict[Any, tuple[int, Any]] = {}
        self.bucket: Bucket | None = None
        self.grads = np.empty(len(sizes), dtype=np.intp)
        self.table = RawTable(
            *(len(sizes), self.starts.ctypes.data, self.arrays.ctypes.data),
            *(self.grads.ctypes.data, data_offset(), None, None, None, None, None),
        )
        self.streams: Any = None
        self.places: Any = None
        rule = bucket.settings.rule
        if rule.draws and "F" in orders:
            found = [self._place(*pair) for pair in zip(orders, shapes, strict=True)]
            self.places = np.array(found, dtype=np.intp)
            self.table.places = self.places.ctypes.data
        if rule.shaped:
            axes = [matrix_axes(shape, rule.matrices) for shape in shapes]
            self.shapes = np.array(axes, dtype=np.int64)
            self.table.shapes = self.shapes.ctypes.data

    def pack(self, bucket: Bucket) -> None:
        """Take the scalars and choices of a bucket."""
        if bucket is not self.bucket:
            self.bucket, values = bucket, bucket.values
            numbers, choices = self.packed
            numbers[:] = [values[name] for name in self.numbers]
            choices[:] = [values[name] for name in self.choices]

    def run(
        self,
        step: Step,
        grads: Sequence[Any],
        dtypes: list[Any] | None = None,
        streams: Any = None,
    ) -> None:
        """One call of a step, with these gradients, and their types if they are known.

        Scalars and choices are those that were packed last; ``streams`` are those of the random
        numbers, where the rule draws any.
        """
        table = self.table
        if streams is not None:
            self.streams = np.ascontiguousarray(streams)
            table.streams = self.streams.ctypes.data
        if table.data_offset >= 0:
            self.grads[:] = list(map(id, grads))
        else:
            self.grads[:] = [grad.ctypes.data for grad in grads]
        dtypes, strides = dtypes or list(map(_dtype, grads)), list(map(_strides, grads))
        if dtypes != self.dtypes or strides != self.strides:
            self.types = np.array([TYPES[dtype] for dtype in dtypes], dtype=np.int8)
            self.layouts = self._layouts(grads)
            self.dtypes, self.strides = dtypes, strides
            table.types = self.types.ctypes.data
            table.layouts = None if self.layouts is None else self.layouts.ctypes.data
        step(addressof(table), *self.packed, threads())

    def _layouts(self, grads: Sequence[Any]) -> Any:
        """The layouts of these gradients; None if all are laid out like their weights."""
        found = [self._layout(*pair) for pair in zip(self.orders, grads, strict=True)]
        return np.array(found, dtype=np.intp) if any(found) else None

    def _place(self, order: str, shape: tuple[int, ...]) -> int:
        """Where elements lie in C's order, counted in elements; 0 if it is theirs."""
        key = "place", order, shape
        if key not in self.made:
            strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
            axes = list(zip(shape, strides, strict=True))
            if order == "F":
                axes.reverse()
            self.made[key] = _made([axis for axis in axes if axis[0] != 1], 1)
        return self.made[key][0]

    def _layout(self, order: str, grad: Any) -> int:
        key = grad.shape, grad.strides, grad.itemsize, order
        if key not in self.made:
            axes = list(zip(grad.shape, grad.strides, strict=True))
            if order == "F":
                axes.reverse()
            self.made[key] = _made([axis for axis in axes if axis[0] != 1], grad.itemsize)
        return self.made[key][0]


class Loop(NamedTuple):
    """A compiled step, its table, and which members of a part are in that: None stands for all."""

    step: Step
    table: Table
    places: list[int] | None


#: Under which name the addresses of a parameter's arrays are kept, and what `Bound` is.
NAME = "cpp"


class Bound:
    """What is kept of the members of a part, by the type of their weights.

    ``types`` has the places of the members of a type, ``loops`` what can be run on them, and
    ``takes_all`` says that this is all that there is to run.
    """

    __slots__ = ("loops", "takes_all", "types")

    def __init__(self, members: Members) -> None:
        found: dict[Any, list[int]] = {}
        for i, slot in enumerate(members.slots):
            found.setdefault(slot.param.data.dtype, []).append(i)
        self.types: dict[Any, list[int] | None] = dict(found)
        if len(found) == 1:
            self.types = dict.fromkeys(found)
        self.loops: dict[Any, Loop] = {}
        self.takes_all = False


def bound(members: Members) -> Bound:
    """What is kept of these members."""
    found: Bound | None = members.own.get(NAME)
    if found is None:
        found = members.own[NAME] = Bound(members)
    return found


def chosen(items: Sequence[Any], places: list[int] | None) -> Sequence[Any]:
    """The items in these places; None stands for all."""
    return items if places is None else [items[i] for i in places]


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
