"""MLX parameters of random values, and steps on them, for the tests of loops on MLX arrays."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from lucidgen import Parameter
from lucidgen.runtime.backends.loops import mlx_memory

#: More elements than an array has that is copied at every step.
LARGE = 2 * mlx_memory.SMALL


def values(seed: int, shape: tuple[int, ...] = (LARGE,)) -> Any:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def parameter(shape: tuple[int, ...] = (LARGE,), seed: int = 0) -> Parameter:
    return Parameter(mx.array(values(seed, shape)))


def steps(optimizer: Any, parameters: list[Parameter], count: int = 1) -> None:
    for step in range(count):
        for p in parameters:
            p.grad = mx.array(values(step, p.data.shape))
        optimizer.step()
