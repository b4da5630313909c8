"""Drop dead equations and states: what no output needs is not computed."""

from __future__ import annotations

from dataclasses import replace

import sympy

from ..ir.guard import Guard
from ..ir.program import Program, symbol


def drop_dead(program: Program) -> Program:
    """The program without cases of lets that no output needs.

    >>> from lucidgen.passes.examples import beta, g, grad, lr, m, program, show, w, w_before
    >>> show(drop_dead(program((m, beta * grad), (g, grad), (w, w_before - lr * g))))
    g = grad
    w = -g*lr + w[t - 1]
    """
    never = ~program.always
    needed: dict[sympy.Symbol, Guard] = {}
    for output in program.outputs:
        needed[output.after] = needed.get(output.after, never) | output.live
    kept = []
    for let in reversed(program.lets):
        if let.guard.excludes(needed.get(let.target, never)):
            continue
        guard = let.guard
        kept.append(let)
        conditions = {symbol(name) for name in guard.support if name in program.conditions}
        for read in let.reads:
            needed[read] = needed.get(read, never) | guard
        for condition in conditions:
            needed[condition] = needed.get(condition, never) | _apart_from(guard, condition.name)
    read = {i.symbol for i in program.inputs if i.symbol in needed}
    kept_states = {output.before for output in program.outputs}
    inputs = tuple(
        i
        for i in program.inputs
        if i.symbol in read or i.kind in ("weight", "grad") or i.symbol in kept_states
    )
    left = program.with_lets(reversed(kept))
    return left if inputs == program.inputs else replace(left, inputs=inputs)


def _apart_from(guard: Guard, name: str) -> Guard:
    """Where a guard needs the answer of one of its choices."""
    return guard.given(name, True) | guard.given(name, False)
