"""Clipping by the global norm: the norm of all gradients of a step, and what it makes of them.

Owns both. A step multiplies gradients as it reads them (``host.Bucket.scaled``); nothing is written
to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Where the norm of the last update is in the state of an MLX tree.
GRAD_NORM = "grad_norm"

#: Keeps the factor finite for gradients that are all zero; torch and MLX have the same.
EPSILON = 1e-6

#: How many squares of NumPy arrays one dot product adds, in some dozens of sums at once: each
#: addition rounds, and of millions in a row a norm comes out several percent off.
PART = 65_536


def numpy_norm(gradients: Iterable[Array]) -> float:
    """The norm over all elements of NumPy arrays.

    Squares are taken and added in their own type, at least float32; the sums of parts in double.
    """
    with np.errstate(all="ignore"):
        flat = list(chain.from_iterable(map(_parts, gradients)))
        return math.sqrt(sum(map(float, map(np.dot, flat, flat))))


def _parts(gradient: Array) -> Iterable[Array]:
    flat = gradient.ravel("K")
    if flat.itemsize <= 2:
        flat = flat.astype(np.float32)
    if flat.size <= PART:
        return (flat,)
    return [flat[start : start + PART] for start in range(0, flat.size, PART)]


def mlx_norm(gradients: Iterable[Any]) -> Any:
    """The norm over all elements of MLX arrays, unevaluated: a 0-d array in single precision."""
    import mlx.core as mx

    from ..rules.mlx_functions import squares

    totals = [squares(gradient.astype(mx.float32)) for gradient in gradients]
    while len(totals) > 1:  # of pairs, not one after the other
        pairs = zip(totals[::2], totals[1::2], strict=False)
        totals = [a + b for a, b in pairs] + totals[len(totals) // 2 * 2 :]
    return mx.sqrt(totals[0]) if totals else mx.array(0.0)


def factor(norm: Any, max_norm: float) -> Any:
    """What gradients are multiplied by: min(1, max_norm / (norm + 1e-6)), and nan for nan.

    Where ``max_norm`` is infinite nothing is clipped, whatever the norm.
    """
    if max_norm == math.inf:
        return 1.0
    if not isinstance(norm, float):
        import mlx.core as mx

        return mx.minimum(max_norm / (norm + EPSILON), 1.0)
    found = max_norm / (norm + EPSILON)
    return 1.0 if found > 1 else found
