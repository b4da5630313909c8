"""Equations as readers like them: cases at the top, conditions that say what they test.

Owns the splitting of a right side into cases, for documentation and for the terminal alike. It
changes how an equation is shown and nothing of what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy

from ...operations import Reduction, When
from ...spec.quantities import Hyper


@dataclass(frozen=True)
class Case:
    """A value and the conditions under which it holds, all of them; none means otherwise."""

    value: sympy.Expr
    conditions: tuple[sympy.Basic, ...] = ()


def cases(expr: sympy.Expr) -> tuple[Case, ...]:
    """The cases of a right side, to be read from the top; one case if it distinguishes none.

    A single `when` inside an expression moves to its outside: the rest is repeated in every case.

    >>> from lucidgen.specs.sgd import SGD
    >>> for case in cases(SGD.equations[3].right):
    ...     print(case.value, "if", case.conditions)
    b[t]*momentum + g[t] if (Ne(momentum, 0), nesterov)
    b[t] if (Ne(momentum, 0),)
    g[t] if ()
    """
    if isinstance(expr, When):
        condition, then, rest = expr.args
        test = compared_with_special(condition)
        return (*(Case(c.value, (test, *c.conditions)) for c in cases(then)), *cases(rest))
    choices = list(dict.fromkeys(_outermost(expr)))
    if len(choices) != 1:
        return (Case(expr),)
    return tuple(
        Case(expr.xreplace({choices[0]: case.value}), case.conditions) for case in cases(choices[0])
    )


def _outermost(expr: sympy.Basic) -> Iterator[When]:
    """The case distinctions that can move outside: those that no reduction holds."""
    if isinstance(expr, When):
        yield expr
    elif not isinstance(expr, Reduction):
        for arg in expr.args:
            yield from _outermost(arg)


def compared_with_special(condition: sympy.Basic) -> sympy.Basic:
    """A condition in which a bare hyperparameter is compared with its special value."""
    if isinstance(condition, Hyper) and condition.special is not None:
        return sympy.Ne(condition, sympy.nsimplify(condition.special), evaluate=False)
    if isinstance(condition, sympy.Not) and isinstance(condition.args[0], Hyper):
        return sympy.Eq(*compared_with_special(condition.args[0]).args, evaluate=False)
    if isinstance(condition, sympy.And | sympy.Or | sympy.Not):
        return condition.func(*map(compared_with_special, condition.args), evaluate=False)
    return condition
