"""Expressions in MLX: of steps in MLX, and of what surrounds kernels that MLX calls.

Owns the names of operations in MLX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .printer import INFIX, Printer


class MLXPrinter(Printer):
    """MLX expressions."""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = {
        **{name: sign for name, sign in INFIX.items() if name not in ("and", "or", "pow")},
        "and": ("&", 5),
        "or": ("|", 5),
    }
    functions: ClassVar[Mapping[str, str]] = {
        "sqrt": "mx.sqrt",
        "square": "mx.square",
        "pow": "mx.power",
        "abs": "mx.abs",
        "sign": "mx.sign",
        "exp": "mx.exp",
        "expm1": "mx.expm1",
        "log": "mx.log",
        "tanh": "mx.tanh",
        "maximum": "mx.maximum",
        "minimum": "mx.minimum",
        "where": "mx.where",
        "norm": "mx.linalg.norm",
        "mean": "mx.mean",
        "total": "mx.sum",
        "not": "mx.logical_not",
    }
    templates: ClassVar[Mapping[str, str]] = {
        "cbrt": "mx.power({0}, 1 / 3)",
        "row_mean": "mx.mean({0}, axis=-1, keepdims=True)",
        "column_mean": "mx.mean({0}, axis=-2, keepdims=True)",
        "filled": "mx.full(w.shape, {0}, w.dtype)",
    }
