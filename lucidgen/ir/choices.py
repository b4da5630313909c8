"""Conditions, and the static choices that they are made of.

Owns what a choice is called, and which comparisons are one. A choice is known before any array is
touched: a flag, whether a hyperparameter is away from its special value, what the shape of a
parameter decides for good, or what the host finds at each step. What follows from choices is
`lower`'s business.
"""

from __future__ import annotations

import re
from functools import lru_cache

import sympy
from sympy.core.relational import (
    Equality,
    GreaterThan,
    LessThan,
    Relational,
    StrictGreaterThan,
    StrictLessThan,
    Unequality,
)
from sympy.logic.boolalg import BooleanFunction

from ..operations import When
from ..spec.quantities import Flag, Hyper, Shape

_COMPARED = {
    StrictGreaterThan: "above",
    GreaterThan: "at_least",
    StrictLessThan: "below",
    LessThan: "at_most",
    Equality: "equals",
    Unequality: "differs_from",
}


@lru_cache(maxsize=1024)
def choice(name: str) -> sympy.Symbol:
    """The symbol of a static choice inside expressions: a truth value, never a number."""
    return sympy.Symbol(name)


def is_of_shape(condition: sympy.Basic) -> bool:
    """Whether a comparison is decided by a parameter's shape (and hyperparameters) for good."""
    read = condition.free_symbols
    return any(isinstance(s, Shape) for s in read) and all(
        isinstance(s, Shape | Hyper) for s in read
    )


def whole_numbers(condition: Relational) -> tuple[Relational, bool]:
    """A comparison and whether it or its opposite is meant: of whole numbers `>=` or `==` is left.

    >>> from lucidgen.spec import ndim
    >>> whole_numbers(ndim < 2), whole_numbers(ndim > 1)
    ((ndim >= 2, False), (ndim >= 2, True))
    """
    if condition.lhs.is_Number:
        condition = condition.reversed
    number, limit = condition.args
    if not isinstance(number, Shape) or not limit.is_Integer:
        return condition, True
    if isinstance(condition, Equality | Unequality):
        return Equality(number, limit), isinstance(condition, Equality)
    next_one = isinstance(condition, StrictGreaterThan | LessThan)
    means_it = isinstance(condition, StrictGreaterThan | GreaterThan)
    return GreaterThan(number, limit + next_one), means_it


def with_choices(expr: sympy.Basic) -> sympy.Basic:
    """An expression whose conditions ask for static choices by their names, and compare the rest.

    >>> from lucidgen.specs.adam import Adam
    >>> from lucidgen.spec import when
    >>> weight_decay = next(h for h in Adam.hypers if h.name == "weight_decay")
    >>> with_choices(when(weight_decay, weight_decay, 1))
    when(use_weight_decay, weight_decay, 1)
    """
    if not isinstance(expr, When):
        return expr.func(*map(with_choices, expr.args)) if expr.args else expr
    condition, *branches = expr.args
    return When(_named(condition), *map(with_choices, branches))


def _named(condition: sympy.Basic) -> sympy.Basic:
    """A condition in which flags and special values are choices."""
    if isinstance(condition, Flag | Hyper):
        return choice(condition.name if isinstance(condition, Flag) else f"use_{condition.name}")
    if isinstance(condition, BooleanFunction):
        return condition.func(*map(_named, condition.args))
    return with_choices(condition)


def in_words(relation: Relational) -> str:
    """A comparison as a name, if it can be one.

    >>> from lucidgen.spec import ndim, t
    >>> in_words(ndim >= 2), in_words(t % 5 < 1)
    ('ndim_at_least_2', 't_mod_5_below_1')
    """
    sides = (re.sub(r"Mod\((\w+), (\w+)\)", r"\1_mod_\2", str(side)) for side in relation.args)
    words = f"_{_COMPARED[type(relation)]}_".join(sides).replace("[t - 1]", "")
    return words.replace("-", "minus_").replace("/", "_over_")
