"""Which quantities of a program are never below 0, whatever the gradients are.

Owns the proof: of a state by induction, from what it begins with and from what each step makes of
it. A sum of squares is one, and so is an average of two, `x + s * (y - x)` with s from 0 to 1. What
is no number of the host is asked here, the rest of `ranges`.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

import sympy

from ..operations import Group, Norm, Reduction, Square, When
from ..operations.heads import ColumnNorm, RowNorm
from ..spec.domains import Domain, domain_of
from ..spec.expressions import symbols_in
from .program import Program
from .ranges import range_of

_SQUARED = (sympy.Abs, Square, Norm, RowNorm, ColumnNorm)


class Signs:
    """What is known of the signs of a program's quantities; each is found once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[sympy.Symbol, bool] = {}
        self._values: dict[sympy.Symbol, list[sympy.Expr]] = defaultdict(list)
        for let in program.lets:
            self._values[let.target].append(let.value)
        self._changing = {*self._values, *(i.symbol for i in program.input("state"))}

    @cached_property
    def states(self) -> frozenset[sympy.Symbol]:
        """The last values of states that no step makes negative, if they begin so.

        All that begin so are taken for such; those that this does not prove are taken out again,
        until it is proved of all that are left.
        """
        begun = {i.symbol for i in self.program.input("state") if i.bounds.at_least == 0}
        news = {o.before: o.after for o in self.program.outputs if o.before in begun}
        while True:
            self._known = dict.fromkeys(begun, True)
            failed = {old for old in begun if old in news and not self.never_negative(news[old])}
            if not failed:
                return frozenset(begun)
            begun -= failed

    def is_nonnegative(self, expr: sympy.Expr) -> bool:
        """Whether no value of an expression is below 0."""
        _ = self.states
        return self.never_negative(expr)

    def never_negative(self, expr: sympy.Expr) -> bool:
        """The same, if it holds of the states that are known to be so."""
        if expr.is_Symbol:
            return self._symbol(expr)
        if self.is_host(expr) and range_of(expr, self.program).is_nonnegative:
            return True
        if isinstance(expr, _SQUARED):
            return True
        if expr.is_Pow:
            even = expr.exp.is_Integer and expr.exp % 2 == 0
            return bool(even) or self.never_negative(expr.base)
        if isinstance(expr, sympy.Max):
            return any(map(self.never_negative, expr.args))
        if isinstance(expr, sympy.Mul | sympy.Min | Reduction | Group):
            return all(map(self.never_negative, expr.args))
        if isinstance(expr, When):
            return all(map(self.never_negative, expr.args[1:]))
        return expr.is_Add and self._sum(expr)

    def is_host(self, expr: sympy.Expr) -> bool:
        """Whether an expression is a number of the host."""
        return domain_of(expr, self.program.domains) is Domain.HOST

    def is_weight(self, factor: sympy.Expr) -> bool:
        """Whether it is a number of the host that no state and no let goes into."""
        return self.is_host(factor) and symbols_in(factor).isdisjoint(self._changing)

    def _symbol(self, symbol: sympy.Symbol) -> bool:
        if symbol not in self._known:
            values = self._values[symbol]
            if values:
                self._known[symbol] = False  # of what asks for itself, nothing is known
                self._known[symbol] = all(map(self.never_negative, values))
            else:
                self._known[symbol] = range_of(symbol, self.program).is_nonnegative
        return self._known[symbol]

    def _sum(self, total: sympy.Add) -> bool:
        """Of a sum, by what each array in it is multiplied with."""
        if all(map(self.never_negative, total.args)):
            return True
        weights: dict[sympy.Expr, sympy.Expr] = defaultdict(lambda: sympy.S.Zero)
        for part in total.args:
            for term in sympy.Add.make_args(sympy.expand_mul(part, deep=False)):
                factors = sympy.Mul.make_args(term)
                host = [f for f in factors if self.is_weight(f)]
                weights[sympy.Mul(*(f for f in factors if f not in host))] += sympy.Mul(*host)
        return all(
            range_of(weight, self.program).is_nonnegative and self.never_negative(of)
            for of, weight in weights.items()
        )
