"""Arithmetic on real numbers to 50 digits, and the value of an expression in it.

Owns what an operation means where it leaves the reals: it follows IEEE 754 (1/0 is an infinity,
0/0 and the root of a negative number are nan), so that every expression has a value. Arrays are
NumPy arrays of such numbers. It knows nothing of specs, programs or rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import sympy
from mpmath.ctx_mp import MPContext
from sympy.core.relational import (
    Equality,
    GreaterThan,
    LessThan,
    StrictGreaterThan,
    StrictLessThan,
    Unequality,
)

from ..ir.program import Expm1, Square
from ..spec.functions import ColumnMean, Group, Mean, Norm, RowMean, Total, When

#: A number (mpf), a truth value, or an array of one of them.
Value = Any

DIGITS = 50

#: The context that all numbers here belong to; mpmath's global one stays as it is.
REALS = MPContext()
REALS.dps = DIGITS

NAN, INFINITY = REALS.nan, REALS.inf
ZERO, ONE = REALS.mpf(0), REALS.mpf(1)

#: Past this exponent exp is 0 or infinite: no double comes near.
_HUGE = 10**6


def real(value: Any) -> Value:
    """The exact value of floats, integers and arrays of them."""
    if isinstance(value, np.ndarray):
        return np.frompyfunc(_number, 1, 1)(value.astype(np.float64))
    return _number(value)


def _number(value: Any) -> Any:
    return REALS.mpf(float(value) if isinstance(value, np.generic) else value)


def rational(number: sympy.Number) -> Any:
    """A SymPy number: a rational exactly rounded, or what a Float stands for."""
    if number.is_Rational:
        return REALS.mpf(int(number.p)) / int(number.q)
    return REALS.mpf(str(sympy.N(number, DIGITS + 5)))


def _divided(a: Any, b: Any) -> Any:
    if b == 0:
        return NAN if a == 0 or REALS.isnan(a) else INFINITY * REALS.sign(a)
    return a / b


def root(a: Any) -> Any:
    """The square root; nan of a negative number."""
    return NAN if a < 0 else REALS.sqrt(a)


def logarithm(a: Any) -> Any:
    """The natural logarithm; -inf at 0, nan below."""
    if a > 0:
        return REALS.ln(a)
    return -INFINITY if a == 0 else NAN


def exponential(a: Any) -> Any:
    """e to the power a, infinite or 0 where the exponent is beyond any use."""
    if abs(a) > _HUGE:
        return ZERO if a < 0 else INFINITY
    return REALS.exp(a)


def power(a: Any, b: Any) -> Any:
    """a to the power b among the reals: nan for a negative a and a fractional b."""
    if b == 0:
        return ONE
    if a == 0:
        return ZERO if b > 0 else INFINITY
    if REALS.isint(b):
        return a ** int(b)
    return exponential(b * REALS.ln(a)) if a > 0 else NAN


def expm1(a: Any) -> Any:
    """exp(a) - 1 without cancellation."""
    return exponential(a) if abs(a) > _HUGE else REALS.expm1(a)


def _larger(a: Any, b: Any) -> Any:
    return NAN if REALS.isnan(a) or REALS.isnan(b) else max(a, b)


def _smaller(a: Any, b: Any) -> Any:
    return NAN if REALS.isnan(a) or REALS.isnan(b) else min(a, b)


def _elementwise(function: Callable[..., Any], operands: int) -> Callable[..., Value]:
    made: Callable[..., Value] = np.frompyfunc(function, operands, 1)
    return made


add = _elementwise(lambda a, b: a + b, 2)
multiply = _elementwise(lambda a, b: a * b, 2)
divide = _elementwise(_divided, 2)
maximum = _elementwise(_larger, 2)
minimum = _elementwise(_smaller, 2)
choose = _elementwise(lambda test, a, b: a if test else b, 3)
_power = _elementwise(power, 2)

_BINARY: dict[type, Callable[..., Value]] = {
    sympy.Add: add,
    sympy.Mul: multiply,
    sympy.Max: maximum,
    sympy.Min: minimum,
    sympy.And: _elementwise(lambda a, b: a and b, 2),
    sympy.Or: _elementwise(lambda a, b: a or b, 2),
    StrictGreaterThan: _elementwise(lambda a, b: a > b, 2),
    GreaterThan: _elementwise(lambda a, b: a >= b, 2),
    StrictLessThan: _elementwise(lambda a, b: a < b, 2),
    LessThan: _elementwise(lambda a, b: a <= b, 2),
    Equality: _elementwise(lambda a, b: a == b, 2),
    Unequality: _elementwise(lambda a, b: a != b, 2),
}
_UNARY: dict[type, Callable[[Value], Value]] = {
    sympy.Abs: _elementwise(abs, 1),
    sympy.sign: _elementwise(REALS.sign, 1),
    sympy.exp: _elementwise(exponential, 1),
    sympy.log: _elementwise(logarithm, 1),
    sympy.tanh: _elementwise(REALS.tanh, 1),
    sympy.Not: _elementwise(lambda a: not a, 1),
    Square: _elementwise(lambda a: a * a, 1),
    Expm1: _elementwise(expm1, 1),
    Group: lambda a: a,
}
_root_of = _elementwise(root, 1)


def total(array: Value, axis: int | None = None) -> Value:
    """The sum over everything, or along one axis, which stays with length 1."""
    if axis is None:
        return reduce(lambda a, b: a + b, np.ravel(array), ZERO)
    return np.apply_along_axis(lambda line: np.array([total(line)]), axis, array)


def mean(array: Value, axis: int | None = None) -> Value:
    """The mean over everything, or along one axis."""
    return divide(
        total(array, axis), _number(np.size(array) if axis is None else array.shape[axis])
    )


def norm(array: Value) -> Value:
    """The Euclidean norm."""
    return root(total(multiply(array, array)))


_REDUCTIONS: dict[type, Callable[[Value], Value]] = {
    Norm: norm,
    Mean: mean,
    Total: total,
    RowMean: lambda a: mean(a, -1),
    ColumnMean: lambda a: mean(a, -2),
}


def evaluate(expr: sympy.Basic, leaf: Callable[[sympy.Symbol], Value]) -> Value:
    """The value of an expression; `leaf` gives that of a symbol when it is needed.

    A `when` on a scalar condition evaluates only the branch that it takes.

    >>> from lucidgen.spec import hyper, sqrt, when
    >>> x = hyper("x", 1.0)
    >>> print(evaluate(when(x > 5, 1 / (x - 5), 1 / sqrt(x)), lambda _: real(4.0)))
    0.5
    """
    if isinstance(expr, sympy.Symbol):
        return leaf(expr)
    if isinstance(expr, sympy.Number):
        return rational(expr)
    if expr in (sympy.true, sympy.false):
        return bool(expr)
    if expr is sympy.E or expr is sympy.pi:
        return REALS.e if expr is sympy.E else REALS.pi
    if isinstance(expr, When):
        test = evaluate(expr.args[0], leaf)
        if not isinstance(test, np.ndarray):
            return evaluate(expr.args[1 if test else 2], leaf)
        return choose(test, *(evaluate(arg, leaf) for arg in expr.args[1:]))
    args = [evaluate(arg, leaf) for arg in expr.args]
    if isinstance(expr, sympy.Pow):
        return _root_of(args[0]) if expr.exp == sympy.S.Half else _power(*args)
    for table in (_UNARY, _REDUCTIONS):
        if type(expr) in table:
            return table[type(expr)](args[0])
    return reduce(_BINARY[type(expr)], args)
