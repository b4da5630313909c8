"""gather: scalars meet scalars first, where the signs that this needs are proved."""

import pytest
from meaning import assert_unchanged, texts

from lucidgen.ir.lower import lower
from lucidgen.ir.program import symbol
from lucidgen.passes.drop_dead import drop_dead
from lucidgen.passes.examples import (
    beta,
    eps,
    g,
    grad,
    lr,
    m,
    program,
    t,
    v,
    w,
    w_before,
    weight_decay,
)
from lucidgen.passes.gather import gather
from lucidgen.passes.hoist import hoist
from lucidgen.passes.inline import inline
from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    Rational,
    column_mean,
    group,
    hyper,
    ndim,
    row_mean,
    series,
    sqrt,
    when,
)
from lucidgen.spec import grad as grad_
from lucidgen.spec import t as t_
from lucidgen.spec import w as w_

correction = 1 - beta**t


def body_of(value) -> str:
    """What an element costs once the scalars are on the host."""
    return texts(hoist(gather(program((w, value)))))[-1]


def test_an_element_of_adam_costs_a_root_a_quotient_and_a_product() -> None:
    before = program((w, w_before - lr * (m / correction) / (sqrt(v / correction) + eps)))
    after = gather(before)
    assert body_of(before.lets[0].value) == "w = -_2*m/(_1 + sqrt(v)) + w[t - 1]"
    assert_unchanged(before, after)


def test_a_root_splits_off_what_cannot_be_negative() -> None:
    before = program((w, w_before - sqrt(v * lr)))
    assert texts(gather(before)) == ["w = -sqrt(lr)*sqrt(v) + w[t - 1]"]
    assert_unchanged(before, gather(before))


@pytest.mark.parametrize("scalar", [weight_decay, 1 - lr, weight_decay * beta - 1])
def test_a_root_keeps_what_may_be_negative(scalar) -> None:
    before = program((w, w_before - sqrt(v * scalar)))
    assert gather(before) == before


def test_a_sum_gives_up_a_scalar_that_is_positive() -> None:
    before = program((w, w_before - lr * m / (v * correction + eps)))
    after = gather(before)
    assert texts(after) == ["w = -lr*m/((1 - beta**t)*(eps/(1 - beta**t) + v)) + w[t - 1]"]
    assert_unchanged(before, after)


@pytest.mark.parametrize("scalar", [lr, beta, weight_decay])
def test_nothing_is_divided_by_what_may_be_zero(scalar) -> None:
    before = program((w, w_before - lr * m / (v * scalar + eps)))
    assert gather(before) == before


def test_a_sum_whose_terms_have_different_scalars_keeps_them() -> None:
    before = program((w, w_before - lr * m / (v * correction + grad * (1 - beta))))
    assert gather(before) == before


def test_a_product_hands_its_scalar_to_terms_that_have_scalars() -> None:
    before = program((w, w_before - lr * (beta * m + correction * grad)))
    after = gather(before)
    assert texts(after) == ["w = -beta*lr*m - grad*lr*(1 - beta**t) + w[t - 1]"]
    assert_unchanged(before, after)


def test_a_product_keeps_its_scalar_where_a_term_has_none() -> None:
    before = program((w, w_before - lr * (beta * m + grad)))
    assert gather(before) == before


def test_groups_stay_shut_and_host_scalars_as_they_are() -> None:
    before = program((g, group(lr * (m * beta) / sqrt(v * lr))), (w, w_before - g))
    assert gather(before) == before
    before = program((symbol("s"), lr / sqrt(lr * beta)), (w, w_before - grad))
    assert gather(before) == before


lr_, beta_ = hyper("lr", 0.1, at_least=0), hyper("beta", 0.9, at_least=0, below=1)
free_ = hyper("free", 0.5)
r, c, u, v_hat = map(series, ("r", "c", "u", "v_hat"))
ROWS = Eq(r[t_], beta_ * r[t_ - 1] + (1 - beta_) * row_mean(grad_[t_] ** 2))
COLUMNS = Eq(c[t_], beta_ * c[t_ - 1] + (1 - beta_) * column_mean(grad_[t_] ** 2))


def gathered(*equations: Eq) -> list[str]:
    """The lets of what a spec of these equations is lowered, inlined and gathered to."""
    read = set().union(*(equation.right.free_symbols for equation in equations))
    arguments = tuple(a for a in (lr_, beta_, free_) if a in read)
    before = inline(drop_dead(lower(OptimizerSpec("Outer", arguments, equations))))
    after = gather(before)
    assert_unchanged(before, after)
    return texts(after)


def moved(right) -> Eq:
    return Eq(w_[t_], w_[t_ - 1] - right)


def test_the_root_of_an_outer_product_is_one_of_rows_and_columns() -> None:
    found = gathered(
        ROWS, COLUMNS, moved(lr_ * grad_[t_] / sqrt(r[t_] * c[t_] / column_mean(r[t_])))
    )
    assert found[-1] == "w = w[t - 1] - lr*scaled_grad*sqrt(column_mean(r))/(sqrt(c)*sqrt(r))"


def test_and_beside_a_number_the_larger_one() -> None:
    found = gathered(ROWS, COLUMNS, moved(grad_[t_] / sqrt(Max(r[t_] * c[t_], lr_**2))))
    assert found[-1] == "w = -scaled_grad/Max(lr, sqrt(c)*sqrt(r)) + w[t - 1]"


@pytest.mark.parametrize(
    "kept",
    [
        r[t_] * c[t_] + lr_,  # a sum
        r[t_] * grad_[t_] ** 2,  # what is of elements
        r[t_] * lr_,  # one of them
        Max(r[t_] * c[t_], free_),  # what may be negative
        r[t_] * c[t_] * free_,
    ],
    ids=str,
)
def test_other_roots_stay_whole(kept) -> None:
    found = gathered(ROWS, COLUMNS, moved(grad_[t_] / sqrt(kept)))
    assert found[-1].count("sqrt(") == 1 + (kept == r[t_] * lr_)


def test_rows_that_may_become_negative_stay_in_the_root() -> None:
    rows = Eq(r[t_], beta_ * r[t_ - 1] + (1 - beta_) * row_mean(grad_[t_]))
    found = gathered(rows, COLUMNS, moved(grad_[t_] / sqrt(r[t_] * c[t_])))
    assert found[-1] == "w = -scaled_grad/sqrt(c*r) + w[t - 1]"


def test_a_case_that_is_an_outer_product_comes_apart_by_itself() -> None:
    found = gathered(
        ROWS,
        COLUMNS,
        Eq(v_hat[t_], when(ndim >= 2, r[t_] * c[t_], grad_[t_] ** 2)),
        moved(grad_[t_] / sqrt(v_hat[t_])),
    )
    assert found[-2:] == [
        "w = w[t - 1] - scaled_grad/(sqrt(c)*sqrt(r))  if ndim_at_least_2",
        "w = -scaled_grad/Abs(scaled_grad) + w[t - 1]  if not ndim_at_least_2",
    ]


def test_cases_that_two_read_stay_one_quantity() -> None:
    found = gathered(
        ROWS,
        COLUMNS,
        Eq(v_hat[t_], when(ndim >= 2, r[t_] * c[t_], grad_[t_] ** 2)),
        moved(grad_[t_] / sqrt(v_hat[t_]) + lr_ * v_hat[t_]),
    )
    assert any(text.startswith("v_hat = ") for text in found)


@pytest.mark.parametrize("exponent", [Rational(3, 2), Rational(-5, 2)])
def test_powers_above_1_stay_whole(exponent) -> None:
    """Those of the factors may be too large, or vanish, where that of the product is neither."""
    found = gathered(ROWS, COLUMNS, moved(grad_[t_] * (r[t_] * c[t_]) ** exponent))
    assert f"(c*r)**({abs(exponent)})" in found[-1]
