"""Order the lets: as in the paper, with branches on the same choice next to each other."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from ..ir import Let, Program, symbol


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
    """List scheduling over targets: of those that can run, the earliest like the last one."""
    cases: dict[sympy.Symbol, list[Let]] = {}
    for let in lets:
        cases.setdefault(let.target, []).append(let)
    waits = {
        target: {
            read
            for let in own
            for read in (*let.value.free_symbols, *map(symbol, let.guard.support))
            if read in cases and read != target
        }
        for target, own in cases.items()
    }
    done: list[Let] = []
    while waits:
        ready = [target for target, reads in waits.items() if not reads & set(waits)]
        branch = set(done[-1].guard.support) if done else set()
        alike = [t for t in ready if branch and set(cases[t][0].guard.support) & branch]
        unbranched = [t for t in ready if not cases[t][0].guard.support]
        chosen = (alike or unbranched or ready)[0]
        del waits[chosen]
        done += cases[chosen]
    return done
