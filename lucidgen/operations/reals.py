"""Arithmetic on real numbers to 50 digits.

Owns what arithmetic means where it leaves the reals: it follows IEEE 754 (1/0 is an infinity, 0/0
and the root of a negative number are nan), so that every expression has a value. No operation hides
a nan, signs and maxima included; only x**0 and 1**x are 1 whatever x. There is one zero: -0 is a
matter of machines, which have it as IEEE 754 says, but for the sign of a maximum or minimum of two
zeros, and on MLX of a cube root of -0 and a remainder of 0. Arrays are NumPy arrays of such
numbers. It knows nothing of expressions or rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import sympy
from mpmath.ctx_mp import MPContext

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


def divided(a: Any, b: Any) -> Any:
    """a / b; an infinity where only b is 0, nan where both are."""
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
    """a to the power b among the reals: nan for a negative a and a fractional b.

    Infinities follow IEEE 754, for which an infinite b is even: pow(-2, inf) is inf, pow(-1, inf)
    is 1, and pow(-inf, 0.5) is inf, or nan where a machine takes the root.
    """
    if b == 0 or a == 1:
        return ONE
    if REALS.isnan(a) or REALS.isnan(b):
        return NAN
    if a == 0:
        return ZERO if b > 0 else INFINITY
    if REALS.isinf(b):
        size = abs(a)
        return ONE if size == 1 else INFINITY if (size > 1) == (b > 0) else ZERO
    if REALS.isinf(a):
        limit = INFINITY if b > 0 else ZERO
        return -limit if a < 0 and REALS.isint(b) and int(b) % 2 else limit
    if REALS.isint(b):
        return a ** int(b)
    return exponential(b * REALS.ln(a)) if a > 0 else NAN


def cube_root(a: Any) -> Any:
    """The cube root, which negative numbers have too, unlike other fractional powers."""
    return -power(-a, ONE / 3) if a < 0 else power(a, ONE / 3)


def remainder(a: Any, b: Any) -> Any:
    """a - b floor(a / b), which has the sign of b; nan where b is 0."""
    if b == 0 or not REALS.isfinite(a) or REALS.isnan(b):
        return NAN
    if REALS.isinf(b):
        return a if a == 0 or (a > 0) == (b > 0) else b
    return a % b


def expm1(a: Any) -> Any:
    """exp(a) - 1 without cancellation."""
    return exponential(a) - 1 if abs(a) > _HUGE else REALS.expm1(a)


def larger(a: Any, b: Any) -> Any:
    """The larger number; nan if one is."""
    return NAN if REALS.isnan(a) or REALS.isnan(b) else max(a, b)


def smaller(a: Any, b: Any) -> Any:
    """The smaller number; nan if one is."""
    return NAN if REALS.isnan(a) or REALS.isnan(b) else min(a, b)


def elementwise(function: Callable[..., Any], operands: int) -> Callable[..., Value]:
    """A function of numbers as one of arrays of them, or of numbers and arrays."""
    made: Callable[..., Value] = np.frompyfunc(function, operands, 1)
    return made


multiply = elementwise(lambda a, b: a * b, 2)
divide = elementwise(divided, 2)
maximum = elementwise(larger, 2)
minimum = elementwise(smaller, 2)


def along(axis: int, reduced: Callable[[Value], Any], array: Value) -> Value:
    """A function of lines, for every line of an array along one axis, which stays of length 1."""
    lines = np.moveaxis(array, axis, -1)
    found = np.empty(lines.shape[:-1], object)
    for place in np.ndindex(found.shape):
        found[place] = reduced(lines[place])
    return np.expand_dims(found, axis)


# Reductions of all that they are given; one value is reduced as well.


def total(array: Value) -> Value:
    """The sum; 0 of nothing."""
    return reduce(lambda a, b: a + b, np.ravel(array), ZERO)


def mean(array: Value) -> Value:
    """The mean; nan of nothing."""
    return divided(total(array), _number(np.size(array)))


def norm(array: Value) -> Value:
    """The Euclidean norm."""
    return root(total(multiply(array, array)))


def largest(array: Value) -> Value:
    """The largest value; -inf of nothing."""
    return reduce(larger, np.ravel(array), -INFINITY)
