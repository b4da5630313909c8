"""The form of a program for a training step that is captured whole, where t is an array.

Owns what changes then: conditions become selects, and bias corrections take a form that single
precision can bear. It is no part of the pipeline; a target asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy

from ..ir.guard import Guard
from ..ir.program import Let, Program, rebuilt, symbol
from ..operations import Expm1, When
from ..spec.expressions import replaced
from .order import order


def capture(program: Program) -> Program:
    """The program without branches on what the host computes, and with accurate bias corrections.

    `1 - beta**t` in single precision is off by 1e-5; `-expm1(t * log(beta))` is not. The same goes
    for `1 - exp(x)`, and for `1 - beta` where beta is one number or another.

    >>> from lucidgen.passes.examples import beta, grad, program, show, t, w, w_before
    >>> from lucidgen.ir.program import symbol
    >>> c = symbol("c")
    >>> show(capture(program((c, 1 - beta**t), (w, w_before - grad / c))))
    c = -Expm1(t*log(beta))
    w = w[t - 1] - grad/c
    """
    t = symbol("t")
    powers = {let.target: let.value for let in program.host if _is_power(let.value, t)}

    def accurate(expr: sympy.Basic) -> sympy.Basic:
        if expr.is_Atom:
            return expr
        if expr.is_Add:
            taken = replaced(1 - expr, powers)
            if _is_power(taken, t):
                return -Expm1(t * sympy.log(taken.base))
            if isinstance(taken, sympy.exp):
                return -Expm1(accurate(taken.args[0]))
        return rebuilt(expr, map(accurate, expr.args))

    host = [let.with_value(accurate(let.value)) for let in _complements(program)]
    return order(program.with_lets(_selected(program, [*host, *program.body])))


def _is_power(expr: sympy.Basic, t: sympy.Symbol) -> bool:
    return bool(expr.is_Pow and expr.base.is_Symbol and expr.exp == t)


def _complements(program: Program) -> Iterator[Let]:
    """The host's lets; `1 - x`, where x has cases, has the cases itself: 1 is taken from each."""
    cases: dict[sympy.Basic, list[Let]] = {}
    for let in program.host:
        cases.setdefault(let.target, []).append(let)
    for let in program.host:
        own = cases.get(1 - let.value, []) if let.value.is_Add else []
        if len(own) < 2:
            yield let
            continue
        for case in own:
            guard = let.guard & case.guard
            if guard:
                yield replace(let, value=1 - case.value, guard=guard)


def _selected(program: Program, lets: list[Let]) -> list[Let]:
    """The lets with host conditions taken out of their guards and put into their values."""
    cases: dict[sympy.Symbol, list[Let]] = {}
    for let in lets:
        cases.setdefault(let.target, []).append(let)
    return [made for own in cases.values() for made in _merged(program, own)]


def _merged(program: Program, cases: list[Let]) -> list[Let]:
    """The cases of one target, one for each assignment of flags that tells them apart."""
    asked = [n for n in program.conditions if any(n in let.guard.support for let in cases)]
    if not asked:
        return cases
    regions = [program.always]
    for let in cases:
        wider = let.guard
        for name in asked:
            wider = wider.given(name, True) | wider.given(name, False)
        split = [part for region in regions for part in (region & wider, region & ~wider)]
        regions = [region for region in split if region]
    note = tuple(sorted({number for let in cases for number in let.note}))
    made: dict[sympy.Basic, Let] = {}
    for region in regions:
        value = _select([(let.guard & region, let.value) for let in cases], asked)
        if value is not None:
            guard = region | made[value].guard if value in made else region
            made[value] = replace(cases[0], value=value, guard=guard, note=note)
    return list(made.values())


def _select(cases: list[tuple[Guard, sympy.Basic]], conditions: list[str]) -> sympy.Basic | None:
    """The value of the case that holds, as nested selects; None where no case ever does."""
    live = [(guard, value) for guard, value in cases if guard]
    if len({value for _, value in live}) <= 1 or not conditions:
        return live[0][1] if live else None
    name, *rest = conditions
    yes, no = (_select([(g.given(name, on), v) for g, v in live], rest) for on in (True, False))
    if yes is None or no is None:
        return no if yes is None else yes
    return When(symbol(name), yes, no)
