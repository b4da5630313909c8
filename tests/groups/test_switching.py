"""SWATS, which is Adam until its group has a rate, next to its algorithm in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter, optim

Arrays = list[np.ndarray[Any, Any]]


def algorithm(weights: Arrays, steps: int, eps: float) -> tuple[Arrays, list[float]]:
    """Algorithm 1, with positive rates only, on half the sum of 3 w**2.

    Returns the weights, and SGD's rate after each step.
    """
    lr, beta1, beta2 = 1e-3, 0.9, 0.999
    m, a, v = ([np.zeros_like(w) for w in weights] for _ in range(3))
    average, rate, rates = 0.0, 0.0, []
    for k in range(1, steps + 1):
        grads = [3 * w for w in weights]
        if rate > 0:
            v = [beta1 * old + g for old, g in zip(v, grads, strict=True)]
            weights = [w - (1 - beta1) * rate * u for w, u in zip(weights, v, strict=True)]
            rates.append(rate)
            continue
        m = [beta1 * old + (1 - beta1) * g for old, g in zip(m, grads, strict=True)]
        a = [beta2 * old + (1 - beta2) * g * g for old, g in zip(a, grads, strict=True)]
        scale = lr * np.sqrt(1 - beta2**k) / (1 - beta1**k)
        p = [-scale * x / (np.sqrt(y) + eps) for x, y in zip(m, a, strict=True)]
        weights = [w + u for w, u in zip(weights, p, strict=True)]
        along = sum(float(np.sum(u * g)) for u, g in zip(p, grads, strict=True))
        if along != 0:
            found = sum(float(np.sum(u * u)) for u in p) / -along
            average = beta2 * average + (1 - beta2) * found
            estimate = average / (1 - beta2**k)
            rate = max(estimate, 0.0) if k > 1 and abs(estimate - found) < eps else 0.0
        rates.append(rate)
    return weights, rates


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
@pytest.mark.parametrize(("eps", "switches"), [(1e-9, False), (3e-7, True)])
def test_adam_gives_way_to_sgd_when_the_algorithm_says(
    kernel: str, eps: float, switches: bool
) -> None:
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal((4, 3)), rng.standard_normal(5)]
    expected, rates = algorithm(starts, 300, eps)
    assert (rates[-1] > 0) is switches
    assert rates[0] == 0
    parameters = [Parameter(start.copy()) for start in starts]
    optimizer = optim.SWATS(parameters, eps=eps, kernel=kernel)
    for rate in rates:
        for parameter in parameters:
            parameter.grad = 3 * parameter.data
        optimizer.step()
        assert optimizer.param_groups[0]["sgd_lr"] == pytest.approx(rate, rel=1e-9)
    for parameter, weights in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.data, weights, rtol=1e-11)
