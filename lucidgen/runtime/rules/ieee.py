"""Scalar functions with IEEE 754 results where Python's ``math`` raises.

``sqrt(-1.0)`` is nan, ``log(0.0)`` is -inf, ``exp(1000.0)`` is inf. Python floats give Python
floats; NumPy scalars give NumPy scalars, so that arithmetic which was restarted in IEEE mode
(``calling``) stays in it. A state may start from the parameter: arrays give arrays of their own
library. What is not written here (``sqrt``, ``exp``, ``arctan`` ...) is made of ``math`` and NumPy
when it is first asked for. Owns nothing else: ``+ - * /`` are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import is_mlx


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
        if is_mlx(x):
            return _of_arrays(name, x)
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


def _of_arrays(name: str, *args: Any) -> Any:
    """The function of this name of the library whose arrays the arguments are."""
    if any(map(is_mlx, args)):
        from . import mlx_functions

        return getattr(mlx_functions, name)(*args)
    with np.errstate(all="ignore"):
        return getattr(np, name)(*args)


def _has_arrays(*args: Any) -> bool:
    """Whether one of them is an array; a scalar of NumPy's is none."""
    return any(isinstance(arg, np.ndarray) or is_mlx(arg) for arg in args)


def power(x: Any, y: Any) -> Any:
    """x to the power y among the reals: nan for a negative x and a fractional y."""
    if _has_arrays(x, y):
        return _of_arrays("power", x, y)
    with np.errstate(all="ignore"):
        result = np.power(np.float64(x), np.float64(y))
    return result if isinstance(x, np.generic) or isinstance(y, np.generic) else float(result)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a if the condition holds, else b."""
    if _has_arrays(condition):
        return _of_arrays("where", condition, a, b)
    return a if condition else b


def logical_not(condition: Any) -> Any:
    """Whether the condition does not hold."""
    return _of_arrays("logical_not", condition) if _has_arrays(condition) else not condition


def maximum(a: Any, b: Any) -> Any:
    """The larger of two numbers; nan if one of them is (unlike Python's ``max``)."""
    if _has_arrays(a, b):
        return _of_arrays("maximum", a, b)
    return a if a >= b or a != a else b


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two numbers; nan if one of them is (unlike Python's ``min``)."""
    if _has_arrays(a, b):
        return _of_arrays("minimum", a, b)
    return a if a <= b or a != a else b


def sign(x: Any) -> Any:
    """-1, 0 or 1 (nan for nan), of x's own type."""
    if _has_arrays(x):
        return _of_arrays("sign", x)
    return type(x)(int(x > 0) - int(x < 0)) if x == x else x
