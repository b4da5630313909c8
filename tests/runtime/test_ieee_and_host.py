"""Host arithmetic: by name, in Python floats, with IEEE results where Python raises."""

import math

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.runtime.groups.settings import Settings
from lucidgen.runtime.rules import Hyper, Rule, State, ieee
from lucidgen.runtime.rules.calling import call, evaluate
from lucidgen.runtime.trees.update import InGraph


@pytest.mark.parametrize(
    ("function", "argument", "expected"),
    [
        (ieee.sqrt, -1.0, math.nan),
        (ieee.sqrt, 4.0, 2.0),
        (ieee.log, 0.0, -math.inf),
        (ieee.log, -1.0, math.nan),
        (ieee.exp, 1000.0, math.inf),
        (ieee.expm1, 1000.0, math.inf),
        (ieee.sqrt, math.nan, math.nan),
        (ieee.sign, -3.0, -1.0),
        (ieee.arctan, math.inf, math.pi / 2),
    ],
)
def test_functions_follow_ieee_754_and_keep_python_floats(function, argument, expected):
    result = function(argument)
    assert type(result) is float
    assert result == expected or (math.isnan(result) and math.isnan(expected))


def test_power_stays_among_the_reals():
    assert math.isnan(ieee.power(-1.0, 0.5))
    assert ieee.power(0.0, -1.0) == math.inf
    assert ieee.power(2.0, 3.0) == 8.0


def test_maximum_and_minimum_propagate_nan():
    for function in (ieee.maximum, ieee.minimum):
        assert math.isnan(function(math.nan, 1.0))
        assert math.isnan(function(1.0, math.nan))
    assert ieee.maximum(1.0, 2.0) == ieee.minimum(2.0, 3.0) == 2.0


@pytest.mark.parametrize("array", [np.array, mx.array])
def test_arrays_give_arrays_of_their_own_library(array):
    x = array([-1.0, 0.25])
    found = {
        "sign": ieee.sign(x),
        "sqrt": ieee.sqrt(ieee.maximum(x, 0.0)),
        "minimum": ieee.minimum(0.0, x),
        "power": ieee.power(x, 2),
        "where": ieee.where(ieee.logical_not(x > 0), x, 1.0),
    }
    assert {type(value) for value in found.values()} == {type(x)}
    assert {name: value.tolist() for name, value in found.items()} == {
        "sign": [-1.0, 1.0],
        "sqrt": [0.0, 0.5],
        "minimum": [-1.0, 0.0],
        "power": [1.0, 0.0625],
        "where": [-1.0, 1.0],
    }


@pytest.mark.parametrize("array", [np.array, mx.array])
def test_a_start_that_divides_by_zero_is_infinite(array):
    starts = (lambda lr: 1 / lr, lambda lr, w: lr**-2 * w, lambda lr, w: abs(w) / lr)
    rule = Rule(name="a", dialect="own", hypers=(Hyper(name="lr", default=0.0, symbols=("lr",)),),
                numpy=lambda w, grad: None)  # fmt: skip
    settings = Settings(rule, {"lr": 0.0})
    for start in starts:
        made = settings.start(State(name="m", key="m", start=start), array([1.0, 2.0]))
        assert np.all(np.array(made) == math.inf)


def test_a_captured_step_that_divides_by_zero_is_infinite():
    def scalars(t, eps):
        return {"x": t * eps**-2, "y": 1 / (1 + 1 / eps)}

    with mx.stream(mx.cpu):
        given = {"t": mx.array(2.0, dtype=mx.float64), "eps": 0.0}
        found, _ = InGraph(scalars, mx.float32).completed(None, given)
    assert (found["x"].item(), found["y"].item()) == (math.inf, 0.0)
    assert found["x"].dtype == mx.float32


def test_a_function_gets_exactly_what_it_names():
    def scalars(t, lr):
        return {"x": t * lr}

    assert call(scalars, {"t": 2.0, "lr": 3.0, "eps": 1.0}) == {"x": 6.0}


def test_a_name_that_nobody_provides_is_an_error_that_says_so():
    def scalars(t, learning_rate):
        return {}

    with pytest.raises(TypeError, match="scalars names learning_rate, which is no hyper"):
        call(scalars, {"t": 1.0, "lr": 1.0})


def test_division_by_zero_gives_the_ieee_result_as_a_python_float():
    def scalars(t, beta):
        return {"c": 1 / (1 - beta**t), "n": (1 - beta**t) / (1 - beta), "late": t > 5}

    found = evaluate(scalars, {"t": 1.0, "beta": 1.0})
    assert found["c"] == math.inf
    assert math.isnan(found["n"])
    assert [type(value) for value in found.values()] == [float, float, bool]


def test_a_root_of_a_negative_number_is_nan_and_not_complex():
    found = evaluate(lambda t: {"r": (1 - t) ** 0.5}, {"t": 2.0})
    assert math.isnan(found["r"])


def test_overflow_gives_infinity():
    assert evaluate(lambda t: {"x": t**t}, {"t": 1e300}) == {"x": math.inf}


def test_functions_stay_in_numpy_once_arithmetic_was_restarted_there():
    assert isinstance(ieee.sqrt(np.float64(2.0)), np.float64)
    assert evaluate(lambda t: {"x": 1 / ieee.sqrt(t - 1)}, {"t": 1.0}) == {"x": math.inf}
