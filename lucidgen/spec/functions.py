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
    ColumnMax,
    ColumnMean,
    ColumnNorm,
    ColumnTotal,
    Group,
    Largest,
    Mean,
    Norm,
    OverGroup,
    RowMax,
    RowMean,
    RowNorm,
    RowTotal,
    Total,
    When,
    in_language,
    names,
)
from .draws import normal, uniform
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


# Reductions. Along which axes a quantity varies follows from its equation: a matrix that has one
# value for each element is reduced to one number per tensor, per row or per column. A tensor of
# more than two axes is many matrices, each with rows and columns of its own, or what `matrices` of
# the spec says. A row lies along the last axis, a column along the one before it.


def norm(x: Any) -> sympy.Expr:
    """The Euclidean norm of the whole tensor x, the root of the sum of all squares.

    Where a square overflows (of 1e20 in float32), it is infinite.
    """
    return Norm(_number(x, "norm"))


def mean(x: Any) -> sympy.Expr:
    """The mean over the whole tensor x; of a quantity per row, over all rows of all matrices."""
    return Mean(_number(x, "mean"))


def total(x: Any) -> sympy.Expr:
    """The sum over the whole tensor x; of a quantity per row, over all rows of all matrices."""
    return Total(_number(x, "total"))


def largest(x: Any) -> sympy.Expr:
    """The largest value of the whole tensor x; nan if one is, and -inf of no elements."""
    return Largest(_number(x, "largest"))


def count(condition: Any) -> sympy.Expr:
    """How many elements of the tensor satisfy a condition: total(when(condition, 1, 0)).

    So `total(when(condition, x, 0)) / count(condition)` is the mean over a part of the elements,
    and row_total(when(condition, 1, 0)) counts in each row.
    """
    return total(when(condition, 1, 0))


def row_norm(x: Any) -> sympy.Expr:
    """The Euclidean norm of each row of x."""
    return RowNorm(_number(x, "row_norm"))


def row_mean(x: Any) -> sympy.Expr:
    """The mean of each row of x.

    Of a quantity per column, as with all that reduces rows, it is one number per matrix.
    """
    return RowMean(_number(x, "row_mean"))


def row_total(x: Any) -> sympy.Expr:
    """The sum of each row of x."""
    return RowTotal(_number(x, "row_total"))


def row_max(x: Any) -> sympy.Expr:
    """The largest value of each row of x."""
    return RowMax(_number(x, "row_max"))


def column_norm(x: Any) -> sympy.Expr:
    """The Euclidean norm of each column of x."""
    return ColumnNorm(_number(x, "column_norm"))


def column_mean(x: Any) -> sympy.Expr:
    """The mean of each column of x.

    Of a quantity per row, as with all that reduces columns, it is one number per matrix.
    """
    return ColumnMean(_number(x, "column_mean"))


def column_total(x: Any) -> sympy.Expr:
    """The sum of each column of x."""
    return ColumnTotal(_number(x, "column_total"))


def column_max(x: Any) -> sympy.Expr:
    """The largest value of each column of x."""
    return ColumnMax(_number(x, "column_max"))


def over_group(x: Any) -> sympy.Expr:
    """A reduction over all parameters of a group together: `over_group(total(x))`.

    What stands in it is `total`, `mean`, `norm` or `largest` of a quantity per element, and taken
    over the elements of all parameters of the group that have a gradient in this step. It is one
    number per group, and so is a series that is made of it and of numbers of the host; as a state
    it is kept once for the group.
    """
    return OverGroup(_number(x, "over_group"))


#: What authors can import: the functions of the language, `count`, what draws, and two numbers.
NAMES = (*names(OPTIMIZERS | EVERYWHERE), "count", "normal", "uniform", "Rational", "pi")

__all__ = [
    "NAMES",
    "Rational",
    "column_max",
    "column_mean",
    "column_norm",
    "column_total",
    "count",
    "group",
    "largest",
    "mean",
    "norm",
    "normal",
    "over_group",
    "pi",
    "row_max",
    "row_mean",
    "row_norm",
    "row_total",
    "total",
    "uniform",
    "when",
]
