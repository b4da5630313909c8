"""What kernels are tried on: values, sizes, steps.

Owns the numbers alone. Elements do not know of each other, so one pool of hostile values serves all
sizes; where a rule reduces over the tensor, one extreme value would blot out all others, and the
pool is tame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...runtime.backends.gpu.call import THREADS

Array = np.ndarray[Any, Any]

#: Elements of the pool: no multiple of a group, and more than 8, from where MLX passes arrays in
#: another address space.
POOL = 41

#: From 1 to 1000, around multiples of the threadgroup, and around MLX's limit of 8.
SIZES = (1, 2, 7, 8, 9, 31, 32, 33, 127, 255, 256, 257, 511, 512, 513, 767, 768, 769, 999, 1000)

#: The steps: the first ones, and a late one, when corrections have worn off.
STEPS = (1, 2, 3, 1000)

assert THREADS in SIZES

_WEIGHTS = (0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e-3, 1e4, 1e18, -1e30, 1e-38, -1e-45, 3e38)
_GRADIENTS = (0.0, 1.0, -1.0, 1e-8, -1e-4, 0.7, 1e18, -1e25, 1e-30, 1e-45, 65504.0, -0.0)
_STRANGE = (np.inf, -np.inf, np.nan)


def pool(step: int, tame: bool) -> tuple[Array, Array]:
    """Weights and the gradients of a step."""
    random = np.random.default_rng(7 + step)
    w = random.standard_normal(POOL)
    grad = random.standard_normal(POOL) * 10.0 ** random.integers(-6, 3, POOL)
    if not tame:
        count = len(_WEIGHTS) * 2
        w[:count] = np.resize(_WEIGHTS, count)
        grad[:count] = np.roll(np.resize(_GRADIENTS, count), step)
        w[count], grad[count + 1 : count + 4] = np.nan, _STRANGE
    return w.astype(np.float32), grad.astype(np.float32)
