"""The scaled gradient: one expression for all that is done to a gradient before the equations."""

import numpy as np
import pytest

from lucidgen.ir.scaled_gradient import BOUND, FACTOR, GRAD, scaled_gradient
from lucidgen.operations.reals import real
from lucidgen.verify.exact import evaluate

GRADIENT = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])


def value(factor: float, bound: float) -> list[float]:
    given = {GRAD: real(GRADIENT), FACTOR: real(factor), BOUND: real(bound)}
    return [float(x) for x in evaluate(scaled_gradient(), given.__getitem__)]


def test_the_factor_one_and_no_bound_change_nothing() -> None:
    assert value(1, np.inf) == GRADIENT.tolist()


def test_maximizing_is_the_factor_minus_one() -> None:
    assert value(-1, np.inf) == (-GRADIENT).tolist()


@pytest.mark.parametrize("bound", [0, 0.5, 1, 10])
def test_each_element_is_clipped_on_both_sides(bound) -> None:
    assert value(1, bound) == np.clip(GRADIENT, -bound, bound).tolist()


def test_clipping_comes_after_scaling() -> None:
    assert value(0.25, 0.5) == np.clip(GRADIENT / 4, -0.5, 0.5).tolist()
    assert value(-4, 3) == np.clip(-4 * GRADIENT, -3, 3).tolist()
