"""Random numbers in MLX: those of ``philox``, number for number, eager or in a graph.

Owns nothing of what they are. Each operation is one of MLX's own, on words of 32 bits and on
float32; products of words are taken in 64 bits. ``mx.random`` has another generator, with a state.

A processor's kernels take its compiler a second each, and mx.compile would make twenty of this. So
there it is kept from looking beyond one operation; the numbers are the same.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from .philox import FACTORS, KEY_STEPS, LOG, ROOT_HALF, ROUNDS, SIN, TWO_LOG_2, WORD

Array = Any


class _Apart:
    """An array whose operations mx.compile leaves apart from one another on a processor."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def astype(self, dtype: Any) -> _Apart:
        """The same numbers in another type."""
        return _Apart(_kept(self.array.astype(dtype)))

    def view(self, dtype: Any) -> _Apart:
        """The same bits as another type."""
        return _Apart(self.array.view(dtype))

    def __getitem__(self, index: Any) -> _Apart:
        return _Apart(self.array[index])

    def made(self, of: Callable[[Array, Array], Array], *pair: Any) -> _Apart:
        """An operation on two arrays or numbers, of the type of this array."""
        dtype = self.array.dtype
        arrays = [own.array if isinstance(own, _Apart) else own for own in pair]
        arrays = [own if isinstance(own, mx.array) else mx.array(own, dtype) for own in arrays]
        shape = mx.broadcast_shapes(*(array.shape for array in arrays))
        return _Apart(_kept(of(*(_kept(mx.broadcast_to(array, shape)) for array in arrays))))

    def __add__(self, other: Any) -> _Apart:
        return self.made(operator.add, self, other)

    def __sub__(self, other: Any) -> _Apart:
        return self.made(operator.sub, self, other)

    def __rsub__(self, other: Any) -> _Apart:
        return self.made(operator.sub, other, self)

    def __mul__(self, other: Any) -> _Apart:
        return self.made(operator.mul, self, other)

    def __and__(self, other: Any) -> _Apart:
        return self.made(operator.and_, self, other)

    def __xor__(self, other: Any) -> _Apart:
        return self.made(operator.xor, self, other)

    def __rshift__(self, other: Any) -> _Apart:
        return self.made(operator.rshift, self, other)

    def __lshift__(self, other: Any) -> _Apart:
        return self.made(operator.lshift, self, other)


def _kept(array: Array) -> Array:
    """The array, through which mx.compile does not look on a processor."""
    if mx.default_device() != mx.Device(mx.cpu):
        return array
    found: list[Array] = mx.depends([array], [array])
    return found[0]


def words(first: Array, second: Array, under: Array) -> Array:
    """The four words that Philox 4x32-10 makes of a counter and a key.

    Parameters
    ----------
    first, second : uint64 arrays of shape (2, n)
        Words 0 and 2 of each counter, and words 1 and 3.
    under : uint64 array of shape (2, 1)
        The key.

    Returns
    -------
    uint32 array of shape (n, 4)
    """
    even, odd, key = _Apart(first), _Apart(second), _Apart(under)
    factors, steps = (mx.array(pair, dtype=mx.uint64)[:, None] for pair in (FACTORS, KEY_STEPS))
    for _ in range(ROUNDS):
        products = even * factors
        even, odd = (products >> 32)[::-1] ^ odd ^ key, (products & WORD)[::-1]
        key = (key + steps) & WORD
    found = [pair.array[k] for k in (0, 1) for pair in (even, odd)]
    return _kept(mx.stack(found, axis=-1)).astype(mx.uint32)


def streams(seed: int, step: Any, parameters: Sequence[int]) -> Array:
    """The streams of parameters in a step, which may be an array: uint32, of shape (n, 4)."""
    low, high = map(_wide, zip(*map(_halves, parameters), strict=True))
    step = _Apart(mx.broadcast_to(mx.array(step).astype(mx.uint64), low.shape))
    even, odd = mx.stack([low, (step & WORD).array]), mx.stack([high, (step >> 32).array])
    return words(even, odd, _wide(_halves(seed))[:, None])


def draw(kind: str, stream: Array, number: int, shape: tuple[int, ...]) -> Array:
    """The numbers of all elements of a parameter: float32, in its shape.

    Parameters
    ----------
    kind : {"normal", "uniform"}
        Their distribution.
    stream : uint32 array of shape (4,)
        That of the parameter in this step.
    number : int
        Tells the draw from the others of its rule.
    shape : tuple of int
        That of the parameter.
    """
    size = math.prod(shape)
    if size == 0:
        return mx.zeros(shape, dtype=mx.float32)
    block = _Apart(mx.arange(-(-size // 4)).astype(mx.uint64))
    third = (_Apart(stream[2]) + number).array  # it wraps around
    fixed = (mx.broadcast_to(s.astype(mx.uint64), block.array.shape) for s in (third, stream[3]))
    even, odd = (
        mx.stack([own.array, other])
        for own, other in zip((block & WORD, block >> 32), fixed, strict=True)
    )
    found = words(even, odd, _kept(stream[:2, None].astype(mx.uint64)))
    return _KINDS[kind](found).reshape(-1)[:size].reshape(shape)


def _halves(number: int) -> tuple[int, int]:
    return number & WORD, number >> 32


def _wide(values: Any) -> Array:
    return mx.array(values, dtype=mx.uint64)


def _uniform(found: Array) -> Array:
    return ((_Apart(found) >> 8).astype(mx.float32) * 2.0**-24).array


def _normal(found: Array) -> Array:
    radii, turns = radius(_Apart(found[:, 0::2])), _Apart(found[:, 1::2])
    pair = radii * cosine(turns), radii * cosine(turns - 2**30)
    return mx.stack([each.array for each in pair], axis=-1)


_KINDS = {"normal": _normal, "uniform": _uniform}


def radius(word: _Apart) -> _Apart:
    """sqrt(-2 ln u) for u = (the upper 24 bits + 1) / 2**24."""
    bits = ((word >> 8) + 1).astype(mx.float32).view(mx.uint32)
    exponent = (bits - ROOT_HALF) >> 23
    x = (bits - (exponent << 23)).view(mx.float32) - 1.0
    square = (24 - exponent).astype(mx.float32) * TWO_LOG_2 + x * _polynomial(LOG, x)
    return _Apart(mx.sqrt(square.array))


def cosine(word: _Apart) -> _Apart:
    """cos(2 pi f) for the fraction f that the upper 24 bits are."""
    turn = _Apart(_kept(mx.abs((word.view(mx.int32) >> 8).array)))
    x = (2**22 - turn).astype(mx.float32) * 2.0**-24
    return x * _polynomial(SIN, x * x)


def _polynomial(coefficients: tuple[float, ...], x: _Apart) -> _Apart:
    *rest, last = coefficients
    found = x * last + rest.pop()
    for coefficient in reversed(rest):
        found = x * found + coefficient
    return found
