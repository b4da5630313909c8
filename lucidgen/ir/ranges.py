"""In which range a host expression lies, from the legal ranges of the hyperparameters.

Owns interval arithmetic just strong enough to know signs (`1 - beta2**t > 0`). It is used by passes
that may divide by a scalar or take its root.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from .program import Program

INFINITY = float("inf")


@dataclass(frozen=True)
class Range:
    """An interval; `open_low` and `open_high` say that the end itself is not taken."""

    low: float = -INFINITY
    high: float = INFINITY
    open_low: bool = False
    open_high: bool = False

    @property
    def is_positive(self) -> bool:
        """Whether every value is above 0."""
        return self.low > 0 or (self.low == 0 and self.open_low)

    @property
    def is_nonnegative(self) -> bool:
        """Whether no value is below 0."""
        return self.low >= 0

    def __add__(self, other: Range) -> Range:
        return Range(
            self.low + other.low,
            self.high + other.high,
            self.open_low or other.open_low,
            self.open_high or other.open_high,
        )

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low, self.open_high, self.open_low)

    def __mul__(self, other: Range) -> Range:
        if self.is_nonnegative and other.is_nonnegative:
            high = INFINITY if INFINITY in (self.high, other.high) else self.high * other.high
            positive = self.is_positive and other.is_positive
            low = 0.0 if INFINITY in (self.low, other.low) else self.low * other.low
            return Range(low, high, positive and low == 0, self.open_high or other.open_high)
        if (-self).is_nonnegative or (-other).is_nonnegative:
            flip_self, flip_other = (-self).is_nonnegative, (-other).is_nonnegative
            product = (-self if flip_self else self) * (-other if flip_other else other)
            both_known = product.is_nonnegative
            return (product if flip_self == flip_other else -product) if both_known else Range()
        return Range()


def range_of(expr: sympy.Expr, program: Program) -> Range:
    """A range that holds every value of a host expression.

    >>> from lucidgen.passes.examples import beta, decayed, t
    >>> range_of(1 - beta**t, decayed)
    Range(low=0.0, high=1.0, open_low=True, open_high=False)
    """
    if expr.is_Number:
        return Range(float(expr), float(expr))
    if expr.is_Symbol:
        return _symbol_range(expr, program)
    if expr.is_Add or expr.is_Mul:
        ranges = [range_of(arg, program) for arg in expr.args]
        total = ranges[0]
        for other in ranges[1:]:
            total = total + other if expr.is_Add else total * other
        return total
    if expr.is_Pow:
        return _power_range(range_of(expr.base, program), range_of(expr.exp, program))
    return Range()


def _symbol_range(symbol: sympy.Symbol, program: Program) -> Range:
    for found in program.inputs:
        if found.symbol == symbol:
            if found.kind == "step":
                return Range(1, INFINITY)
            if found.kind == "state":
                return Range()  # its bounds are of what it begins with
            bounds = found.bounds
            low = bounds.above if bounds.above is not None else bounds.at_least
            high = bounds.below if bounds.below is not None else bounds.at_most
            return Range(
                -INFINITY if low is None else low,
                INFINITY if high is None else high,
                bounds.above is not None,
                bounds.below is not None,
            )
    return Range()


def _power_range(base: Range, exponent: Range) -> Range:
    if base.is_nonnegative and base.high <= 1 and exponent.low >= 1:
        return Range(0, base.high, base.is_positive, base.open_high)
    if base.low >= 1 and exponent.high <= 0:
        return Range(0, 1, open_low=True)
    if base.is_positive:
        return Range(0, INFINITY, open_low=True)
    if base.is_nonnegative:
        return Range(0, INFINITY)
    return Range()
