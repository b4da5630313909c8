"""The functions of MLX, by its names, as the table of operations means them.

Owns those that MLX has otherwise, ``sign``, which is 0 of nan there, or not at all, ``cbrt``. All
others are MLX's own.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

Array = Any


def sign(x: Array) -> Array:
    """-1, 0 or 1; nan of nan."""
    return mx.where(x == x, mx.sign(x), x)


def cbrt(x: Array) -> Array:
    """The cube root, which has the sign of x; 0 of both zeros."""
    return mx.sign(x) * mx.power(mx.abs(x), 1 / 3)


def __getattr__(name: str) -> Any:
    """Any other function, which is MLX's."""
    return getattr(mx, name)
