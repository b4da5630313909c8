"""A program as statements: names for its symbols, branches for its guards.

Owns which symbols share a name (`m` before and after the step, `g` with and without decay), and how
guards become `if`s. It does not print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy

from ...ir.guard import Guard
from ...ir.program import Let, Program, series_of
from ...spec.domains import Domain
from .trees import Node, tree_in


@dataclass(frozen=True)
class Assign:
    """`name = value`; note holds the numbers of the equations."""

    name: str
    value: Node
    domain: Domain
    note: tuple[int, ...]


@dataclass(frozen=True)
class If:
    """A branch on a guard."""

    guard: Guard
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


Statement = Assign | If


@dataclass(frozen=True)
class Code:
    """The statements of a host or a body, and the name of every symbol in them.

    `aliases` are the names that must be set from an input before the first statement, such as
    g = grad.
    """

    names: dict[sympy.Symbol, str]
    aliases: tuple[tuple[str, str], ...]
    statements: tuple[Statement, ...]


@lru_cache(maxsize=8)  # targets ask for the same host and body of a program
def code(program: Program, lets: tuple[Let, ...]) -> Code:
    """Statements for some lets of a program: its host, its body, or a part of one."""
    names, aliases = _names(program, lets)
    same = {(name, name) for name in names.values()} | set(aliases)
    kept = [
        let
        for let in lets
        if not (let.value.is_Symbol and (names[let.target], names.get(let.value)) in same)
    ]
    known = program.domains | {let.target: let.domain for let in lets}

    pairs = [(let, let.guard) for let in kept]
    built = _branches(pairs, names, known)
    return Code(names, aliases, tuple(built))


def _names(
    program: Program, lets: Sequence[Let]
) -> tuple[dict[sympy.Symbol, str], tuple[tuple[str, str], ...]]:
    """One name per symbol.

    A symbol takes over the name of one that is not read any more: a state that of its last value,
    the changed gradient that of the gradient, and what the compiler made that of what it changes.
    Between domains names are not passed on: one number may be declared above the elements.
    """
    names = {i.symbol: series_of(i.symbol) for i in program.inputs}
    names |= {let.target: let.target.name for let in program.lets if let not in lets}
    outputs = {output.after for output in program.outputs}
    before_of = {output.after: output.before for output in program.outputs}
    live = {output.after: output.live for output in program.outputs}
    renewed = {output.before for output in program.outputs if output.live.is_always}
    lasting = {i.symbol for i in program.input("state")} - renewed

    def is_free(name: str, target: sympy.Symbol) -> bool:
        """Whether nobody reads the holders of a name any more once the target is written."""
        start = min(i for i, let in enumerate(lets) if let.target == target)
        holders = {s for s, n in names.items() if n == name} - {target}
        for let in lets:  # what is another name of a holder shares its array
            if let.value in holders and let.target != target:
                holders.add(let.target)
        return (
            not any(let.target != target and let.reads & holders for let in lets[start:])
            and not holders & outputs
        )

    for target in dict.fromkeys(let.target for let in lets):
        if target in outputs:
            old = names[before_of[target]]
            exists = all(let.guard.implies(live[target]) for let in lets if let.target == target)
            names[target] = old if exists and is_free(old, target) else f"new_{old}"
            continue
        names[target] = target.name
        sources = {let.value for let in lets if let.target == target and let.value.is_Symbol}
        for old in sources & set(names) if len(sources) == 1 else ():
            array = program.domains[old] is not Domain.HOST
            alike = program.domains[old] is program.domains[target]
            unchanged = names[old] == "grad" and old.name not in program.series
            may = target.name not in program.series or unchanged
            if array and alike and may and old not in lasting and is_free(names[old], target):
                names[target] = names[old]
                break
    return _with_own_names(names)


def _with_own_names(
    names: dict[sympy.Symbol, str],
) -> tuple[dict[sympy.Symbol, str], tuple[tuple[str, str], ...]]:
    """The author's name for the gradient once it is changed (g), instead of grad."""
    family = [s for s, n in names.items() if n == "grad" and s.name != "grad"]
    own = [s.name for s in family if s.name != "scaled_grad"]
    if not own:
        return names, ()
    return names | dict.fromkeys(family, own[0]), ((own[0], "grad"),)


def _branches(
    lets: list[tuple[Let, Guard]],
    names: dict[sympy.Symbol, str],
    known: Mapping[sympy.Symbol, Domain],
) -> list[Statement]:
    """Statements with as few and as shallow branches as the order of the lets allows."""
    out: list[Statement] = []
    i = 0
    while i < len(lets):
        let, guard = lets[i]
        if guard.is_always:
            value = tree_in(let.value, known)
            out.append(Assign(names[let.target], value, let.domain, let.note))
            i += 1
            continue
        condition, run = max(
            ((c, _run(c, lets, i)) for c in _conditions(guard)), key=lambda item: item[1]
        )
        block = lets[i:run]
        then = [(let, g.within(condition)) for let, g in block if g.implies(condition)]
        rest = [(let, g.within(~condition)) for let, g in block if not g.implies(condition)]
        out.append(
            _joined(
                If(
                    condition,
                    tuple(_branches(then, names, known)),
                    tuple(_branches(rest, names, known)),
                )
            )
        )
        i = run
    return out


def _conditions(guard: Guard) -> list[Guard]:
    """What a branch to this guard could ask: one of its choices, or all of it at once."""
    literals = [Guard.of(name, guard.choices) for name, _ in guard.literals or ()]
    return [*literals, guard] if len(literals) != 1 else [guard]


def _run(condition: Guard, lets: list[tuple[Let, Guard]], start: int) -> int:
    """Up to where one branch on the condition decides every let, whole targets only."""
    end = start
    while end < len(lets) and _decides(condition, lets[end][1]):
        end += 1
    while end < len(lets) and end > start + 1 and lets[end][0].target == lets[end - 1][0].target:
        end -= 1
    return end


def _decides(condition: Guard, guard: Guard) -> bool:
    return not guard.is_always and (guard.implies(condition) or guard.implies(~condition))


def _joined(branch: If) -> If:
    """One `if a and b` for an `if b` alone inside an `if a`; no empty first branch."""
    if not branch.then:
        branch = If(~branch.guard, branch.otherwise, ())
    inner = branch.then[0]
    alone = len(branch.then) == 1 and not branch.otherwise
    if alone and isinstance(inner, If) and not inner.otherwise:
        return If(branch.guard & inner.guard, inner.then, ())
    return branch
