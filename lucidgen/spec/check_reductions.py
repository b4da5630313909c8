"""What reductions are given: something that varies over what they reduce, in every case.

Owns that rule; `check.py` runs it. A case is what flags, special values and comparisons of scalars
leave of an expression: which of them holds is known before any array is touched, and only what is
left is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from ..operations import Reduction, When
from .domains import Domain, domain_of, infer_domains
from .equation import Eq
from .errors import Problem
from .expressions import made
from .optimizer import OptimizerSpec
from .quantities import Flag, Hyper, values_in

#: Of how many choices in one expression all combinations are looked at.
MOST = 6


def reductions(spec: OptimizerSpec) -> Iterator[Problem]:
    """No case of what is reduced varies over less than the whole; a zero may."""
    reducing = [equation for equation in spec.equations if equation.right.has(Reduction)]
    if not reducing:
        return
    names = infer_domains(spec)
    least = _least(spec, names)
    for equation in reducing:
        whole, now = _known(equation, names, names), _known(equation, names, least)
        for reduction in sorted(equation.right.atoms(Reduction), key=str):
            (operand,) = reduction.args
            for case in _cases(operand, names):
                if case != 0 and domain_of(case, now) is not domain_of(operand, whole):
                    yield Problem(
                        equation.location,
                        f"{reduction} reduces {case} in one of its cases, "
                        f"which is not of a value per {domain_of(operand, whole).value}",
                        "Put the case outside of the reduction, and write there what it gives: "
                        "when(..., total(x), size * a) for a number a in place of all elements.",
                        str(equation),
                    )
                    break


def _known(
    equation: Eq, names: Mapping[str, Domain], now: Mapping[str, Domain]
) -> dict[sympy.Symbol, Domain]:
    """The domains of what an equation reads; those of this step's values are given apart."""
    return {
        at: (now if at.shift == 0 else names).get(at.series.name, Domain.HOST)
        for at in values_in(equation.right)
    }


def _least(spec: OptimizerSpec, names: Mapping[str, Domain]) -> dict[str, Domain]:
    """The domain of each series in the case in which it varies over least; zero is no case."""
    found = dict(names)
    equations = [e for e in spec.equations if e.series is not None and e.moment != "start"]
    cases = [(e, [c for c in _cases(e.right, names) if c != 0]) for e in equations]
    changed = True
    while changed:
        changed = False
        for equation, values in cases:
            name, known = equation.key[0], _known(equation, names, found)
            for value in values:
                domain = domain_of(value, known)
                if domain.rank < found[name].rank:
                    found[name], changed = domain, True
    return found


def _cases(expr: sympy.Basic, names: Mapping[str, Domain]) -> list[sympy.Basic]:
    """The expression under all static choices."""
    conditions = [when.args[0] for when in expr.atoms(When)]
    asked: set[sympy.Basic] = set(expr.atoms(Flag))
    asked |= {hyper for hyper in expr.atoms(Hyper) if hyper.special is not None}
    for condition in conditions:
        asked |= {c for c in condition.atoms(Relational) if _is_of_scalars(c, names)}
    choices = sorted(asked, key=str)[:MOST]
    found = [
        _decided(expr, dict(zip(choices, on, strict=True)))
        for on in product((True, False), repeat=len(choices))
    ]
    return list(dict.fromkeys(found))


def _is_of_scalars(comparison: sympy.Basic, names: Mapping[str, Domain]) -> bool:
    read = (names.get(at.series.name, Domain.HOST) for at in values_in(comparison))
    return all(domain is Domain.HOST for domain in read)


def _decided(expr: sympy.Basic, on: Mapping[sympy.Basic, bool]) -> sympy.Basic:
    """The expression where these choices are made; hyperparameters are special that are not on."""
    if isinstance(expr, When):
        condition, *branches = expr.args
        return made(When, _condition(condition, on), *(_decided(branch, on) for branch in branches))
    if isinstance(expr, Hyper) and not on.get(expr, True):
        return sympy.nsimplify(expr.special, rational=True)
    return made(expr.func, *(_decided(arg, on) for arg in expr.args)) if expr.args else expr


def _condition(expr: sympy.Basic, on: Mapping[sympy.Basic, bool]) -> sympy.Basic:
    if expr in on:
        return sympy.sympify(on[expr])
    if isinstance(expr, BooleanFunction):
        return expr.func(*(_condition(arg, on) for arg in expr.args))
    return expr
