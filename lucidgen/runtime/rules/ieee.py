"""Scalar functions with IEEE 754 results where Python's ``math`` raises.

``sqrt(-1.0)`` is nan, ``log(0.0)`` is -inf, ``exp(1000.0)`` is inf. Python floats give Python
floats; NumPy scalars give NumPy scalars, so that arithmetic which was restarted in IEEE mode
(``host``) stays in it. Owns nothing else: ``+ - * /`` are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "ceil",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "maximum",
    "minimum",
    "power",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "where",
]


def _unary(name: str) -> Callable[[Any], Any]:
    fast: Callable[[float], float] = getattr(math, name)
    ieee = getattr(np, name)

    def function(x: Any) -> Any:
        if type(x) is float or type(x) is int:
            try:
                return fast(x)
            except (ValueError, OverflowError):
                with np.errstate(all="ignore"):
                    return float(ieee(x))
        with np.errstate(all="ignore"):
            return ieee(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} of a number, with the IEEE result where math.{name} raises."
    return function


sqrt, exp, expm1 = _unary("sqrt"), _unary("exp"), _unary("expm1")
log, log1p, log2, log10 = _unary("log"), _unary("log1p"), _unary("log2"), _unary("log10")
sin, cos, tan = _unary("sin"), _unary("cos"), _unary("tan")
sinh, cosh, tanh = _unary("sinh"), _unary("cosh"), _unary("tanh")


def floor(x: Any) -> Any:
    """The largest whole number at most x, as a float (``math.floor`` gives an int)."""
    return float(np.floor(x)) if type(x) is float else np.floor(x)


def ceil(x: Any) -> Any:
    """The smallest whole number at least x, as a float (``math.ceil`` gives an int)."""
    return float(np.ceil(x)) if type(x) is float else np.ceil(x)


def power(x: Any, y: Any) -> Any:
    """x to the power y among the reals: nan for a negative x and a fractional y."""
    with np.errstate(all="ignore"):
        result = np.power(np.float64(x), np.float64(y))
    return result if isinstance(x, np.generic) or isinstance(y, np.generic) else float(result)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a if the condition holds, else b."""
    return a if condition else b


def maximum(a: Any, b: Any) -> Any:
    """The larger of two numbers; nan if one of them is (unlike Python's ``max``)."""
    return a if a >= b or a != a else b


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two numbers; nan if one of them is (unlike Python's ``min``)."""
    return a if a <= b or a != a else b


def sign(x: Any) -> Any:
    """-1, 0 or 1 (nan for nan), of x's own type."""
    return type(x)(int(x > 0) - int(x < 0)) if x == x else x
