"""reduce_strength: small powers of arrays become products; nothing else is touched."""

import pytest
from meaning import assert_unchanged, texts
from sympy import Rational

from lucidgen.operations import Square
from lucidgen.passes.examples import beta, g, grad, lr, program, v, w, w_before
from lucidgen.passes.strength import reduce_strength
from lucidgen.spec import group, sqrt

PRODUCTS = {
    2: Square(g),
    3: g * Square(g),
    4: Square(Square(g)),
    Rational(3, 2): g * sqrt(g),
    Rational(5, 2): sqrt(g) * Square(g),
    -1: 1 / g,
    -2: 1 / Square(g),
    -3: 1 / (g * Square(g)),
}


@pytest.mark.parametrize("exponent", PRODUCTS, ids=str)
def test_a_small_power_is_a_few_products(exponent) -> None:
    before = program((g, grad), (w, w_before - g**exponent))
    after = reduce_strength(before)
    assert after.lets[-1].value == w_before - PRODUCTS[exponent]
    assert_unchanged(before, after)


@pytest.mark.parametrize("power", [sqrt(g), 1 / sqrt(g), g**5, g ** Rational(1, 3), g**beta])
def test_other_powers_stay(power) -> None:
    before = program((g, grad), (w, w_before - power))
    assert reduce_strength(before) == before


def test_what_is_squared_is_computed_once_in_the_branch_that_squares_it() -> None:
    before = program(
        (w, w_before - (v + grad) ** 2, "a"), (w, w_before - v, "not a"), choices=("a",)
    )
    after = reduce_strength(before)
    assert texts(after)[0] == "_1 = grad + v  if a"
    assert_unchanged(before, after)


def test_powers_inside_of_powers_are_reduced_too() -> None:
    before = program((w, w_before - sqrt(grad**2 + 1)))
    after = reduce_strength(before)
    assert texts(after) == ["w = w[t - 1] - sqrt(Square(grad) + 1)"]
    assert_unchanged(before, after)


def test_powers_of_scalars_stay_with_the_host() -> None:
    before = program((g.func("s", real=True), lr**2), (w, w_before - grad))
    assert reduce_strength(before) == before


def test_groups_stay_shut() -> None:
    before = program((g, group(grad**2 * v)), (w, w_before - g))
    assert reduce_strength(before) == before
