"""Inline single-use aliases: a name that is read once stands for nothing of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import sympy

from ..ir.program import Let, Program
from ..spec.expressions import replaced, symbols_in
from ..spec.extent import extent, is_large

#: Exponents, up to sign, of powers that read their base once.
_READS_ONCE = (sympy.S.One, sympy.S.Half)


def inline(program: Program) -> Program:
    """The program with array quantities put where they are read, if that repeats no work.

    A let moves only into lets of its own domain whose guards exclude each other and imply its own:
    into a branch, never out of one, and nowhere where it would make an expression larger than an
    author's may be. Host scalars keep their names, which conditions refer to.

    >>> from lucidgen.passes.examples import g, lr, m, program, show, w, w_before
    >>> show(inline(program((g, m / lr), (w, w_before - lr * g**2))))
    g = m/lr
    w = -g**2*lr + w[t - 1]
    >>> show(inline(program((g, m / lr), (w, w_before - g))))
    w = w[t - 1] - m/lr
    """
    outputs = {output.after for output in program.outputs}
    lets = list(program.lets)
    for target in dict.fromkeys(let.target for let in program.body):
        cases = [let for let in lets if let.target == target]
        if len(cases) > 1:
            continue
        let = cases[0]
        if target in outputs:
            lets = _read_source(lets, let)
            continue
        uses = [other for other in lets if let.target in other.reads]
        if _repeats_work(let, uses) or any(use.domain is not let.domain for use in uses):
            continue
        if any(_grows_too_large(let, use) for use in uses):
            continue
        lets.remove(let)
        for use in uses:
            value = replaced(use.value, {let.target: let.value})
            own = () if let.value.is_Symbol else let.note
            note = tuple(sorted({*own, *use.note}))
            lets[lets.index(use)] = replace(use, value=value, note=note)
    return program.with_lets(lets)


def _read_source(lets: list[Let], output: Let) -> list[Let]:
    """The lets with an output that only has another name replaced by what it names."""
    if not output.value.is_Symbol or not output.guard.is_always:
        return lets
    names = {output.target: output.value}
    return [let if let is output else let.with_value(replaced(let.value, names)) for let in lets]


def _repeats_work(let: Let, uses: list[Let]) -> bool:
    if isinstance(let.value, sympy.Symbol):
        return False
    if any(occurrences(use.value, let.target) > 1 for use in uses):
        return True
    return not all(
        first.guard.excludes(second.guard)
        for i, first in enumerate(uses)
        for second in uses[i + 1 :]
    )


def _grows_too_large(let: Let, use: Let) -> bool:
    """Whether the two may make an expression larger than one that an author may write."""
    (nodes, levels), (more, deeper) = extent(let.value), extent(use.value)
    return is_large(nodes + more, levels + deeper)


def occurrences(expr: sympy.Basic, target: sympy.Symbol) -> int:
    """How often the target is computed with; a power reads its base more than once."""
    if target not in symbols_in(expr):
        return 0
    if expr == target:
        return 1
    counts: dict[sympy.Basic, int] = defaultdict(int)
    for arg in expr.args:
        counts[arg] += occurrences(arg, target)
    if (
        isinstance(expr, sympy.Pow)
        and target in symbols_in(expr.base)
        and abs(expr.exp) not in _READS_ONCE
    ):
        return 2
    return sum(counts.values())
