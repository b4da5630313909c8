"""Gradients that share memory with weights or states, as loss = p * q gives a loop by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam


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


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_a_gradient_that_is_another_parameters_state_is_read_as_it_was(kernel: str) -> None:
    params = [Parameter(np.zeros((300, 200))) for _ in range(2)]
    optimizer = SGD(params, lr=0.1, momentum=0.5, kernel=kernel)
    start = np.random.default_rng(0).normal(size=(300, 200))
    for p in params:
        p.grad = start
    optimizer.step()
    first, second = (optimizer.state[p]["momentum_buffer"] for p in params)
    a, b = start.copy(), start.copy()
    params[0].grad = start
    for _ in range(3):
        params[1].grad = first[::-1, ::-1]
        a, b = 0.5 * a + start, 0.5 * b + a[::-1, ::-1]
        optimizer.step()
        np.testing.assert_array_equal(first, a)
        np.testing.assert_array_equal(second, b)


def test_states_that_begin_together_lie_in_a_row() -> None:
    shapes = [(3, 4), (5,), (), (0,), (2, 2)]
    params = [Parameter(np.ones(shape, order="F")) for shape in shapes]
    params[-1] = Parameter(np.ones((2, 2), np.float32))
    for p in params:
        p.grad = np.ones_like(p.data)
    optimizer = Adam(params)
    optimizer.step()
    for key in ("exp_avg", "exp_avg_sq"):
        states = [optimizer.state[p][key] for p in params]
        assert [s.shape for s in states] == shapes
        assert len({id(s.base) for s in states[:-1]}) == 1
        assert states[0].base.size == 18
        assert states[-1].dtype == np.float32
        assert states[0].flags.f_contiguous
        assert all(s.all() for s in states)
