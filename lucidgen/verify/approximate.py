"""Numbers that know how far floating-point arithmetic may have taken them from the truth.

Owns running error analysis, operation by operation. An `Approximation` is an exact value x and a
bound e: a machine that carries the operations out has some number within e of x.

The derivation. Let u be the unit roundoff of a format and eta its smallest denormal number. With
round to nearest, fl(r) = r (1 + d) + h with |d| <= u and |h| <= eta, where h = 0 for sums, which
cannot underflow. A machine applies an operation f to x' and y' with |x' - x| <= ex and
|y' - y| <= ey, so that its result differs from f(x, y) by at most

    p + u (|f(x, y)| + p) + eta,  where p >= |f(x', y') - f(x, y)|

is what the errors of the operands grow to:

    x + y, x - y    p = ex + ey
    x * y           p = |x| ey + |y| ex + ex ey
    x / y           p = (ex + |x / y| ey) / (|y| - ey), unbounded if |y| <= ey
    monotone f(x)   p = max(f(x + ex) - f(x), f(x) - f(x - ex)), within the domain of f
    x^y             p over the corners of the box, for it is monotone in each
    max, min        p = max(ex, ey), and they do not round; nor do |x| and -x
    x1 + ... + xn   p = sum of ei + (n - 1) u / (1 - (n - 1) u) * sum of |xi| + ei, in any order
    where           the bound of the branch, if the operands' errors cannot change the comparison;
                    else the distance to the other branch as well

Library functions (exp, log, pow, tanh, expm1) are taken to be off by at most LIBRARY_ULPS units in
the last place, which is 2 u LIBRARY_ULPS of the result. An exact zero stays one: 0 * x and 0 + 0 do
not round.

Overflow: where |x| + e reaches the format's largest number the machine may have an infinity, and e
becomes infinite. Such a result says nothing, and neither does what is computed from it, except
that a comparison or a maximum may not need it. The yardstick there is torch's behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from . import exact
from .exact import INFINITY, REALS, ZERO

#: glibc, NumPy and MLX stay below this for exp, log, pow, tanh and expm1 in their own type.
LIBRARY_ULPS = 4

#: mpmath's own rounding in a difference of two values, absolute and relative.
_NOISE = REALS.mpf(10) ** (5 - exact.DIGITS)


class Approximation:
    """A real number and a bound on the distance at which a machine has it.

    An infinity without error is one that a machine was given; one that it computed says nothing.
    """

    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: Any = ZERO) -> None:
        self.value = value
        known = REALS.isfinite(value) or (REALS.isinf(value) and error == 0)
        self.error = error if known and error == error else INFINITY

    def __repr__(self) -> str:
        return f"{REALS.nstr(self.value, 6)} +- {REALS.nstr(self.error, 2)}"

    @property
    def low(self) -> Any:
        """The least value that a machine may have."""
        return self.value - self.error

    @property
    def high(self) -> Any:
        """The greatest value that a machine may have."""
        return self.value + self.error


@dataclass(frozen=True)
class Truth:
    """A comparison: its exact answer, and whether a machine is sure to give the same."""

    answer: bool
    sure: bool


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: its unit roundoff, smallest and largest positive numbers."""

    dtype: Any
    u: Any
    eta: Any
    largest: Any

    @classmethod
    def of(cls, dtype: Any) -> Format:
        """The format of a NumPy type."""
        info = np.finfo(dtype)
        half_ulp = REALS.mpf(float(info.eps)) / 2
        eta = REALS.mpf(float(info.smallest_subnormal))
        return cls(dtype, half_ulp, eta, REALS.mpf(float(info.max)))

    def rounded(self, value: Any, spread: Any, roundings: Any = 1, eta: bool = True) -> Any:
        """The result of an operation whose operands' errors have grown to `spread`."""
        if value == 0 and spread == 0:
            return Approximation(value)
        size = abs(value) + spread
        if not size < self.largest:
            return Approximation(value, INFINITY)
        return Approximation(
            value, spread + roundings * self.u * size + (self.eta if eta else ZERO)
        )

    def constant(self, number: sympy.Number) -> Approximation:
        """A literal in the code: a double, which arrays of this type round to their own."""
        value = exact.rational(number)
        stored = REALS.mpf(float(self.dtype(float(number))))
        return Approximation(value, abs(stored - value) if REALS.isfinite(stored) else INFINITY)

    def stored(self, number: Approximation) -> Approximation:
        """A number of a wider type, converted to this one."""
        if number.error == 0 and self._holds(number.value):
            return number
        converted: Approximation = self.rounded(number.value, number.error)
        return converted

    def _holds(self, value: Any) -> bool:
        with np.errstate(over="ignore"):
            return bool(REALS.mpf(float(self.dtype(float(value)))) == value)


FLOAT32, FLOAT64 = Format.of(np.float32), Format.of(np.float64)

# Operations: functions of a format and the operands.


def _add(f: Format, a: Approximation, b: Approximation) -> Any:
    return f.rounded(a.value + b.value, a.error + b.error, eta=False)


def _sub(f: Format, a: Approximation, b: Approximation) -> Any:
    return f.rounded(a.value - b.value, a.error + b.error, eta=False)


def _mul(f: Format, a: Approximation, b: Approximation) -> Any:
    if (a.value == 0 == a.error and b.error < INFINITY) or (
        b.value == 0 == b.error and a.error < INFINITY
    ):
        return Approximation(ZERO)
    spread = abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error
    return f.rounded(a.value * b.value, spread)


def _div(f: Format, a: Approximation, b: Approximation) -> Any:
    value = exact.divide(a.value, b.value)
    room = abs(b.value) - b.error
    if not room > 0:
        return Approximation(value, INFINITY)
    return f.rounded(value, (a.error + abs(value) * b.error) / room)


def _neg(f: Format, a: Approximation) -> Any:
    return Approximation(-a.value, a.error)


def _abs(f: Format, a: Approximation) -> Any:
    return Approximation(abs(a.value), a.error)


def _square(f: Format, a: Approximation) -> Any:
    return _mul(f, a, a)


def _sign(f: Format, a: Approximation) -> Any:
    sure = abs(a.value) > a.error or a.error == 0
    return Approximation(REALS.sign(a.value), ZERO if sure else REALS.mpf(2))


def _extreme(choose: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def operation(f: Format, a: Approximation, b: Approximation) -> Any:
        low, high = choose(a.low, b.low), choose(a.high, b.high)
        if REALS.isnan(a.value) or REALS.isnan(b.value):
            return Approximation(exact.NAN)
        value = choose(a.value, b.value)
        return Approximation(value, max(value - low, high - value))

    return operation


def _monotone(
    function: Callable[[Any], Any], *, least: Any = -INFINITY, ulps: int = LIBRARY_ULPS
) -> Callable[..., Any]:
    """A growing function. A machine's nan below its domain is not foreseen, but would be seen."""

    def operation(f: Format, a: Approximation) -> Any:
        value = function(a.value)
        if not REALS.isfinite(value) or not a.error < INFINITY:
            return Approximation(value, INFINITY)
        if a.error == 0:
            return f.rounded(value, ZERO, 2 * ulps or 1)
        low, high = function(max(a.low, least)), function(a.high)
        spread = max(value - low, high - value) + _NOISE * abs(value)
        return f.rounded(value, spread, 2 * ulps or 1)

    return operation


def _pow(f: Format, a: Approximation, b: Approximation) -> Any:
    value = exact.power(a.value, b.value)
    if b.error == 0 and REALS.isint(b.value):
        size, n = abs(a.value), b.value
        far = size + a.error if n >= 0 else size - a.error
        if a.error and not far > 0:
            return Approximation(value, INFINITY)
        spread = abs(exact.power(far, n) - abs(value)) if a.error else ZERO
    elif a.value < 0 or not (a.error < INFINITY and b.error < INFINITY):
        return Approximation(value, INFINITY)
    else:
        corners = [exact.power(max(x, ZERO), y) for x in (a.low, a.high) for y in (b.low, b.high)]
        spread = max(abs(corner - value) for corner in corners) if a.error or b.error else ZERO
    return f.rounded(value, spread, 2 * LIBRARY_ULPS)


def _cbrt(f: Format, a: Approximation) -> Any:
    """A cube root; where a machine has none, the power of a rounded third."""
    return _pow(f, a, f.constant(sympy.Rational(1, 3)))


def _compare(holds: Callable[[Any, Any], bool]) -> Callable[..., Truth]:
    def operation(f: Format, a: Approximation, b: Approximation) -> Truth:
        apart = abs(a.value - b.value) > a.error + b.error
        same = a.error == 0 == b.error
        return Truth(bool(holds(a.value, b.value)), bool(apart or same))

    return operation


def _and(f: Format, a: Truth, b: Truth) -> Truth:
    no = any(x.sure and not x.answer for x in (a, b))
    return Truth(a.answer and b.answer, no or (a.sure and b.sure))


def _or(f: Format, a: Truth, b: Truth) -> Truth:
    yes = any(x.sure and x.answer for x in (a, b))
    return Truth(a.answer or b.answer, yes or (a.sure and b.sure))


def _not(f: Format, a: Truth) -> Truth:
    return Truth(not a.answer, a.sure)


def _where(f: Format, test: Truth, a: Approximation, b: Approximation) -> Any:
    chosen, other = (a, b) if test.answer else (b, a)
    if test.sure:
        return chosen
    return Approximation(
        chosen.value, max(chosen.error, abs(other.value - chosen.value) + other.error)
    )


def _total(f: Format, terms: Any) -> Any:
    terms = np.ravel(terms)
    value = sum((x.value for x in terms), ZERO)
    error = sum((x.error for x in terms), ZERO)
    size = sum((abs(x.value) + x.error for x in terms), ZERO)
    count = max(len(terms) - 1, 0)
    if not size < f.largest:
        return Approximation(value, INFINITY)
    return Approximation(value, error + count * f.u / (1 - count * f.u) * size)


def _mean(f: Format, terms: Any) -> Any:
    """The sum, divided by the count or multiplied by its rounded reciprocal: 3 roundings."""
    whole, count = _total(f, terms), REALS.mpf(np.size(terms))
    return f.rounded(whole.value / count, whole.error / count, 3)


def _norm(f: Format, terms: Any) -> Any:
    return OPERATIONS["sqrt"](f, _total(f, np.frompyfunc(lambda x: _mul(f, x, x), 1, 1)(terms)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "abs": _abs,
    "sign": _sign,
    "square": _square,
    "pow": _pow,
    "cbrt": _cbrt,
    "sqrt": _monotone(exact.root, least=ZERO, ulps=0),
    "exp": _monotone(exact.exponential),
    "expm1": _monotone(exact.expm1),
    "tanh": _monotone(REALS.tanh),
    "log": _monotone(exact.logarithm, least=ZERO),
    "maximum": _extreme(max),
    "minimum": _extreme(min),
    "gt": _compare(lambda a, b: a > b),
    "ge": _compare(lambda a, b: a >= b),
    "lt": _compare(lambda a, b: a < b),
    "le": _compare(lambda a, b: a <= b),
    "eq": _compare(lambda a, b: a == b),
    "ne": _compare(lambda a, b: a != b),
    "and": _and,
    "or": _or,
    "not": _not,
    "where": _where,
}


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    def operation(f: Format, *operands: Any) -> Any:
        if not any(isinstance(x, np.ndarray) for x in operands):
            return function(f, *operands)
        return np.frompyfunc(lambda *args: function(f, *args), len(operands), 1)(*operands)

    return operation


#: Every operation of the trees that the targets print: a format and the operands give the result.
OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: _elementwise(function) for name, function in _FUNCTIONS.items()},
    "total": _total,
    "mean": _mean,
    "norm": _norm,
}
