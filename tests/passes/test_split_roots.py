"""split_roots: roots of rows and of columns, where the signs that this needs are proved."""

import pytest
from meaning import assert_unchanged, texts

from lucidgen.ir.lower import lower
from lucidgen.passes.drop_dead import drop_dead
from lucidgen.passes.inline import inline
from lucidgen.passes.split_roots import split_roots
from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    Rational,
    column_mean,
    grad,
    hyper,
    ndim,
    row_mean,
    series,
    sqrt,
    t,
    w,
    when,
)

lr, beta = hyper("lr", 0.1, at_least=0), hyper("beta", 0.9, at_least=0, below=1)
free = hyper("free", 0.5)
r, c, u, v_hat = map(series, ("r", "c", "u", "v_hat"))
ROWS = Eq(r[t], beta * r[t - 1] + (1 - beta) * row_mean(grad[t] ** 2))
COLUMNS = Eq(c[t], beta * c[t - 1] + (1 - beta) * column_mean(grad[t] ** 2))


def split(*equations: Eq) -> list[str]:
    """The lets of what a spec of these equations is lowered, inlined and split to."""
    read = set().union(*(equation.right.free_symbols for equation in equations))
    arguments = tuple(a for a in (lr, beta, free) if a in read)
    before = inline(drop_dead(lower(OptimizerSpec("Outer", arguments, equations))))
    after = split_roots(before)
    assert_unchanged(before, after)
    return texts(after)


def moved(right) -> Eq:
    return Eq(w[t], w[t - 1] - right)


def test_the_root_of_an_outer_product_is_one_of_rows_and_columns() -> None:
    found = split(ROWS, COLUMNS, moved(lr * grad[t] / sqrt(r[t] * c[t] / column_mean(r[t]))))
    assert found[-1] == "w = w[t - 1] - lr*scaled_grad*sqrt(column_mean(r))/(sqrt(c)*sqrt(r))"


def test_and_beside_a_number_the_larger_one() -> None:
    found = split(ROWS, COLUMNS, moved(grad[t] / sqrt(Max(r[t] * c[t], lr**2))))
    assert found[-1] == "w = -scaled_grad/Max(lr, sqrt(c)*sqrt(r)) + w[t - 1]"


@pytest.mark.parametrize(
    "kept",
    [
        r[t] * c[t] + lr,  # a sum
        r[t] * grad[t] ** 2,  # what is of elements
        r[t] * lr,  # one of them
        Max(r[t] * c[t], free),  # what may be negative
        r[t] * c[t] * free,
    ],
    ids=str,
)
def test_other_roots_stay_whole(kept) -> None:
    found = split(ROWS, COLUMNS, moved(grad[t] / sqrt(kept)))
    assert found[-1].count("sqrt(") == 1


def test_rows_that_may_become_negative_stay_in_the_root() -> None:
    rows = Eq(r[t], beta * r[t - 1] + (1 - beta) * row_mean(grad[t]))
    found = split(rows, COLUMNS, moved(grad[t] / sqrt(r[t] * c[t])))
    assert found[-1] == "w = -scaled_grad/sqrt(c*r) + w[t - 1]"


def test_a_case_that_is_an_outer_product_comes_apart_by_itself() -> None:
    found = split(
        ROWS,
        COLUMNS,
        Eq(v_hat[t], when(ndim >= 2, r[t] * c[t], grad[t] ** 2)),
        moved(grad[t] / sqrt(v_hat[t])),
    )
    assert found[-2:] == [
        "w = w[t - 1] - scaled_grad/(sqrt(c)*sqrt(r))  if ndim_at_least_2",
        "w = -scaled_grad/Abs(scaled_grad) + w[t - 1]  if not ndim_at_least_2",
    ]


def test_cases_that_two_read_stay_one_quantity() -> None:
    found = split(
        ROWS,
        COLUMNS,
        Eq(v_hat[t], when(ndim >= 2, r[t] * c[t], grad[t] ** 2)),
        moved(grad[t] / sqrt(v_hat[t]) + lr * v_hat[t]),
    )
    assert any(text.startswith("v_hat = ") for text in found)


@pytest.mark.parametrize("exponent", [Rational(3, 2), Rational(-5, 2)])
def test_powers_above_1_stay_whole(exponent) -> None:
    """Those of the factors may be too large, or vanish, where that of the product is neither."""
    found = split(ROWS, COLUMNS, moved(grad[t] * (r[t] * c[t]) ** exponent))
    assert f"(c*r)**({abs(exponent)})" in found[-1]
