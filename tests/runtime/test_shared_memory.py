"""Gradients that share memory with weights or states, as loss = p * q gives a loop by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_a_gradient_that_is_another_parameters_data_is_read_as_it_was(kernel: str) -> None:
    p, q = Parameter(np.array([1.0, 2.0])), Parameter(np.array([3.0, -1.0]))
    optimizer = SGD([{"params": [p]}, {"params": [q]}], lr=0.1, kernel=kernel)
    a, b = p.data.copy(), q.data.copy()
    for _ in range(4):
        p.grad, q.grad = q.data, p.data
        optimizer.step()
        a, b = a - 0.1 * b, b - 0.1 * a
        np.testing.assert_allclose(p.data, a, rtol=1e-15)
        np.testing.assert_allclose(q.data, b, rtol=1e-15)


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_a_gradient_that_is_the_state_itself_is_read_as_it_was(kernel: str) -> None:
    p = Parameter(np.zeros(2))
    optimizer = SGD([p], lr=0.1, momentum=0.9, kernel=kernel)
    p.grad = np.ones(2)
    optimizer.step()
    p.grad = optimizer.state[p]["momentum_buffer"]
    optimizer.step()  # the buffer becomes 0.9 * 1 + 1
    np.testing.assert_allclose(p.data, -0.1 - 0.1 * 1.9, rtol=1e-15)


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_a_gradient_that_is_a_view_of_its_own_parameter_is_read_as_it_was(kernel: str) -> None:
    p = Parameter(np.arange(300_000.0))
    optimizer = SGD([p], lr=0.1, kernel=kernel)
    expected = p.data.copy()
    for _ in range(3):
        p.grad = p.data[::-1]
        optimizer.step()
        expected = expected - 0.1 * expected[::-1]
        np.testing.assert_array_equal(p.data, expected)
