"""range_of: an interval that holds every value of a host expression; wide rather than wrong."""

import numpy as np
import pytest

from lucidgen.ir.program import symbol
from lucidgen.ir.ranges import INFINITY, Range, range_of
from lucidgen.passes.examples import beta, decayed, eps, lr, t, weight_decay
from lucidgen.spec import Max, exp, sqrt

#: Expressions of hyperparameters, with what is known of their signs: lr and eps are at least 0,
#: 0 <= beta < 1, t >= 1, and weight_decay may be anything.
SIGNS = {
    1 - beta**t: "positive",
    1 - beta: "positive",
    1 / (1 - beta**t): "positive",
    sqrt(1 - beta): "positive",
    (1 + beta) ** t: "positive",
    t: "positive",
    1 / t: "positive",
    lr / (1 - beta**t): "nonnegative",
    lr * eps + beta: "nonnegative",
    sqrt(lr): "nonnegative",
    beta: "nonnegative",
    beta**t: "nonnegative",
    lr: "nonnegative",
    1 - lr: "unknown",
    weight_decay: "unknown",
    lr * weight_decay: "unknown",
    weight_decay**2: "unknown",
    1 - t * beta: "unknown",
    Max(lr, weight_decay): "unknown",
    exp(weight_decay): "unknown",
    symbol("anything"): "unknown",
}
HYPERS = ("lr", "beta", "eps", "weight_decay")


@pytest.mark.parametrize("expr", SIGNS, ids=str)
def test_signs_are_known_where_the_ranges_of_hyperparameters_prove_them(expr) -> None:
    found = range_of(expr, decayed)
    known = "positive" if found.is_positive else "nonnegative"
    assert SIGNS[expr] == (known if found.is_nonnegative else "unknown")


@pytest.mark.parametrize("expr", [e for e in SIGNS if e != symbol("anything")], ids=str)
def test_no_legal_value_lies_outside(expr) -> None:
    found = range_of(expr, decayed)
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = {lr: rng.exponential(), eps: rng.exponential(), beta: rng.uniform()}
        values |= {weight_decay: rng.normal(), t: int(rng.integers(1, 9))}
        assert found.low <= float(expr.subs(values)) <= found.high


def test_a_least_value_that_is_taken_is_told_from_one_that_is_not() -> None:
    assert not Range(0, 1).is_positive
    assert Range(0, 1, open_low=True).is_positive
    assert Range(0, 1).is_nonnegative


def test_a_negation_turns_an_interval_round() -> None:
    assert -Range(1, INFINITY, open_low=True) == Range(-INFINITY, -1, open_high=True)


def test_nonpositive_factors_turn_the_sign_of_a_product() -> None:
    assert (Range(-3, -1) * Range(2, 4)) == Range(-12, -2)
    assert (Range(-3, -1) * Range(-4, -2)) == Range(2, 12)
    assert Range(-1, 1) * Range(2, 4) == Range()
