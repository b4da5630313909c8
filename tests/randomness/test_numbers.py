"""The random numbers themselves: published vectors, exact values, and what they look like together.

Limits of statistics are five standard deviations of what is computed, which a good generator passes
all but once in a million; seeds are fixed, so that a test passes always or never.
"""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.runtime.groups.streams import identities, of_name, of_place
from lucidgen.runtime.rules import mlx_philox, philox
from lucidgen.verify import random_numbers

#: Random123 1.14.0, tests/kat_vectors, "philox4x32 10": counter, key, and what they give.
PUBLISHED = (
    ((0x00000000,) * 4, (0x00000000,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)
#: Seed, step, parameter and draw: the first ones, and the last ones.
PLACES = ((0, 1, 0, 0), (2**64 - 1, 2**40 + 3, 2**64 - 1, 3), (7, 9, of_name("layers.0.weight"), 2))
KINDS = ("normal", "uniform")
MANY = 1_000_000


def drawn(kind: str, count: int, seed: int = 1, step: int = 1, parameter: int = 0, draw: int = 0):
    stream = philox.streams(seed, step, np.array([parameter], np.uint64))[0]
    return philox.KINDS[kind](stream, draw, 0, count)


@pytest.mark.parametrize(("counter", "key", "given"), PUBLISHED)
def test_words_are_those_that_random123_publishes(counter, key, given):
    assert tuple(map(int, philox.words(counter, key))) == given
    assert random_numbers.philox(counter, key) == given
    pairs = (mx.array(two, dtype=mx.uint64)[:, None] for two in (counter[::2], counter[1::2], key))
    assert tuple(mlx_philox.words(*pairs)[0].tolist()) == given


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_numpy_and_mlx_draw_the_numbers_that_python_s_own_give_to_the_bit(kind, place):
    seed, step, parameter, draw = place
    expected = random_numbers.numbers(kind, *place, 2003)
    assert np.array_equal(drawn(kind, 2003, *place), np.array(expected))
    stream = mlx_philox.streams(seed, mx.array(step, dtype=mx.uint64), [5, parameter])[1]
    found = mlx_philox.draw(kind, stream, draw, (2003,))
    assert np.array_equal(np.array(found), np.array(expected, np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_has_the_numbers_that_it_has_in_the_whole(kind):
    whole, stream = drawn(kind, 70_000), philox.streams(1, 1, np.zeros(1, np.uint64))[0]
    for start, stop in ((0, 1), (1, 4), (3, 5), (32_766, 69_999), (9, 9)):
        assert np.array_equal(philox.KINDS[kind](stream, 0, start, stop), whole[start:stop])


def test_elements_beyond_32_bits_have_numbers_of_their_own():
    stream, far = philox.streams(1, 1, np.zeros(1, np.uint64))[0], 2**36
    assert not np.array_equal(philox.uniform(stream, 0, far, far + 8), drawn("uniform", 8))


def test_a_normal_number_is_box_and_muller_s_within_what_is_said():
    words = np.arange(2**24, dtype=np.uint32) << np.uint32(8)  # all that makes a difference
    worst = {"radius": 0.0, "cosine": 0.0}
    for part in np.split(words, 16):
        fraction = (part >> np.uint32(8)).astype(np.float64) / 2**24
        exact = np.sqrt(-2 * np.log(fraction + 2.0**-24))
        found = philox.radius(part)
        assert np.all(found[exact == 0] == 0)
        away = np.abs(found - exact) / np.where(exact == 0, 1, exact)
        worst["radius"] = max(worst["radius"], float(away.max()))
        away = np.abs(philox.cosine(part) - np.cos(2 * np.pi * fraction))
        worst["cosine"] = max(worst["cosine"], float(away.max()))
    assert worst["radius"] <= 2e-7
    assert worst["cosine"] <= 2.5e-7
    most = math.sqrt(2 * 24 * math.log(2))
    assert most * (2e-7 + 2.5e-7 + 2.0**-24) < philox.NORMAL_ERROR


# Statistics


def test_uniform_numbers_lie_below_1_and_have_the_moments_of_their_distribution():
    u = drawn("uniform", MANY).astype(np.float64)
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / MANY)
    # The variance of (u - 1/2)**2 is 1/80 - 1/144.
    assert abs(((u - 1 / 2) ** 2).mean() - 1 / 12) < 5 * math.sqrt((1 / 80 - 1 / 144) / MANY)


def test_normal_numbers_have_the_moments_of_their_distribution():
    z = drawn("normal", MANY).astype(np.float64)
    # The moments of z**k have the variances 1, 2, 15 and 96.
    for power, (moment, variance) in enumerate(((0, 1), (1, 2), (0, 15), (3, 96)), start=1):
        assert abs((z**power).mean() - moment) < 5 * math.sqrt(variance / MANY), power


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_distributed_as_they_should_by_kolmogorov_and_smirnov(kind):
    found = np.sort(drawn(kind, MANY, seed=3).astype(np.float64))
    below = found
    if kind == "normal":
        below = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in found])
    steps = np.arange(MANY + 1) / MANY
    distance = max(np.max(steps[1:] - below), np.max(below - steps[:-1]))
    # The chance to exceed d is 2 exp(-2 n d**2), 1e-6 here (Smirnov 1948).
    assert distance < math.sqrt(math.log(2e6) / 2 / MANY)


def neighbours():
    """Pairs of series that differ in one thing."""
    for kind in KINDS:
        one = drawn(kind, MANY + 5)
        for lag in (1, 2, 3, 4, 5):
            yield f"{kind}, element + {lag}", one[:MANY], one[lag:][:MANY]
        for what in ("seed", "step", "parameter", "draw"):
            known = {"seed": 1, "step": 1, "parameter": 0, "draw": 0}
            other = drawn(kind, MANY, **{**known, what: known[what] + 1})
            yield f"{kind}, {what} + 1", one[:MANY], other
        far = drawn(kind, MANY, parameter=of_place(1, 0))
        yield f"{kind}, the first of the next group", one[:MANY], far


def test_neighbours_are_not_correlated_in_any_direction():
    for what, a, b in neighbours():
        a, b = a.astype(np.float64), b.astype(np.float64)
        correlation = np.corrcoef(a, b)[0, 1]
        assert abs(correlation) < 5 / math.sqrt(MANY), (what, correlation)
        squares = np.corrcoef((a - a.mean()) ** 2, (b - b.mean()) ** 2)[0, 1]
        assert abs(squares) < 5 / math.sqrt(MANY), (what, squares)


# Which parameter


def test_a_parameter_is_known_by_its_name_or_else_by_its_place():
    a, b, c = object(), object(), object()
    found = identities([([a], None), ([b, c], ["x", "y"])])
    assert found == {id(a): of_place(0, 0), id(b): of_name("x"), id(c): of_name("y")}
    assert identities([([a, b], None)])[id(b)] == of_place(0, 1)
    assert len({of_place(g, p) for g in range(40) for p in range(40)}) == 1600
