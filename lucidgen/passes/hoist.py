"""Hoist what does not vary over the elements, to the host or to a let of its own domain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import sympy

from ..ir.guard import Guard
from ..ir.program import Let, Names, Program, rebuilt, series_of
from ..operations import Group
from ..spec.domains import Domain, domain_of, join
from ..spec.expressions import symbols_in


def hoist(program: Program) -> Program:
    """The program in which every let computes in its own domain only.

    Host scalars go to the host, where they are computed once per step and in double; what is per
    tensor, row or column gets a let of its own. A hoisted scalar keeps the host conditions of its
    reader, so that a branch that is not taken is not evaluated; flags are not asked for it where it
    can be had without. Signs stay where they are and become subtractions.

    >>> from lucidgen.passes.examples import beta, grad, lr, program, show, t, w, w_before
    >>> from lucidgen.spec import norm
    >>> show(hoist(program((w, w_before - lr / (1 - beta**t) * grad / norm(grad)))))
    _1 = lr/(1 - beta**t)
    _2 = 1/norm(grad)
    _3 = _1*_2
    w = -_3*grad + w[t - 1]
    """
    hoister = _Hoister(program, Names(program))
    body: list[Let] = []
    for let in program.body:
        value = hoister.visit(let.value, let)
        body += [*hoister.before, let.with_value(value)]
        hoister.before.clear()
    final = {let.target: let for let in hoister.made.values()}
    made = [final.get(let.target, let) for let in body]
    return program.with_lets([*program.host, *hoister.host(), *made])


@dataclass
class _Hoister:
    program: Program
    names: Names
    made: dict[sympy.Expr, Let] = field(default_factory=dict)
    before: list[Let] = field(default_factory=list)
    known: dict[sympy.Symbol, Domain] = field(init=False)

    def __post_init__(self) -> None:
        self.known = dict(self.program.domains)

    @property
    def overwritten(self) -> set[sympy.Symbol]:
        """The last values of scalar states, which the body can read under names of their own only:
        when it runs, the host has the new ones already."""
        return {i.symbol for i in self.program.input("state") if i.domain is Domain.HOST}

    def host(self) -> list[Let]:
        """The hoisted host scalars."""
        return [let for let in self.made.values() if let.domain is Domain.HOST]

    def domain(self, expr: sympy.Basic) -> Domain:
        return domain_of(expr, self.known)

    def visit(self, expr: sympy.Basic, reader: Let) -> sympy.Basic:
        """The expression with names for its parts of lower domains."""
        if expr.is_Atom and expr not in self.overwritten:
            return expr
        if self.domain(expr).rank < reader.domain.rank:
            return self.hoisted(expr, reader)
        if isinstance(expr, Group):
            return expr.func(self.visit_arguments(expr.args[0], reader))
        if isinstance(expr, sympy.Mul | sympy.Add):
            return self.visit_parts(expr, reader)
        return self.visit_arguments(expr, reader)

    def visit_arguments(self, expr: sympy.Basic, reader: Let) -> sympy.Basic:
        """The expression with its arguments visited, its own shape untouched."""
        if expr.is_Atom:
            return self.visit(expr, reader)
        return rebuilt(expr, (self.visit(arg, reader) for arg in expr.args))

    def visit_parts(self, expr: sympy.Add | sympy.Mul, reader: Let) -> sympy.Basic:
        """A sum or product: what is of a lower domain is put together first, lowest first."""
        lower = [arg for arg in expr.args if self.domain(arg).rank < reader.domain.rank]
        rest = [self.visit(arg, reader) for arg in expr.args if arg not in lower]
        host = [arg for arg in lower if self.domain(arg) is Domain.HOST]
        parts = [self.hoisted(expr.func(*host), reader)] if host else []
        parts += [self.hoisted(arg, reader) for arg in lower if arg not in host]
        together = join(self.domain(part) for part in parts)
        if len(parts) > 1 and together.rank < reader.domain.rank:
            return expr.func(self.hoisted(expr.func(*parts), reader), *rest)
        return expr.func(*self.nested(expr.func, parts, reader), *rest)

    def nested(
        self, of: type[sympy.Expr], parts: list[sympy.Expr], reader: Let
    ) -> list[sympy.Expr]:
        """What is per matrix put together with what is per row or per column, if there is one."""
        inner = [part for part in parts if self.domain(part) is Domain.MATRIX]
        outer = [part for part in parts if self.domain(part) in (Domain.ROW, Domain.COLUMN)]
        if not (inner and outer):
            return parts
        rest = [part for part in parts if part not in (*inner, outer[0])]
        return [*rest, self.hoisted(of(*inner, outer[0]), reader)]

    def hoisted(self, expr: sympy.Expr, reader: Let) -> sympy.Expr:
        """The name of a part of a lower domain; bare symbols and numbers are names enough."""
        if expr.is_Mul and expr.could_extract_minus_sign():
            return -self.hoisted(-expr, reader)
        if expr.is_Atom and expr not in self.overwritten:
            return expr
        known = self.made.get(expr)
        domain = self.domain(expr)
        # A further reader visits it again, so that its own parts are there too where it is read.
        own = replace(reader, domain=domain)
        value = expr if domain is Domain.HOST else self.visit(expr, own)
        if known is None:
            stem = series_of(expr) if expr.is_Symbol else ""
            target = self.names.free(f"{stem}_before") if stem else self.names.fresh()
            known = Let(target, value, domain, reader.guard, reader.note)
            if domain is not Domain.HOST:
                self.before.append(known)
        # A scalar is cheap; an array is computed only where somebody reads it.
        needed = (
            reader.guard if domain is not Domain.HOST else self.conditions_only(reader.guard, expr)
        )
        guard = known.guard | needed
        note = tuple(sorted({*known.note, *reader.note}))
        self.made[expr] = replace(known, guard=guard, note=note)
        self.known[known.target] = domain
        return known.target

    def conditions_only(self, guard: Guard, expr: sympy.Expr) -> Guard:
        """The guard without flags, if everything that the scalar reads is there without them."""
        wider = guard
        for name in guard.support:
            if name not in self.program.conditions:
                wider = wider.given(name, True) | wider.given(name, False)
        lets = [*self.program.lets, *self.made.values()]
        for symbol in symbols_in(expr):
            cases = [let.guard for let in lets if let.target == symbol]
            defined = ~self.program.always
            for case in cases:
                defined |= case
            if cases and not wider.implies(defined):
                return guard
        state = {i.symbol for i in self.program.input("state")}
        return guard if symbols_in(expr) & state else wider
