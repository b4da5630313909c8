"""Clipping by the global norm: the norm of all gradients of a step, and what it makes of them.

Owns both. A step multiplies gradients as it reads them (``host.Bucket.scaled``); nothing is written
to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Where the norm of the last update is in the state of an MLX tree.
GRAD_NORM = "grad_norm"

#: Keeps the factor finite for gradients that are all zero; torch and MLX have the same.
EPSILON = 1e-6


def numpy_norm(gradients: Iterable[Array]) -> float:
    """The norm over all elements of NumPy arrays: squares in their own type, at least float32."""
    with np.errstate(all="ignore"):
        flat = list(map(_flat, gradients))
        return math.sqrt(sum(map(float, map(np.dot, flat, flat))))


def _flat(gradient: Array) -> Array:
    flat = gradient.ravel("K")
    return flat if flat.itemsize > 2 else flat.astype(np.float32)


def mlx_norm(gradients: Iterable[Any]) -> Any:
    """The norm over all elements of MLX arrays, unevaluated: a 0-d array in single precision."""
    import mlx.core as mx

    total = mx.array(0.0)
    for gradient in gradients:
        total = total + mx.sum(mx.square(gradient.astype(mx.float32)))
    return mx.sqrt(total)


def factor(norm: Any, max_norm: float) -> Any:
    """What gradients are multiplied by: min(1, max_norm / (norm + 1e-6)), and nan for nan."""
    if not isinstance(norm, float):
        import mlx.core as mx

        return mx.minimum(max_norm / (norm + EPSILON), 1.0)
    found = max_norm / (norm + EPSILON)
    return 1.0 if found > 1 else found
