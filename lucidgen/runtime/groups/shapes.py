"""What a rule sees of a parameter's shape: its numbers, and the states that it allows for.

Owns what is found out of a shape. Which axes equations see is said beside the rule
(``equation_axes``), what the choices do in ``settings``, with those of the group. Does not touch
arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any

from ..rules.calling import call_in_ieee
from ..rules.rule import NUMBERS, Rule, State, equation_axes, matrix_axes


def numbers(shape: tuple[int, ...], matrices: str) -> dict[str, float]:
    """The numbers of a shape, by their names in specs. A vector is one row.

    >>> numbers((2, 3, 4), "last")
    {'ndim': 3.0, 'size': 24.0, 'rows': 3.0, 'columns': 4.0}
    """
    axes = equation_axes(shape, matrices)
    _, rows, columns = matrix_axes(shape, matrices)
    found = (len(axes), math.prod(axes), rows, columns)
    return dict(zip(NUMBERS, map(float, found), strict=True))


def choices(rule: Rule, shape: tuple[int, ...], values: Mapping[str, Any]) -> dict[str, bool]:
    """The choices that a shape makes; ``values`` has those of the arguments."""
    found = numbers(shape, rule.matrices).items()
    known = {**{rule.called(name): number for name, number in found}, **values}
    return {name: bool(call_in_ieee(holds, known)) for name, holds in rule.shapes.items()}


@cache
def states_of(
    rule: Rule, fixed: tuple[tuple[str, bool], ...]
) -> tuple[frozenset[State], frozenset[State]]:
    """The states that parameters may have where a shape has fixed this, and those that all have.

    The first are live under some arguments, the second under any.
    """
    each = [
        {**dict(zip(rule.options, answers, strict=True)), **dict(fixed)}
        for answers in product((False, True), repeat=len(rule.options))
    ]
    live = [frozenset(s for s in rule.states if s.live is None or s.live(on)) for on in each]
    return live[0].union(*live), live[0].intersection(*live)
