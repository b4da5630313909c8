"""Random numbers that are a function of what they are for: Philox 4x32-10, in NumPy.

Owns what the numbers are. Each is given by the seed, the step, the parameter, the number of the
draw among those of its rule, and the element, counted along the parameter's axes in C's order. So
neither threads, nor the order of parameters, nor how arrays lie in memory, nor a resumed run makes
a difference. The words are those of Salmon et al. 2011 (Proc. SC, "Parallel random numbers: as easy
as 1, 2, 3"):

- A *stream* is what all elements of a parameter have in common in a step: the four words that
  Philox makes of the counter (parameter, step) under the key (seed), each of 64 bits.
- Of a stream's words the first two are the key of its numbers. Elements 4 b to 4 b + 3 have the
  four words of the counter (b, word 2 + draw, word 3), whose b has 64 bits.

Both kinds of numbers are of float32, whatever the arrays are, and the very same in arrays of any
type and on all backends:

- A uniform number is the upper 24 bits of its word, as a fraction: 0 <= u < 1.
- A normal number is Box and Muller's (1958), sqrt(-2 ln u) cos(2 pi f) or sin(2 pi f), of the first
  and second or of the third and fourth of the four words, with u > 0 and f of 24 bits each, so that
  no number is larger than 5.77. It is computed as below in float32, with every operation rounded:
  additions, multiplications and a square root, which IEEE 754 lays down to the last bit. The root
  is right to 2e-7 of itself and the cosine to 2.5e-7, for all fractions that there are; so a number
  is within 5.77 (2e-7 + 2.5e-7 + 2**-24), less than `NORMAL_ERROR`, of the real one.

MLX has the same in ``mlx_philox``, loops and kernels in headers of theirs. Which numbers a
parameter gets is ``groups.streams``'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: The factors of a round, and what is added to the key after each (Salmon et al. 2011, table 2).
FACTORS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10

WORD = 2**32 - 1

#: -2 ln(1 + x) / x between the roots of 1/2 and 2 is a polynomial, within 9e-9; lowest power first.
LOG = (
    *(-2.0, 0.99999976, -0.66666603, 0.5000314, -0.40006414),
    *(0.33220685, -0.28321442, 0.2642452, -0.2603831, 0.15661648),
)
#: sin(2 pi x) / x is one in x * x up to a quarter, within 4e-9 of sin(2 pi x).
SIN = (6.283185, -41.341656, 81.601006, -76.54978, 39.536705)
#: -2 ln 1/2.
TWO_LOG_2 = 1.3862944
#: The bits of the root of 1/2.
ROOT_HALF = 0x3F3504F3
#: The distance of a normal number from what Box and Muller's formula gives, at most.
NORMAL_ERROR = 3e-6

#: Blocks of four elements that are worked on at once: what they need stays in the caches.
_MOST = 8192


def words(counter: tuple[Any, ...], key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The four words that Philox 4x32-10 makes of four words and a key of two, as uint64.

    Parameters
    ----------
    counter, key : tuples of uint64 arrays
        Of values below 2**32; they are broadcast against each other.
    """
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = (np.asarray(word, np.uint64) for word in key)
    half, low = np.uint64(32), np.uint64(WORD)
    for round_ in range(ROUNDS):
        if round_:
            k0, k1 = ((k + np.uint64(s)) & low for k, s in zip((k0, k1), KEY_STEPS, strict=True))
        p0, p1 = c0 * np.uint64(FACTORS[0]), c2 * np.uint64(FACTORS[1])
        c0, c2 = (p1 >> half) ^ (c1 ^ k0), (p0 >> half) ^ (c3 ^ k1)
        c1, c3 = p1 & low, p0 & low
    return c0, c1, c2, c3


def streams(seed: int, step: int, parameters: Array) -> Array:
    """The streams of parameters in a step.

    Parameters
    ----------
    seed, step : int
        From 0 to 2**64 - 1.
    parameters : uint64 array of shape (n,)
        Which they are.

    Returns
    -------
    uint32 array of shape (n, 4)
    """
    low, high = parameters & np.uint64(WORD), parameters >> np.uint64(32)
    found = words((low, high, step & WORD, step >> 32), (seed & WORD, seed >> 32))
    return np.stack(found, axis=-1).astype(np.uint32)


def uniform(stream: Array, draw: int, start: int, stop: int) -> Array:
    """The uniform numbers of the elements from start on and below stop: float32, 0 <= u < 1."""
    return _of_elements(_uniform, stream, draw, start, stop)


def normal(stream: Array, draw: int, start: int, stop: int) -> Array:
    """The standard normal numbers of the elements from start on and below stop: float32."""
    return _of_elements(_normal, stream, draw, start, stop)


#: What draws, by the kind of a draw.
KINDS: dict[str, Callable[[Array, int, int, int], Array]] = {"normal": normal, "uniform": uniform}


def _of_elements(
    kind: Callable[[Array, Array], None], stream: Array, draw: int, start: int, stop: int
) -> Array:
    first, last = start // 4, -(-stop // 4)
    found = np.empty((last - first, 4), np.float32)
    s0, s1, s2, s3 = map(int, stream)
    for block in range(first, last, _MOST):
        end = min(block + _MOST, last)
        blocks = np.arange(block, end, dtype=np.uint64)
        counter = blocks & np.uint64(WORD), blocks >> np.uint64(32), (s2 + draw) & WORD, s3
        given = np.stack([word.astype(np.uint32) for word in words(counter, (s0, s1))])
        kind(given, found[block - first : end - first])
    return found.reshape(-1)[start - 4 * first : stop - 4 * first]


def _uniform(given: Array, found: Array) -> None:
    found[...] = ((given >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).T


def _normal(given: Array, found: Array) -> None:
    radii, turns = radius(given[0::2]), given[1::2]
    found[:, 0::2] = (radii * cosine(turns)).T
    found[:, 1::2] = (radii * cosine(turns - np.uint32(2**30))).T


def radius(word: Array) -> Array:
    """sqrt(-2 ln u) for u = (the upper 24 bits + 1) / 2**24."""
    number = ((word >> np.uint32(8)) + np.uint32(1)).astype(np.float32)
    bits = number.view(np.uint32)
    exponent = (bits - np.uint32(ROOT_HALF)) >> np.uint32(23)
    x = (bits - (exponent << np.uint32(23))).view(np.float32) - np.float32(1)
    square = (np.uint32(24) - exponent).astype(np.float32) * np.float32(TWO_LOG_2)
    square += x * _polynomial(LOG, x)
    return np.sqrt(square)


def cosine(word: Array) -> Array:
    """cos(2 pi f) for the fraction f that the upper 24 bits are."""
    turn = np.abs(word.view(np.int32) >> np.int32(8))  # from -1/2 to 1/2, and cos is even
    x = (np.int32(2**22) - turn).astype(np.float32) * np.float32(2.0**-24)
    return x * _polynomial(SIN, x * x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    *rest, last = map(np.float32, coefficients)
    found = x * last
    found += rest.pop()
    while rest:
        found *= x
        found += rest.pop()
    return found
