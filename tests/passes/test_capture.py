"""capture: no branch on what the host computes, and differences that single precision can bear."""

from dataclasses import replace

import numpy as np
import pytest
import sympy
from meaning import assert_unchanged, texts

from lucidgen.ir.guard import Guard
from lucidgen.ir.program import symbol
from lucidgen.operations import Expm1
from lucidgen.passes.capture import capture
from lucidgen.passes.examples import beta, grad, lr, program, t, w, w_before
from lucidgen.spec import exp, when

c, d, s, x = symbol("c"), symbol("d"), symbol("s"), symbol("x")


def test_a_bias_correction_keeps_its_digits_in_single_precision() -> None:
    before = program((c, 1 - beta**t), (w, w_before - grad / c))
    after = capture(before)
    assert after.lets[0].value == -Expm1(t * sympy.log(beta))
    assert_unchanged(before, after)
    single = np.float32(0.999)
    plain, accurate = [], []
    for steps in range(2, 20):
        exact = 1 - float(single) ** steps
        plain.append(abs(float(1 - single ** np.float32(steps)) / exact - 1))
        accurate.append(abs(float(-np.expm1(np.float32(steps) * np.log(single))) / exact - 1))
    assert max(plain) > 5e-6
    assert max(accurate) < 3e-7


def test_a_power_with_a_name_of_its_own_is_seen_through() -> None:
    before = program((x, beta**t), (c, 1 - x), (w, w_before - x * grad / c))
    after = capture(before)
    assert texts(after)[1] == "c = -Expm1(t*log(beta))"
    assert_unchanged(before, after)


def test_one_minus_an_exponential_is_taken_the_same_way() -> None:
    before = program((c, 1 - exp(-lr)), (w, w_before - grad * c))
    after = capture(before)
    assert texts(after)[0] == "c = -Expm1(-lr)"
    assert_unchanged(before, after)


def test_one_minus_a_number_of_cases_is_taken_from_each_case() -> None:
    before = program(
        (x, 1 - lr / t, "a"),
        (x, beta, "not a"),
        (s, 1 - x),
        (w, w_before - s * grad - x),
        choices=("a",),
    )
    after = capture(before)
    assert {text for text in texts(after) if text.startswith("s")} == {
        "s = lr/t  if a",
        "s = 1 - beta  if not a",
    }
    assert_unchanged(before, after)


def test_a_condition_of_the_host_becomes_a_select() -> None:
    before = program(
        (c, t > 3), (w, w_before - grad, "c"), (w, w_before + lr * grad, "not c"), choices=("c",)
    )
    after = capture(before)
    assert after.lets[-1].value == when_of(c, w_before - grad, w_before + lr * grad)
    assert after.lets[-1].guard.is_always
    assert_unchanged(before, after)


def when_of(name, yes, no):
    """A select on a condition's name."""
    return type(when(lr > 1, lr, beta))(name, yes, no)


def test_two_conditions_become_selects_in_selects() -> None:
    before = program(
        (c, t > 3),
        (d, lr > beta),
        (s, lr, "c"),
        (s, beta, "not c"),
        (x, s, "d"),
        (x, s + 1, "not d"),
        (w, w_before - x * grad),
        choices=("c", "d"),
    )
    after = capture(before)
    assert all(let.guard.is_always for let in after.lets)
    assert_unchanged(before, after)


def test_flags_stay_branches() -> None:
    before = program(
        (c, t > 3),
        (s, lr, "c"),
        (s, beta, "not c"),
        (w, w_before - s * grad, "a"),
        (w, w_before, "not a"),
        choices=("a", "c"),
    )
    after = capture(before)
    assert {name for let in after.lets for name in let.guard.support} == {"a"}
    assert_unchanged(before, after)


def test_what_exists_in_one_case_only_is_there_in_the_other_too() -> None:
    before = program(
        (c, t > 3),
        (s, lr / (t - 3), "c"),
        (w, w_before - s * grad, "c"),
        (w, w_before, "not c"),
        choices=("c",),
    )
    after = capture(before)
    assert all(let.guard.is_always for let in after.lets)
    assert_unchanged(before, after)


def test_cases_inside_of_a_case_are_selected_there_alone() -> None:
    made = program(
        (c, t > 3),
        (d, lr > beta),
        (s, lr / (t - 3), "d"),
        (s, beta / (t - 3), "not d"),
        (w, w_before - s * grad, "c"),
        (w, w_before, "not c"),
        choices=("c", "d"),
    )
    late = Guard.of("c", made.choices)
    before = made.with_lets(
        replace(let, guard=let.guard & late) if let.target == s else let for let in made.lets
    )
    after = capture(before)
    assert all(let.guard.is_always for let in after.lets)
    assert_unchanged(before, after)


@pytest.mark.parametrize("value", [w_before - lr * grad, w_before * (1 - lr)])
def test_a_program_without_any_of_that_stays_as_it_is(value) -> None:
    before = program((w, value))
    assert capture(before) == before
