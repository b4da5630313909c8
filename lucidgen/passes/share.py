"""Share common subexpressions, without moving anything out of a branch."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import reduce
from operator import or_

import sympy

from ..ir.program import Let, Names, Program, symbol
from ..operations import Group
from ..spec.domains import domain_of
from ..spec.expressions import replaced


def share(program: Program) -> Program:
    """The program in which nothing is computed twice on one path.

    A shared value is computed where any of its readers run and nowhere else; host and body share
    among themselves. A bias correction `1 - beta**t` is named even if it has one reader.

    >>> from lucidgen.passes.examples import beta, g, grad, lr, m, program, show, t, w, w_before
    >>> from lucidgen.spec import sqrt
    >>> show(share(program((m, lr * sqrt(grad)), (w, w_before - m / sqrt(grad)))))
    _1 = sqrt(grad)
    m = _1*lr
    w = w[t - 1] - m/_1
    """
    names = Names(program)
    host = _shared(program, list(program.host), names)
    body = _shared(program, list(program.body), names)
    return _without_copies(program.with_lets([*host, *body]))


def _without_copies(program: Program) -> Program:
    """The program without provisional names for what has another name in every case."""
    times = Counter(let.target for let in program.host)
    copies = {
        let.target: let.value
        for let in program.host
        if let.target.name.startswith("_") and let.value.is_Symbol and times[let.target] == 1
    }
    return program.with_lets(
        let.with_value(replaced(let.value, copies))
        for let in program.lets
        if let.target not in copies
    )


def _shared(program: Program, lets: list[Let], names: Names) -> list[Let]:
    while True:
        found = _largest_repeated(lets)
        if found is None:
            return lets
        expr, users = found
        owner = next((i for i in users if lets[i].value == expr), None)
        readers = [i for i in users if i != owner]
        if owner is not None and _covers(lets, owner, readers):
            target = lets[owner].target
        else:
            target = names.fresh()
            readers = users
            guard = lets[users[0]].guard
            for i in users[1:]:
                guard |= lets[i].guard
            note = tuple(sorted({n for i in users for n in lets[i].note}))
            domains = program.domains | {let.target: let.domain for let in lets}
            domain = domain_of(expr, domains)
            made = Let(target, expr, domain, guard, note)
        for i in readers:
            lets[i] = lets[i].with_value(_put(lets[i].value, expr, target))
        if readers is users:
            lets.insert(users[0], made)


def _covers(lets: list[Let], owner: int, readers: list[int]) -> bool:
    """Whether a let that has the value already comes before all readers, wherever they run."""
    single = sum(let.target == lets[owner].target for let in lets) == 1
    return single and all(
        owner < reader and lets[reader].guard.implies(lets[owner].guard) for reader in readers
    )


def _largest_repeated(lets: list[Let]) -> tuple[sympy.Expr, list[int]] | None:
    """The largest expression that one path computes twice, and the lets that compute it."""
    times: dict[sympy.Expr, list[int]] = defaultdict(list)
    for i, let in enumerate(lets):
        for expr in _computed(let.value):
            times[expr].append(i)
    repeated = []
    made_at = {let.target.name: i for i, let in enumerate(lets)}
    for expr, users in times.items():
        distinct = sorted(set(users))
        guard = reduce(or_, (lets[i].guard for i in distinct))
        if any(made_at.get(name, -1) >= distinct[0] for name in guard.support):
            continue  # where it is needed is not known yet when it is needed first
        again = len(users) > len(distinct) or any(
            not lets[a].guard.excludes(lets[b].guard)
            for n, a in enumerate(distinct)
            for b in distinct[n + 1 :]
        )
        if again or (_is_bias_correction(expr) and lets[distinct[0]].value != expr):
            repeated.append((expr, distinct))
    if not repeated:
        return None
    return max(repeated, key=lambda item: (item[0].count_ops(), sympy.default_sort_key(item[0])))


def _computed(expr: sympy.Basic) -> list[sympy.Expr]:
    """Every subexpression that costs something, as often as it occurs; groups stay whole.

    A quotient by a power computes the power.
    """
    if expr.is_Atom:
        return []
    inside = [] if isinstance(expr, Group) else [x for arg in expr.args for x in _computed(arg)]
    is_negation = expr.is_Mul and len(expr.args) == 2 and expr.args[0] == -1
    is_value = isinstance(expr, sympy.Expr) and not is_negation
    if expr.is_Pow and expr.exp.is_Rational and expr.exp < 0:
        return [*inside, 1 / expr] if expr.exp != -1 else inside
    return [*inside, expr] if is_value else inside


def _is_bias_correction(expr: sympy.Expr) -> bool:
    if not (expr.is_Add and len(expr.args) == 2):
        return False
    taken = 1 - expr
    return bool(taken.is_Pow and taken.base.is_Symbol and taken.exp == symbol("t"))


def _put(expr: sympy.Basic, old: sympy.Expr, new: sympy.Symbol) -> sympy.Basic:
    """expr with old replaced, inverse powers of old included."""
    if old.is_Pow and old.exp.is_Rational:
        return expr.xreplace({old: new, old.base**-old.exp: 1 / new})
    return expr.xreplace({old: new})
