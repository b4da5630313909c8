"""The random numbers that equations draw, once more: one by one, in Python's own numbers.

Owns a second reading of what `runtime.rules.philox` says of them, with which it shares no code:
words are whole numbers of any size, and each operation of float32 is one of Python's floats, then
rounded.
(A double holds twice the digits of a float32 and two more, so that sums, products and roots of
float32 come out as if they were rounded once: Figueroa 1995.)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache

WORD = 2**32

#: A polynomial for -2 ln(1 + x) / x and one for sin(2 pi x) / x in x * x, lowest power first.
_LOG = (
    *(-2.0, 0.99999976, -0.66666603, 0.5000314, -0.40006414),
    *(0.33220685, -0.28321442, 0.2642452, -0.2603831, 0.15661648),
)
_SIN = (6.283185, -41.341656, 81.601006, -76.54978, 39.536705)


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """The four words that Philox 4x32-10 makes of a counter and a key (Salmon et al. 2011)."""
    a, b, c, d = counter
    left, right = key
    for _ in range(10):
        high_a, low_a = divmod(a * 0xD2511F53, WORD)
        high_c, low_c = divmod(c * 0xCD9E8D57, WORD)
        a, b, c, d = high_c ^ b ^ left, low_c, high_a ^ d ^ right, low_a
        left, right = (left + 0x9E3779B9) % WORD, (right + 0xBB67AE85) % WORD
    return a, b, c, d


@lru_cache(maxsize=256)
def numbers(
    kind: str, seed: int, step: int, parameter: int, draw: int, count: int
) -> tuple[float, ...]:
    """The first numbers of a parameter in a step, for the elements in C's order.

    Parameters
    ----------
    kind : {"normal", "uniform"}
        Their distribution.
    seed, step, parameter : int
        What they depend on, each of 64 bits.
    draw : int
        The place of the draw among those of its spec.
    count : int
        How many.
    """
    of = {"normal": _normal, "uniform": _uniform}[kind]
    key, counter = _halves(seed), (*_halves(parameter), *_halves(step))
    left, right, third, fourth = philox(counter, key)
    found: list[float] = []
    for block in range(-(-count // 4)):
        counter = (*_halves(block), (third + draw) % WORD, fourth)
        found += of(philox(counter, (left, right)))
    return tuple(found[:count])


def _halves(number: int) -> tuple[int, int]:
    return number % WORD, number // WORD


def _uniform(words: tuple[int, ...]) -> Iterator[float]:
    return (math.ldexp(word >> 8, -24) for word in words)


def _normal(words: tuple[int, ...]) -> Iterator[float]:
    for first, second in (words[:2], words[2:]):
        length, turn = _radius(first), second >> 8
        yield _rounded(length * _cosine(turn))
        yield _rounded(length * _cosine(turn - 2**22))  # a quarter less: the sine


def _radius(word: int) -> float:
    """sqrt(-2 ln u), where u is a fraction of 24 bits above 0."""
    mantissa, exponent = math.frexp((word >> 8) + 1)
    if mantissa >= _ROOT_HALF:
        x = mantissa - 1
    else:
        x, exponent = 2 * mantissa - 1, exponent - 1
    square = _rounded((24 - exponent) * _rounded(1.3862944))
    return _rounded(math.sqrt(_rounded(square + _rounded(x * _polynomial(_LOG, x)))))


def _cosine(turn: int) -> float:
    """cos(2 pi turn / 2**24)."""
    away = abs((turn + 2**23) % 2**24 - 2**23)
    x = math.ldexp(2**22 - away, -24)
    return _rounded(x * _polynomial(_SIN, _rounded(x * x)))


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    found = 0.0
    for coefficient in reversed(coefficients):
        found = _rounded(_rounded(found * x) + _rounded(coefficient))
    return found


def _rounded(number: float) -> float:
    """The float32 that is nearest."""
    found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return found


_ROOT_HALF = _rounded(math.sqrt(0.5))
