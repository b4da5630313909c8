"""Numbers that know how far floating-point arithmetic may have taken them from the truth.

Owns running error analysis: the bounds that the table of operations names. An `Approximation` is
an exact value x and a bound e: a machine that carries the operations out has some number within e
of x.

The derivation. Let u be the unit roundoff of a format and eta its smallest denormal number. With
round to nearest, fl(r) = r (1 + d) + h with |d| <= u and |h| <= eta, where h = 0 for sums, which
cannot underflow. A machine applies an operation f to x' and y' with |x' - x| <= ex and
|y' - y| <= ey, so that its result differs from f(x, y) by at most

    p + u (|f(x, y)| + p) + eta,  where p >= |f(x', y') - f(x, y)|

is what the errors of the operands grow to:

    x + y, x - y    p = ex + ey
    x * y           p = |x| ey + |y| ex + ex ey
    x / y           p = (ex + |x / y| ey) / (|y| - ey), unbounded if |y| <= ey
    exp x           as below, with ex + 2 u |x| for ex: x log2(e) may be rounded, and log2(e)
    growing f(x)    p = max(f(x + ex) - f(x), f(x) - f(x - ex)), within the domain of f
    cos x           p = min(ex, 2), for its slope is at most 1
    floor x         p = max(f(x + ex) - f(x), f(x) - f(x - ex)), and it does not round
    x^y             p over the corners of the box, for it is monotone in each
    max, min        p = max(ex, ey) of any number of operands, and they do not round; nor do |x|, -x
    x1 + ... + xn   p = sum of ei + d u / (1 - d u) * sum of |xi| + ei, where no xi is in more than
                    d additions that round, in whatever order they are
    where           the bound of the branch, if the operands' errors cannot change the comparison;
                    else the distance to the other branch as well

Library functions (exp, log, pow, tanh ...) are taken to be off by at most LIBRARY_ULPS units in the
last place, which is 2 u LIBRARY_ULPS of the result. An exact zero stays one: 0 * x and 0 + 0 do
not round.

Overflow: where |x| + e reaches the format's largest number the machine may have an infinity, and e
becomes infinite. Such a result says nothing, and neither does what is computed from it, except
that a comparison or a maximum may not need it. The yardstick there is torch's behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import sympy

from . import reals
from .reals import INFINITY, NAN, REALS, ZERO

#: glibc, NumPy and MLX stay below this for the functions of the table in their own type.
LIBRARY_ULPS = 4

#: mpmath's own rounding in a difference of two values, absolute and relative.
_NOISE = REALS.mpf(10) ** (5 - reals.DIGITS)


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
        value = reals.rational(number)
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

# The bounds: functions of a format and the operands.


def added(f: Format, a: Approximation, b: Approximation) -> Any:
    """a + b, which cannot underflow."""
    return f.rounded(a.value + b.value, a.error + b.error, eta=False)


def subtracted(f: Format, a: Approximation, b: Approximation) -> Any:
    """a - b, which cannot underflow."""
    return f.rounded(a.value - b.value, a.error + b.error, eta=False)


def multiplied(f: Format, a: Approximation, b: Approximation) -> Any:
    """a * b."""
    if (a.value == 0 == a.error and b.error < INFINITY) or (
        b.value == 0 == b.error and a.error < INFINITY
    ):
        return Approximation(ZERO)
    spread = abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error
    return f.rounded(a.value * b.value, spread)


def divided(f: Format, a: Approximation, b: Approximation) -> Any:
    """a / b; without bound where the divisor may vanish."""
    value = reals.divided(a.value, b.value)
    room = abs(b.value) - b.error
    if not room > 0:
        return Approximation(value, INFINITY)
    return f.rounded(value, (a.error + abs(value) * b.error) / room)


def negated(f: Format, a: Approximation) -> Any:
    """-a, which does not round."""
    return Approximation(-a.value, a.error)


def magnitude(f: Format, a: Approximation) -> Any:
    """|a|, which does not round."""
    return Approximation(abs(a.value), a.error)


def squared(f: Format, a: Approximation) -> Any:
    """a * a."""
    return multiplied(f, a, a)


def sign(f: Format, a: Approximation) -> Any:
    """1, 0 or -1."""
    sure = abs(a.value) > a.error or a.error == 0
    return Approximation(REALS.sign(a.value), ZERO if sure else REALS.mpf(2))


def extreme(choose: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The larger or the smaller of two numbers."""

    def operation(f: Format, a: Approximation, b: Approximation) -> Any:
        low, high = choose(a.low, b.low), choose(a.high, b.high)
        if REALS.isnan(a.value) or REALS.isnan(b.value):
            return Approximation(NAN)
        value = choose(a.value, b.value)
        return Approximation(value, max(value - low, high - value))

    return operation


def growing(
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


#: The square root, which IEEE 754 rounds correctly.
root = growing(reals.root, least=ZERO, ulps=0)


def exponential(f: Format, a: Approximation) -> Any:
    """e to the power a; MLX reduces the argument in its own type, as if the operand were off."""
    off = a.error + 2 * f.u * abs(a.value) if REALS.isfinite(a.value) else a.error
    return _exponential(f, Approximation(a.value, off))


_exponential = growing(reals.exponential)


def cosine(f: Format, a: Approximation) -> Any:
    """The cosine, whose slope is at most 1."""
    if not a.error < INFINITY:
        return Approximation(REALS.cos(a.value), INFINITY)
    return f.rounded(REALS.cos(a.value), min(a.error, REALS.mpf(2)), 2 * LIBRARY_ULPS)


def floor(f: Format, a: Approximation) -> Any:
    """The largest whole number below, which does not round."""
    value = REALS.floor(a.value)
    if not a.error < INFINITY:
        return Approximation(value, INFINITY)
    return Approximation(value, max(value - REALS.floor(a.low), REALS.floor(a.high) - value))


def remainder(f: Format, a: Approximation, b: Approximation) -> Any:
    """a modulo b; anything up to b where errors may take a / b past a whole number."""
    value = reals.remainder(a.value, b.value)
    if a.error == 0 == b.error:  # of equal signs that of a division, which is exact
        return Approximation(value) if a.value * b.value >= 0 else f.rounded(value, ZERO)
    corners = [reals.remainder(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    wholes = {REALS.floor(reals.divided(x, y)) for x in (a.low, a.high) for y in (b.low, b.high)}
    spread = (
        max(abs(corner - value) for corner in corners)
        if len(wholes) == 1
        else abs(b.value) + b.error
    )
    return f.rounded(value, spread)


def power(f: Format, a: Approximation, b: Approximation) -> Any:
    """a to the power b."""
    value = reals.power(a.value, b.value)
    if b.value == 0 == b.error:  # exactly 1, whatever a is
        return Approximation(value)
    if b.error == 0 and REALS.isint(b.value):
        size, n = abs(a.value), b.value
        far = size + a.error if n >= 0 else size - a.error
        if a.error and not far > 0:
            return Approximation(value, INFINITY)
        spread = abs(reals.power(far, n) - abs(value)) if a.error else ZERO
    elif a.value < 0 or not (a.error < INFINITY and b.error < INFINITY):
        return Approximation(value, INFINITY)
    else:
        corners = [reals.power(max(x, ZERO), y) for x in (a.low, a.high) for y in (b.low, b.high)]
        spread = max(abs(corner - value) for corner in corners) if a.error or b.error else ZERO
    return f.rounded(value, spread, 2 * LIBRARY_ULPS)


def cube_root(f: Format, a: Approximation) -> Any:
    """A cube root; where a machine has none, the power of a rounded third."""
    third = f.constant(sympy.Rational(1, 3))
    if abs(a.value) < a.error:  # of either sign
        most = power(f, Approximation(abs(a.value) + a.error), third)
        value = reals.cube_root(a.value)
        return Approximation(value, most.value + most.error + abs(value))
    root = power(f, Approximation(abs(a.value), a.error), third)
    return Approximation(-root.value, root.error) if a.value < 0 else root


def compared(holds: Callable[[Any, Any], bool]) -> Callable[..., Truth]:
    """A comparison; sure if the operands are further apart than their errors, or have none."""

    def operation(f: Format, a: Approximation, b: Approximation) -> Truth:
        apart = abs(a.value - b.value) > a.error + b.error
        same = a.error == 0 == b.error
        return Truth(bool(holds(a.value, b.value)), bool(apart or same))

    return operation


def both(f: Format, a: Truth, b: Truth) -> Truth:
    """a and b."""
    no = any(x.sure and not x.answer for x in (a, b))
    return Truth(a.answer and b.answer, no or (a.sure and b.sure))


def either(f: Format, a: Truth, b: Truth) -> Truth:
    """a or b."""
    yes = any(x.sure and x.answer for x in (a, b))
    return Truth(a.answer or b.answer, yes or (a.sure and b.sure))


def opposite(f: Format, a: Truth) -> Truth:
    """not a."""
    return Truth(not a.answer, a.sure)


def chosen(f: Format, test: Truth, a: Approximation, b: Approximation) -> Any:
    """a or b, by a condition."""
    taken, other = (a, b) if test.answer else (b, a)
    if test.sure:
        return taken
    apart = abs(other.value - taken.value) + other.error
    # What is divided by zero is no number, and as far away as can be.
    return Approximation(taken.value, max(taken.error, apart) if apart < INFINITY else INFINITY)


def additions(count: int) -> int:
    """In how many additions a term may be, at most, in a sum of so many.

    The functions of NumPy and of MLX in the runtime's rules add up to 1024 terms in any order. Of
    more they add 16 to 128 at first, and then these sums: m - 1 is below 19 log2(m) there.

    >>> additions(1_000), additions(10_000), additions(10**9)
    (999, 1099, 1403)
    """
    return max(count - 1, 0) if count <= 1024 else 1023 + 19 * (count // 1024).bit_length()


def total(f: Format, terms: Any) -> Any:
    """The sum of all terms, of few at a time and then of their sums."""
    terms = np.ravel(terms)
    value = sum((x.value for x in terms), ZERO)
    error = sum((x.error for x in terms), ZERO)
    size = sum((abs(x.value) + x.error for x in terms), ZERO)
    count = additions(len(terms))
    if not size < f.largest:
        return Approximation(value, INFINITY)
    return Approximation(value, error + count * f.u / (1 - count * f.u) * size)


def mean(f: Format, terms: Any) -> Any:
    """The sum, divided by the count, which may round as well: 3 roundings."""
    whole, count = total(f, terms), REALS.mpf(np.size(terms))
    if count == 0:
        return Approximation(NAN)
    return f.rounded(whole.value / count, whole.error / count, 3)


def along(axis: int, reduced: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction of every line along one axis, which stays with length 1."""

    return lambda f, terms: reals.along(axis, partial(reduced, f), terms)


def norm(f: Format, terms: Any) -> Any:
    """The root of the sum of the squares."""
    return root(f, total(f, np.frompyfunc(lambda x: squared(f, x), 1, 1)(terms)))


def largest(f: Format, terms: Any) -> Any:
    """The largest of all terms, which does not round."""
    return reduce(partial(_larger, f), np.ravel(terms), Approximation(-INFINITY))


_larger = extreme(max)


def same(f: Format, a: Approximation) -> Any:
    """The operand itself."""
    return a


def applied(f: Format, function: Any, a: Approximation) -> Any:
    """The value of a function that the user gives: nothing is known of its errors."""
    return Approximation(function(a.value), INFINITY)


def passed(f: Format, points: Any, a: Approximation) -> Any:
    """How many points are not above a number; the points are exact."""
    count = [sum(point <= x for point in points) for x in (a.low, a.value, a.high)]
    low, value, high = map(REALS.mpf, count)
    return Approximation(value, max(value - low, high - value))
