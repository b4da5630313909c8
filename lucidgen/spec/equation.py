"""The equation: what a left side is defined as, at every step or at a beginning.

Owns `Eq` and how its times are read. It knows nothing of the optimizer that it stands in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import sympy

from .errors import Problem, caller
from .extent import refuse_large
from .quantities import At, Series, t

Moment = Literal["t", "start", "first"]

#: Python prints no number much larger, and so no message can show an equation that has one.
PRINTABLE_BITS = 10_000


class Eq:
    """An equation: `Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t])`.

    Unlike SymPy's, it is never evaluated. `Eq(x[0], ...)` is the start of a state (else 0) and
    `Eq(x[1], ...)` its first update, in which index 1 means t and index 0 means t - 1: that of the
    state, whenever it is created; for w, and for what is no state, the parameter's first step.

    Parameters
    ----------
    left : series at t, 0 or 1
        What the equation defines.
    right : expression
        Its value, of series at t and t - 1, hyperparameters, t, and rational numbers.

    Raises
    ------
    TypeError
        If the right side is no expression.
    ValueError
        If it is larger than an equation may be, or has numbers that cannot be printed.
    """

    __slots__ = ("_symbols", "left", "location", "moment", "right")

    def __init__(self, left: Any, right: Any) -> None:
        self.left: sympy.Expr = sympy.sympify(left)
        self.right: sympy.Expr = sympy.sympify(right)
        if not isinstance(self.right, sympy.Basic) or getattr(self.right, "is_Matrix", False):
            raise TypeError(
                f"the right side of Eq({left}, ...) is {right!r}, which is no expression"
            )
        refuse_large(self.right, f"the right side of Eq({left}, ...)")
        for number in self.right.atoms(sympy.Rational):
            if max(abs(number.p), number.q).bit_length() > PRINTABLE_BITS:
                raise ValueError(
                    f"the right side of Eq({left}, ...) has a number of thousands of digits; keep "
                    "constants, and the two parts of fractions, below 10**300"
                )
        self.location = caller()
        #: Whether it holds at every step ("t"), at the start (x[0]) or at the first update.
        self.moment: Moment = _moment(self.left)
        self._symbols: frozenset[sympy.Symbol] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Eq) and (self.left, self.right) == (other.left, other.right)

    def __hash__(self) -> int:
        return hash((self.left, self.right))

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"

    __repr__ = __str__

    @property
    def series(self) -> Series | None:
        """The series that it defines, if the left side is a series at all."""
        return self.left.series if isinstance(self.left, At) else None

    @property
    def key(self) -> tuple[str, Moment]:
        """What tells it from the other equations of a spec: its left side."""
        return (self.series.name if self.series else str(self.left)), self.moment

    @property
    def symbols(self) -> frozenset[sympy.Symbol]:
        """What the right side reads; to find it takes a walk through the expression, once."""
        if self._symbols is None:
            self._symbols = frozenset(self.right.free_symbols)
        return self._symbols

    def renamed(self, others: Mapping[Series, Series]) -> Eq:
        """The same equation, written in the same place, of other series."""
        atoms = self.left.atoms(At) | self.right.atoms(At)
        moved = {at: others[at.series][at.index] for at in atoms if at.series in others}
        if not moved:
            return self
        return self.rewritten(self.left.xreplace(moved), self.right.xreplace(moved))

    def rewritten(self, left: Any, right: Any) -> Eq:
        """Another equation, written in the same place."""
        equation = Eq(left, right)
        equation.location = self.location
        return equation

    def normalised(self) -> sympy.Expr:
        """The right side with times relative to t: t and t - 1 only, in a legal equation.

        >>> from lucidgen.spec import series, t, w
        >>> Eq(w[t + 1], w[t] / t).normalised()
        w[t - 1]/(t - 1)
        >>> m = series("m")
        >>> Eq(m[1], m[0] + 1).normalised()
        m[t - 1] + 1
        """
        if self.moment == "start":
            return self.right
        if self.moment == "first":
            return self.right.xreplace(
                {
                    at: at.series[t - 1 + at.index]
                    for at in self.right.atoms(At)
                    if at.index in (0, 1)
                }
            )
        shift = self.left.shift if isinstance(self.left, At) else None
        return _shifted(self.right, -shift) if shift else self.right


def _moment(left: sympy.Expr) -> Moment:
    if isinstance(left, At) and left.index in (0, 1):
        return "start" if left.index == 0 else "first"
    return "t"


def _shifted(expr: sympy.Expr, by: int) -> sympy.Expr:
    """expr with every t replaced by t + by, in indices too."""
    moved = {at: at.series[at.index + by] for at in expr.atoms(At) if at.index.has(t)}
    return expr.xreplace({**moved, t: t + by})


def refuse_other(equation: Any) -> None:
    """Refuse what is no equation of ours."""
    if not isinstance(equation, Eq):
        raise TypeError(
            f"{equation!r} is no equation; write Eq(left, right) with Eq from lucidgen.spec, since "
            "SymPy's own evaluates"
        )


def wrong(equation: Eq, what: str, remedy: str) -> Problem:
    """A problem of an equation."""
    return Problem(equation.location, what, remedy, str(equation))
