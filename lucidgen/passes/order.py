"""Order the lets: as in the paper, with branches on the same choice next to each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy

from ..ir.program import Let, Program, symbol


def order(program: Program) -> Program:
    """The program in an order that reads well: each let after what it reads, few branches.

    >>> from lucidgen.passes.examples import g, grad, lr, m, program, show, v, w, w_before
    >>> show(order(program((g, lr * grad, "a"), (w, w_before - grad), (m, g + v, "a"),
    ...                    choices=("a",), arrays=("v",))))
    w = -grad + w[t - 1]
    g = grad*lr  if a
    m = g + v  if a
    """
    return program.with_lets([*_ordered(program, program.host), *_ordered(program, program.body)])


def _ordered(program: Program, lets: Sequence[Let]) -> list[Let]:
    """List scheduling over targets: of those that can run, the earliest like the last one.

    A state is written after all who read its last value, where that is possible, so that it can be
    updated in place.
    """
    cases: dict[sympy.Symbol, list[Let]] = {}
    for let in lets:
        cases.setdefault(let.target, []).append(let)
    waits = {
        target: {
            read
            for let in own
            for read in (*let.reads, *map(symbol, let.guard.support))
            if read in cases and read != target
        }
        for target, own in cases.items()
    }
    before = {output.after: output.before for output in program.outputs}
    done: list[Let] = []
    while waits:
        ready = [target for target, reads in waits.items() if not reads & set(waits)]
        early = {t for t in ready if _overwrites(t, before, waits, cases)}
        ready = [t for t in ready if t not in early] or ready
        branch = set(done[-1].guard.support) if done else set()
        alike = [t for t in ready if branch and set(cases[t][0].guard.support) & branch]
        unbranched = [t for t in ready if not cases[t][0].guard.support]
        chosen = (alike or unbranched or ready)[0]
        del waits[chosen]
        done += cases[chosen]
    return done


def _overwrites(
    target: sympy.Symbol,
    before: dict[sympy.Symbol, sympy.Symbol],
    waiting: Iterable[sympy.Symbol],
    cases: dict[sympy.Symbol, list[Let]],
) -> bool:
    """Whether the target is a state whose last value another waiting let still reads."""
    old = before.get(target)
    return old is not None and any(
        old in let.reads for other in waiting if other != target for let in cases[other]
    )
