"""Gradients that are no numbers: weights and states become the same on every backend."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.package.catalog import catalog

NAMES = [entry.main.name for entry in catalog(None).entries]

GRADS = (
    (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 1e30),
    (1.0, 1.0, math.inf, math.nan, 0.0, -0.0, math.inf, -1e30),
    (1.0, -1.0, 1.0, 1.0, -0.0, -math.inf, -1.0, 1.0),
)


def kinds(array: Any) -> list[str]:
    """What is a number, which infinity is what else is none."""
    return [str(x) if not math.isfinite(x) else "number" for x in np.ravel(np.array(array))]


def trained(name: str, make: Any, **chosen: Any) -> list[list[str]]:
    """What weights and states are after each step."""
    parameter = Parameter(make(np.ones(8, np.float32)))
    optimizer = getattr(optim, name)([parameter], **chosen)
    found = []
    for grad in GRADS:
        parameter.grad = make(np.array(grad, np.float32))
        optimizer.step(loss=0.5)
        state = optimizer.state[parameter]
        found += [kinds(parameter.data), *(kinds(state[key]) for key in sorted(state))]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_is_no_number_does_the_same_to_arrays_of_both_libraries(
    name: str, uncompiled: None
) -> None:
    in_numpy = trained(name, np.array, kernel="numpy")
    assert trained(name, mx.array, kernel="mlx") == in_numpy
    first, last = in_numpy[0], in_numpy[-len(in_numpy) // len(GRADS)]
    # ADOPT's first step moves nothing, and AdaShift's first ten.
    assert last[0] == "nan" or name == "AdaShift"
    default = next(iter(getattr(optim, name).rules.values()))
    # What reduces is nan as a whole.
    assert first[3:7] == ["number"] * 4 or default.reduces


@pytest.mark.parametrize("kernel", ["numpy", "cpp", "mlx"])
def test_gradients_that_are_clipped_to_0_are_0_and_never_negative(
    kernel: str, uncompiled: None
) -> None:
    make: Any = mx.array if kernel == "mlx" else np.array
    parameter = Parameter(make(np.ones(8, np.float32)))
    optimizer = optim.SGD([parameter], lr=1.0, momentum=0.5, max_grad_value=0, kernel=kernel)
    parameter.grad = make(np.array(GRADS[0], np.float32))
    optimizer.step(loss=0.5)
    moment = np.array(optimizer.state[parameter]["momentum_buffer"])
    np.testing.assert_array_equal(moment, [math.nan, *[0.0] * 7])
    assert not np.signbit(moment[1:]).any()
