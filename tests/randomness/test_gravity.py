"""Gravity's velocity begins as normal numbers, and is averaged from there as the equations say."""

from __future__ import annotations

import numpy as np
import pytest

from lucidgen import Parameter, optim


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_the_velocity_begins_as_normal_numbers(kernel: str) -> None:
    """Without a gradient the first step keeps beta_hat of it: 1.9 / 3 of alpha / lr."""
    parameter = Parameter(np.zeros((200, 300)))
    optimizer = optim.Gravity([parameter], lr=0.1, alpha=0.5, kernel=kernel, seed=3)
    parameter.grad = np.zeros((200, 300))
    optimizer.step()
    began = optimizer.state[parameter]["v"] * 3 / 1.9
    deviation, count = 0.5 / 0.1, began.size
    assert abs(began.mean()) < 5 * deviation / count**0.5
    assert abs(began.std() / deviation - 1) < 5 / (2 * count) ** 0.5
    np.testing.assert_allclose(parameter.data, -0.1 * optimizer.state[parameter]["v"])


def test_only_the_first_step_draws() -> None:
    results = []
    for seed in (1, 2):
        parameter = Parameter(np.zeros(5))
        optimizer = optim.Gravity([parameter], seed=seed)
        for _ in range(2):
            parameter.grad = np.arange(5.0)
            velocity = optimizer.state.get(parameter, {}).get("v")
            before = None if velocity is None else velocity.copy()
            optimizer.step()
        results.append(optimizer.state[parameter]["v"] - before * (0.9 * 2 + 1) / 4)
    np.testing.assert_allclose(*results, atol=1e-15)
    assert np.any(results[0])
