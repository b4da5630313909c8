"""The operations that SymPy does not have, as SymPy functions.

Owns these classes: the operators of the language, the reductions, and two forms that passes of the
compiler make. What each of them means is in the table.
"""

from __future__ import annotations

from typing import Any

import sympy


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


class Largest(Reduction):
    """The largest value of the whole tensor."""


class RowNorm(Reduction):
    """The Euclidean norm of each row: along the last axis."""

    is_nonnegative = True


class RowMean(Reduction):
    """The mean of each row: along the last axis."""


class RowTotal(Reduction):
    """The sum of each row: along the last axis."""


class RowMax(Reduction):
    """The largest value of each row: along the last axis."""


class ColumnNorm(Reduction):
    """The Euclidean norm of each column: along the second-last axis."""

    is_nonnegative = True


class ColumnMean(Reduction):
    """The mean of each column: along the second-last axis."""


class ColumnTotal(Reduction):
    """The sum of each column: along the second-last axis."""


class ColumnMax(Reduction):
    """The largest value of each column: along the second-last axis."""


class OverGroup(_Operator):
    """`over_group(total(x))`: a reduction over all parameters of a group that take part in a step.

    Its operand is a reduction of the whole tensor; alone it says what each parameter gives.
    """

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        return x if x == 0 else None

    def _eval_is_nonnegative(self) -> bool | None:
        return self.args[0].is_nonnegative  # type: ignore[no-any-return]


class Square(sympy.Function):  # type: ignore[misc]
    """x * x, which SymPy would write x**2 again."""

    nargs = 1
    is_real = True


class Expm1(sympy.Function):  # type: ignore[misc]
    """exp(x) - 1 without cancellation."""

    nargs = 1
    is_real = True
