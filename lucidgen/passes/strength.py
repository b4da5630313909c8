"""Reduce strength: small powers become products."""

from __future__ import annotations

import sympy

from ..ir.program import Let, Names, Program, rebuilt
from ..operations import Group, Square
from ..spec.domains import Domain, domain_of


def reduce_strength(program: Program) -> Program:
    """The program whose body raises arrays to no power that a few products would do.

    >>> from lucidgen.passes.examples import beta, g, grad, program, show, v, w, w_before
    >>> show(reduce_strength(program((v, beta * grad**3), (w, w_before + (v + 1)**2))))
    v = beta*grad*Square(grad)
    _1 = v + 1
    w = w[t - 1] + Square(_1)
    """
    names = Names(program)
    lets: list[Let] = []
    for let in program.lets:
        if let.domain is not Domain.HOST:
            before: list[Let] = []
            value = _visit(let.value, let, before, program, names)
            lets += [*before, let.with_value(value)]
        else:
            lets.append(let)
    return program.with_lets(lets)


def _visit(
    expr: sympy.Basic, let: Let, before: list[Let], program: Program, names: Names
) -> sympy.Basic:
    if expr.is_Atom or isinstance(expr, Group):
        return expr
    expr = rebuilt(expr, (_visit(arg, let, before, program, names) for arg in expr.args))
    if not (expr.is_Pow and expr.exp.is_Rational):
        return expr
    base, exponent = expr.base, expr.exp
    power = abs(exponent)
    whole, half = divmod(power, 1)
    small = 2 <= power <= 4 or power == sympy.Rational(3, 2)
    if not small or half not in (0, sympy.S.Half):
        return expr
    if not base.is_Symbol:
        domains = program.domains | {made.target: made.domain for made in before}
        made = Let(names.fresh(), base, domain_of(base, domains), let.guard, let.note)
        before.append(made)
        base = made.target
    value = {1: base, 2: Square(base), 3: base * Square(base), 4: Square(Square(base))}[int(whole)]
    value = value * sympy.sqrt(base) if half else value
    return 1 / value if exponent < 0 else value
