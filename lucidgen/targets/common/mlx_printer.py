"""Expressions in MLX: of steps in MLX, and of what surrounds kernels that MLX calls.

Owns the syntax; what operations are called is in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ...operations import Where
from .printer import INFIX, Printer


class MLXPrinter(Printer):
    """MLX expressions."""

    language: ClassVar[str] = "mlx"
    places: ClassVar[Where] = Where.ELEMENTS | Where.ARRAYS
    infix: ClassVar[Mapping[str, tuple[str, int]]] = {
        **{name: sign for name, sign in INFIX.items() if name not in ("and", "or", "pow")},
        "and": ("&", 5),
        "or": ("|", 5),
    }
    #: What the MLX target adds: a number spread over the shape of an array.
    texts: ClassVar[Mapping[str, str]] = {"filled": "mx.full({1}.shape, {0}, {1}.dtype)"}
