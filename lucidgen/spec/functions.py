"""What can stand in an equation besides plus, times and powers.

Owns how authors write it: the functions `when`, `group` and the reductions, and by its name every
other function of the language that the table of operations has (`sqrt`, `exp`, `Max` ...).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import sympy
from sympy import Rational, pi

from ..operations import (
    EVERYWHERE,
    OPTIMIZERS,
    ColumnMean,
    Group,
    Mean,
    Norm,
    RowMean,
    Total,
    When,
    in_language,
    names,
)
from .extent import refuse_large

#: What no number of a step is.
NO_NUMBERS = (sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo)


def __getattr__(name: str) -> Any:
    """A function of the language, by its name there."""
    for row in in_language(OPTIMIZERS | EVERYWHERE):
        if row.written == name:
            return _of_numbers(name, row.expression or row.head)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _of_numbers(name: str, make: Any) -> Callable[..., sympy.Expr]:
    """A function of SymPy that refuses what is no number of ours."""

    def function(*args: Any, **options: Any) -> Any:
        return make(*(_number(arg, name) for arg in args), **options)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} of expressions, as an expression."
    return function


def _number(x: Any, function: str) -> sympy.Expr:
    """What a function is given, which must be no condition and nothing that is not mathematics."""
    found = sympy.sympify(x)
    if not isinstance(found, sympy.Expr):
        raise TypeError(
            f"{function}() computes with numbers, and {found} is none; of a condition "
            "when(condition, 1, 0) makes one"
        )
    refuse_large(found, f"what {function}() is given")
    if found.has(*NO_NUMBERS):
        raise ValueError(
            f"{function}() is given {found}, which is infinite, undefined or complex; look for a "
            "division by zero or a root of a negative number"
        )
    return found


def when(condition: Any, a: Any, b: Any) -> sympy.Expr:
    """a where the condition holds, b elsewhere.

    The condition is a flag, a hyperparameter with a `special` value (true when the value is not
    special), a comparison, or these joined by `&`, `|` and `~`. Flags and comparisons of host
    scalars choose between bodies; a comparison of arrays is a select.
    """
    if isinstance(condition, bool):  # a == b is False at once, whatever a and b will be
        raise TypeError(
            f"the condition of when() is Python's {condition}: `==`, `!=`, `and`, `or` and `not` "
            f"are answered when the spec is read; write sympy.Eq(a, b), `&`, `|` and `~`"
        )
    return When(sympy.sympify(condition), _number(a, "when"), _number(b, "when"))


def group(x: Any) -> sympy.Expr:
    """x, computed on its own: use it where the association of floating-point operations matters."""
    return Group(_number(x, "group"))


def norm(x: Any) -> sympy.Expr:
    """The Euclidean norm of the whole tensor x."""
    return Norm(_number(x, "norm"))


def mean(x: Any) -> sympy.Expr:
    """The mean over the whole tensor x."""
    return Mean(_number(x, "mean"))


def total(x: Any) -> sympy.Expr:
    """The sum over the whole tensor x."""
    return Total(_number(x, "total"))


def row_mean(x: Any) -> sympy.Expr:
    """The mean of each row of x (along the last axis)."""
    return RowMean(_number(x, "row_mean"))


def column_mean(x: Any) -> sympy.Expr:
    """The mean of each column of x (along the second-last axis)."""
    return ColumnMean(_number(x, "column_mean"))


#: What authors can import: the functions of the language, and two numbers.
NAMES = (*names(OPTIMIZERS | EVERYWHERE), "Rational", "pi")

__all__ = [
    "NAMES",
    "Rational",
    "column_mean",
    "group",
    "mean",
    "norm",
    "pi",
    "row_mean",
    "total",
    "when",
]
