"""Reductions of NumPy arrays, as the table of operations means them.

Owns sums that are right to a few units in the last place however many terms they have, whatever the
arrays' layout and however many threads there are. NumPy adds pairwise along neighbours in memory,
but one after the other along other axes, and leaves norms to BLAS. Half types are summed in
float32. Where a square overflows, a norm is infinite. Everything else is NumPy's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .summation import in_a_row

Array = np.ndarray[Any, np.dtype[Any]]

#: How many squares have an array of their own while they are added: it stays in the caches.
SQUARES = 16_384


def total(x: Any, axis: int | None = None) -> Any:
    """The sum over everything, or along one of the last two axes, which stays with length 1."""
    x = _lines(x, axis)
    if axis is None:
        return np.add.reduce(x)
    while not _is_near(x, axis) and _in_a_row(x, axis) < x.shape[axis]:
        x = _folded(x, axis, np.add.reduce)
    return np.add.reduce(x, axis=axis, keepdims=True)


def mean(x: Any, axis: int | None = None) -> Any:
    """The mean over everything, or along one axis; nan of nothing."""
    return total(x, axis) / (np.size(x) if axis is None else np.shape(x)[axis])


def norm(x: Any, axis: int | None = None) -> Any:
    """The Euclidean norm over everything, or along one axis."""
    return np.sqrt(squares(x, axis))


def squares(x: Any, axis: int | None = None) -> Any:
    """The sum of the squares over everything, or along one axis."""
    x = _lines(x, axis)
    along = -1 if axis is None else axis
    if x.size <= SQUARES or _in_a_row(x, along) == x.shape[along]:
        return total(np.square(x), axis)
    return total(_folded(x, along, _squares), axis)


def largest(x: Any, axis: int | None = None) -> Any:
    """The largest value of everything, or along one axis; nan if one is, and -inf of nothing."""
    keepdims: Any = axis is not None
    return np.max(x, axis=axis, keepdims=keepdims, initial=-np.inf)


def _lines(x: Any, axis: int | None) -> Array:
    """The array in a type that holds sums; as one line where no axis is given."""
    wide: Array = np.asarray(x)
    if wide.dtype.itemsize < 4:
        wide = wide.astype(np.float32)
    return wide if axis is not None or wide.ndim == 1 else wide.ravel("K")


def _is_near(x: Array, axis: int) -> bool:
    """Whether neighbours along an axis are neighbours in memory."""
    return bool(x.strides[axis] == x.itemsize)


def _in_a_row(x: Array, axis: int) -> int:
    return in_a_row(x.shape[axis], x.size)


def _folded(x: Array, axis: int, sums: Callable[..., Array]) -> Array:
    """An array of sums of some values along an axis, and of the values that are left over."""
    place, length = x.ndim + axis, x.shape[axis]
    many = _in_a_row(x, axis)
    whole = length - length % many
    near = _is_near(x, axis)
    parts = (whole // many, many) if near else (many, whole // many)
    shape = (*x.shape[:place], *parts, *x.shape[place + 1 :])
    if whole == length:
        return sums(x.reshape(shape), axis=place + near)
    full, rest = np.split(x, [whole], axis=place)
    folded = sums(full.reshape(shape), axis=place + near)
    return np.concatenate([folded, np.expand_dims(sums(rest, axis=place), place)], axis=place)


def _squares(x: Array, axis: int) -> Array:
    """The sums of the squares along an axis, without an array of the squares."""
    axes = list(range(x.ndim))
    found: Array = np.einsum(x, axes, x, axes, axes[:axis] + axes[axis + 1 :])
    return found
