"""Hoist maximal scalar subexpressions to the host: computed once per step, in double."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import sympy

from ..ir import Guard, Let, Names, Program
from ..spec.domains import Domain, domain_of
from ..spec.functions import Group, When


def hoist(program: Program) -> Program:
    """The program with no scalar arithmetic left in its body.

    A hoisted scalar keeps the host conditions of its reader, so that a branch that is not taken is
    not evaluated; flags are not asked for it where it can be had without. Signs stay in the body,
    where they become subtractions.

    >>> from lucidgen.passes.examples import beta, grad, lr, program, show, t, w, w_before
    >>> show(hoist(program((w, w_before - lr / (1 - beta**t) * grad))))
    _1 = lr/(1 - beta**t)
    w = -_1*grad + w[t - 1]
    """
    hoister = _Hoister(program, Names(program))
    body = [replace(let, value=hoister.visit(let.value, let)) for let in program.body]
    return program.with_lets([*program.host, *hoister.made.values(), *body])


@dataclass
class _Hoister:
    program: Program
    names: Names
    made: dict[sympy.Expr, Let] = field(default_factory=dict)

    def visit(self, expr: sympy.Basic, reader: Let) -> sympy.Basic:
        if expr.is_Atom or isinstance(expr, sympy.logic.boolalg.BooleanAtom):
            return expr
        if domain_of(expr, self.program.domains) is Domain.HOST:
            return self.scalar(expr, reader)
        if isinstance(expr, Group):
            return expr.func(self.visit_inside_group(expr.args[0], reader))
        if isinstance(expr, sympy.Mul | sympy.Add):
            host = [a for a in expr.args if domain_of(a, self.program.domains) is Domain.HOST]
            rest = [self.visit(a, reader) for a in expr.args if a not in host]
            return (
                expr.func(self.scalar(expr.func(*host), reader), *rest)
                if host
                else (expr.func(*rest))
            )
        if isinstance(expr, When):
            condition, *branches = expr.args
            visited = [self.visit(branch, reader) for branch in branches]
            return When(self.visit(condition, reader), *visited)
        return expr.func(*(self.visit(arg, reader) for arg in expr.args))

    def visit_inside_group(self, expr: sympy.Expr, reader: Let) -> sympy.Expr:
        """The inside of a group keeps its shape; only whole scalar arguments leave it."""
        if expr.is_Atom:
            return expr
        if domain_of(expr, self.program.domains) is Domain.HOST:
            return self.scalar(expr, reader)
        return expr.func(*(self.visit_inside_group(arg, reader) for arg in expr.args))

    def scalar(self, expr: sympy.Expr, reader: Let) -> sympy.Expr:
        """The name of a scalar; bare symbols and numbers are names enough."""
        if expr.is_Mul and expr.could_extract_minus_sign():
            return -self.scalar(-expr, reader)
        if expr.is_Atom:
            return expr
        known = self.made.get(expr)
        if known is None:
            known = Let(self.names.fresh(), expr, Domain.HOST, reader.guard, reader.note)
        guard = known.guard | self.conditions_only(reader.guard, expr)
        note = tuple(sorted({*known.note, *reader.note}))
        self.made[expr] = replace(known, guard=guard, note=note)
        return known.target

    def conditions_only(self, guard: Guard, expr: sympy.Expr) -> Guard:
        """The guard without flags, if everything that the scalar reads is there without them."""
        wider = guard
        for name in guard.support:
            if name not in self.program.conditions:
                wider = wider.given(name, True) | wider.given(name, False)
        for let in self.program.host:
            if expr.has(let.target):
                cases = [other.guard for other in self.program.host if other.target == let.target]
                defined = cases[0]
                for case in cases[1:]:
                    defined |= case
                if not wider.implies(defined):
                    return guard
        state = {i.symbol for i in self.program.input("state")}
        return guard if expr.free_symbols & state else wider
