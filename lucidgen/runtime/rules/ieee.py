"""Scalar functions with IEEE 754 results where Python's ``math`` raises.

``sqrt(-1.0)`` is nan, ``log(0.0)`` is -inf, ``exp(1000.0)`` is inf. Python floats give Python
floats; NumPy scalars give NumPy scalars, so that arithmetic which was restarted in IEEE mode
(``calling``) stays in it. What is not written here (``sqrt``, ``exp``, ``arctan`` ...) is made of
``math`` and NumPy when it is first asked for. Owns nothing else: ``+ - * /`` are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def _unary(name: str) -> Callable[[Any], Any]:
    fast: Callable[[float], float] = getattr(math, name.replace("arc", "a"))
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


def __getattr__(name: str) -> Any:
    """Any other function of one number that NumPy and ``math`` have, by NumPy's name."""
    ieee = getattr(np, name, None)
    if not isinstance(ieee, np.ufunc) or ieee.nin != 1:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = _unary(name)
    return function


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
