"""gather: scalars meet scalars first, where the signs that this needs are proved."""

import pytest
from meaning import assert_unchanged, texts

from lucidgen.ir.program import symbol
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
from lucidgen.spec import group, sqrt

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
