"""The form of a program for a training step that is captured whole, where t is an array.

Owns what changes then: conditions become selects, and bias corrections take a form that single
precision can bear. It is no part of the pipeline; a target asks for it.
"""

from __future__ import annotations

from dataclasses import replace

import sympy

from ..ir import Guard, Let, Program, symbol
from ..spec.functions import When


class Expm1(sympy.Function):  # type: ignore[misc]
    """exp(x) - 1 without cancellation."""

    nargs = 1
    is_real = True


def capture(program: Program) -> Program:
    """The program without branches on what the host computes, and with accurate bias corrections.

    `1 - beta**t` in single precision is off by 1e-5; `-expm1(t * log(beta))` is not.

    >>> from lucidgen.passes.examples import beta, grad, program, show, t, w, w_before
    >>> from lucidgen.ir import symbol
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
            power = (1 - expr).xreplace(powers)
            if _is_power(power, t):
                return -Expm1(t * sympy.log(power.base))
        return expr.func(*map(accurate, expr.args))

    host = [replace(let, value=accurate(let.value)) for let in program.host]
    return program.with_lets(_selected(program, [*host, *program.body]))


def _is_power(expr: sympy.Basic, t: sympy.Symbol) -> bool:
    return bool(expr.is_Pow and expr.base.is_Symbol and expr.exp == t)


def _selected(program: Program, lets: list[Let]) -> list[Let]:
    """The lets with host conditions taken out of their guards and put into their values."""
    chosen: dict[tuple[sympy.Symbol, Guard], Let] = {}
    for let in lets:
        conditions = [name for name in let.guard.support if name in program.conditions]
        wider = let.guard
        for name in conditions:
            wider = wider.given(name, True) | wider.given(name, False)
        key = (let.target, wider)
        other = chosen.get(key)
        if other is None:
            chosen[key] = replace(let, guard=wider)
            continue
        values = [(let.guard, let.value), (~let.guard, other.value)]
        value = _select(values, conditions)
        note = tuple(sorted({*let.note, *other.note}))
        chosen[key] = replace(other, value=value, note=note)
    return list(chosen.values())


def _select(values: list[tuple[Guard, sympy.Expr]], conditions: list[str]) -> sympy.Expr:
    """The value of the first guard that holds, as nested selects on the conditions."""
    (guard, value), (_, other) = values
    if not guard:
        return other
    if guard.is_always or not conditions:
        return value
    name, *rest = conditions
    yes = _select([(guard.given(name, True), value), (guard, other)], rest)
    no = _select([(guard.given(name, False), value), (guard, other)], rest)
    return When(symbol(name), yes, no)
