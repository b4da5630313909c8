"""What can stand in an equation besides plus, times and powers.

Owns the operators that SymPy does not have (`when`, `group` and the reductions) and the list
`FUNCTIONS` of everything that a target must be able to print.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Abs, Max, Min, Rational, cos, exp, floor, log, pi, sign, sqrt, tanh


class _Operator(sympy.Function):  # type: ignore[misc]
    """A function of the language, which messages print as authors write it."""

    def _sympystr(self, printer: Any) -> str:
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(self).__name__)
        return f"{name.lstrip('_')}({', '.join(map(printer.doprint, self.args))})"


class When(_Operator):
    """`when(condition, a, b)`: a where the condition holds, b elsewhere."""

    nargs = 3
    is_real = True

    @classmethod
    def eval(cls, condition: Any, a: Any, b: Any) -> Any:
        if condition is sympy.true:
            return a
        if condition is sympy.false:
            return b
        return a if a == b else None


class Group(_Operator):
    """`group(x)`: x, computed on its own; no pass opens it and no term leaves or enters."""

    nargs = 1
    is_real = True


class Applied(_Operator):
    """The value of a function that the user gives, at one number."""

    nargs = 2
    is_real = True

    def _sympystr(self, printer: Any) -> str:
        return f"{self.args[0]}({printer.doprint(self.args[1])})"


class Passed(_Operator):
    """How many points of an increasing list are not above a number."""

    nargs = 2
    is_integer = True
    is_nonnegative = True


class Reduction(_Operator):
    """A function of a whole array that gives fewer values than it gets."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        return x if x == 0 else None


class Norm(Reduction):
    """The Euclidean norm of the whole tensor."""

    is_nonnegative = True


class Mean(Reduction):
    """The mean over the whole tensor."""


class Total(Reduction):
    """The sum over the whole tensor."""


class RowMean(Reduction):
    """The mean along the last axis: one value per row."""


class ColumnMean(Reduction):
    """The mean along the second-last axis: one value per column."""


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
    return When(sympy.sympify(condition), sympy.sympify(a), sympy.sympify(b))


def group(x: Any) -> sympy.Expr:
    """x, computed on its own: use it where the association of floating-point operations matters."""
    return Group(sympy.sympify(x))


def norm(x: Any) -> sympy.Expr:
    """The Euclidean norm of the whole tensor x."""
    return Norm(sympy.sympify(x))


def mean(x: Any) -> sympy.Expr:
    """The mean over the whole tensor x."""
    return Mean(sympy.sympify(x))


def total(x: Any) -> sympy.Expr:
    """The sum over the whole tensor x."""
    return Total(sympy.sympify(x))


def row_mean(x: Any) -> sympy.Expr:
    """The mean of each row of x (along the last axis)."""
    return RowMean(sympy.sympify(x))


def column_mean(x: Any) -> sympy.Expr:
    """The mean of each column of x (along the second-last axis)."""
    return ColumnMean(sympy.sympify(x))


#: Every function head that the targets print.
FUNCTIONS: tuple[type, ...] = (
    When,
    Group,
    Norm,
    Mean,
    Total,
    RowMean,
    ColumnMean,
    Abs,
    Max,
    Min,
    exp,
    log,
    sign,
    tanh,
)

#: Their names in the language, for messages.
FUNCTION_NAMES = (
    "when, group, norm, mean, total, row_mean, column_mean, "
    "sqrt, Abs, Max, Min, exp, log, sign, tanh"
)

#: What schedules have instead of reductions.
SCHEDULE_FUNCTIONS = (When, Group, Abs, Max, Min, exp, log, sign, tanh, cos, floor, Applied, Passed)
SCHEDULE_FUNCTION_NAMES = "when, group, sqrt, Abs, Max, Min, exp, log, sign, tanh, cos, floor"

__all__ = [
    "FUNCTIONS",
    "FUNCTION_NAMES",
    "SCHEDULE_FUNCTIONS",
    "SCHEDULE_FUNCTION_NAMES",
    "Abs",
    "Applied",
    "ColumnMean",
    "Group",
    "Max",
    "Mean",
    "Min",
    "Norm",
    "Passed",
    "Rational",
    "Reduction",
    "RowMean",
    "Total",
    "When",
    "column_mean",
    "cos",
    "exp",
    "floor",
    "group",
    "log",
    "mean",
    "norm",
    "pi",
    "row_mean",
    "sign",
    "sqrt",
    "tanh",
    "total",
    "when",
]
