"""The functions of MLX, by its names, as the table of operations means them.

Owns those that MLX has otherwise, or not at all: ``sign``, which is 0 of nan there, ``cbrt``, and
reductions. MLX on the CPU adds one term after the other, so that a third of the sum of 50 million
is lost, and gives sums of half types in these. Here sums are right to a few units in the last
place, in float32 at least. Where a square overflows, a norm is infinite. All else is MLX's own.
"""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .summation import in_a_row

Array = Any


def sign(x: Array) -> Array:
    """-1, 0 or 1; nan of nan."""
    return mx.where(x == x, mx.sign(x), x)


def cbrt(x: Array) -> Array:
    """The cube root, which has the sign of x; 0 of both zeros."""
    return mx.sign(x) * mx.power(mx.abs(x), 1 / 3)


def total(x: Array, axis: int | None = None) -> Array:
    """The sum over everything, or along one of the last two axes, which stays with length 1."""
    x = _wide(x)
    if x.size == 0:
        return _of_nothing(x, axis, 0.0)
    place, length, behind = 0, x.size, ()
    if axis is not None:
        place, length = x.ndim + axis, x.shape[axis]
        behind = x.shape[place + 1 :]
    before = x.shape[:place]
    while (many := in_a_row(length, x.size)) < length:
        left = length % many
        if left:
            x = x.reshape(*before, length, *behind)
            x, rest = mx.split(x, [length - left], axis=place)
        # Terms lie apart: a processor adds many lines at a time.
        x = mx.sum(x.reshape(*before, many, length // many, *behind), axis=place)
        if left:
            x = mx.concatenate([x, mx.sum(rest, axis=place, keepdims=True)], axis=place)
        length = x.shape[place]
    return mx.sum(x, axis=axis, keepdims=axis is not None)


def mean(x: Array, axis: int | None = None) -> Array:
    """The mean over everything, or along one axis; nan of nothing."""
    return total(x, axis) / (x.size if axis is None else x.shape[axis])


def norm(x: Array, axis: int | None = None) -> Array:
    """The Euclidean norm over everything, or along one axis."""
    return mx.sqrt(squares(x, axis))


def squares(x: Array, axis: int | None = None) -> Array:
    """The sum of the squares over everything, or along one axis."""
    return total(mx.square(_wide(x)), axis)


def largest(x: Array, axis: int | None = None) -> Array:
    """The largest value of everything, or along one axis; nan if one is, and -inf of nothing."""
    if x.size == 0:
        return _of_nothing(x, axis, -math.inf)
    return mx.max(x, axis=axis, keepdims=axis is not None)


def _of_nothing(x: Array, axis: int | None, value: float) -> Array:
    """The reduction of an array without elements, on which MLX raises or may not return."""
    shape = list(x.shape)
    if axis is not None:
        shape[axis] = 1
    return mx.full([] if axis is None else shape, value, x.dtype)


def _wide(x: Array) -> Array:
    """The array in a type that holds sums."""
    return x.astype(mx.float32) if x.dtype in (mx.float16, mx.bfloat16) else x


def __getattr__(name: str) -> Any:
    """Any other function, which is MLX's."""
    return getattr(mx, name)
