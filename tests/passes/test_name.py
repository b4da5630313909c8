"""name: what the compiler makes is called after what it is or does, and nobody else is renamed."""

import re

import pytest
from meaning import assert_unchanged

from lucidgen.ir.program import symbol
from lucidgen.passes.examples import beta, eps, g, grad, lr, m, program, t, v, w, w_before
from lucidgen.passes.hoist import hoist
from lucidgen.passes.name import MAX_DESCRIPTION, name
from lucidgen.passes.share import share
from lucidgen.spec import norm, sqrt

_1, _2 = symbol("_1"), symbol("_2")
beta2, use = symbol("beta2"), symbol("use_bias")

NAMES = {
    "bias_correction": 1 - beta**t,
    "one_minus_beta": 1 - beta,
    "beta_power_t": beta**t,
    "sqrt_lr": sqrt(lr),
}


@pytest.mark.parametrize("wanted", NAMES)
def test_scalars_that_the_field_has_a_word_for_get_it(wanted) -> None:
    before = program((_1, NAMES[wanted]), (w, w_before - _1 * grad))
    assert names_of(before) == [wanted, "w"]


def names_of(before) -> list[str]:
    after = name(before)
    assert_unchanged(before, after)
    assert not [let for let in after.lets if re.match("_", let.target.name)]
    return [let.target.name for let in after.lets]


def test_a_coefficient_is_called_after_what_it_multiplies() -> None:
    assert names_of(program((_1, lr / t), (w, w_before - _1 * m))) == ["m_scale", "w"]
    assert names_of(program((_1, lr / t), (w, w_before - _1 * sqrt(v)))) == ["v_scale", "w"]


def test_a_scalar_that_is_added_is_called_after_the_hyperparameter_that_it_scales() -> None:
    before = program((_1, eps * t), (w, w_before - grad / (_1 + v)))
    assert names_of(before) == ["scaled_eps", "w"]


def test_arrays_are_described_in_words_of_the_paper() -> None:
    assert names_of(program((_1, m * v), (w, w_before - _1 * _1))) == ["m_times_v", "w"]
    assert names_of(program((_1, m - v), (w, w_before - _1 * _1))) == ["m_minus_v", "w"]


def test_a_description_is_not_longer_than_it_helps() -> None:
    long = sqrt(m + v) * (grad - 3 * v) / (m + sqrt(v + 7 * grad))
    made = names_of(program((_1, long), (w, w_before - _1 * _1)))
    assert made == ["w_term", "w"]
    assert max(map(len, made)) <= MAX_DESCRIPTION


def test_cases_of_static_choices_are_called_after_what_they_choose() -> None:
    lets = (_1, m, "a"), (_1, v, "not a"), (w, w_before - _1)
    assert names_of(program(*lets, choices=("a",))) == ["m_or_v", "m_or_v", "w"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = symbol("one_minus_beta")
    before = program((taken, lr), (_1, 1 - beta), (w, w_before - _1 * m - taken * v))
    assert names_of(before) == ["one_minus_beta", "one_minus_beta_2", "w"]


def test_a_coefficient_whose_name_is_taken_says_where_it_is_read() -> None:
    taken = symbol("m_scale")
    before = program((taken, lr), (_1, lr / t), (w, w_before - _1 * m - taken * v))
    assert names_of(before) == ["m_scale", "m_scale_in_w", "w"]


def test_a_number_for_a_tensor_is_called_after_what_it_scales() -> None:
    before = program((_1, lr * norm(grad)), (w, w_before - _1 * (grad + w_before)))
    assert names_of(before) == ["scaled_lr", "w"]


def test_the_gradient_is_called_that_when_it_is_scaled() -> None:
    scaled = symbol("scaled_grad")
    before = program((scaled, grad * beta), (_1, lr / t), (w, w_before - _1 * scaled))
    assert names_of(before) == ["grad_scale", "scaled_grad", "w"]


def test_the_same_role_in_branches_that_exclude_each_other_has_one_name() -> None:
    lets = (_1, lr / t, "a"), (_2, lr * t, "not a")
    reads = (w, w_before - _1 * m, "a"), (w, w_before - _2 * m, "not a")
    assert names_of(program(*lets, *reads, choices=("a",))) == ["m_scale", "m_scale", "w", "w"]


def test_the_same_role_on_one_path_has_two() -> None:
    before = program((_1, lr / t), (_2, lr * t), (g, _1 * m), (w, w_before - _2 * m - g))
    assert names_of(before) == ["m_scale", "m_scale_in_w", "g", "w"]


def test_the_authors_names_stay() -> None:
    before = program((g, lr * grad), (w, w_before - g))
    assert name(before) == before


def test_what_is_named_after_another_name_waits_for_that_one() -> None:
    before = program((_1, lr / t), (_2, m * v), (w, w_before - _1 * _2 - _2))
    assert names_of(before) == ["m_times_v_scale", "m_times_v", "w"]
    before = share(hoist(program((w, w_before - sqrt(1 - beta**t) * lr * grad))))
    assert names_of(before) == ["bias_correction", "grad_scale", "w"]
