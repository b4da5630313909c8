"""What can be wrong with how a spec reads the shape of a parameter.

Owns the rules about `matrices` and about work on rows and columns where a case says that there are
none. `check.py` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from ..operations import HEADS, OPERATIONS, When
from .domains import OF_MATRICES, Domain, infer_domains
from .equation import Eq
from .errors import Problem, nearest
from .optimizer import MATRICES, OptimizerSpec
from .quantities import At, ndim

#: How many axes an array can have.
MOST_AXES = 64


def shapes(spec: OptimizerSpec) -> Iterator[Problem]:
    """`matrices` is one of its words; cases without matrices have no rows and columns."""
    if spec.matrices not in MATRICES:
        yield Problem(
            spec.location,
            f"matrices={spec.matrices!r} says nothing{nearest(spec.matrices, MATRICES)}",
            f"Name one of {', '.join(map(repr, MATRICES))}.",
        )
        return
    walk = _Walk(spec)
    for equation in spec.equations:
        yield from walk.problems(equation)


class _Walk:
    """All that is read under each case, with the numbers of axes that it leaves."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.spec = spec
        self.domains = infer_domains(spec)
        self.axes = frozenset(range(MOST_AXES + 1 if spec.matrices == "last" else 3))

    def problems(self, equation: Eq) -> Iterator[Problem]:
        """What an equation reads of rows or columns in a case of its own that has none."""
        found = self.misplaced(equation.right, self.axes, set())
        if found:
            yield Problem(
                equation.location,
                f"{found}, in a case that has no matrices",
                "Rows and columns are there where ndim >= 2: put it into that case of "
                "when(ndim >= 2, ..., ...), and something for vectors into the other one.",
                str(equation),
            )

    def misplaced(self, expr: sympy.Basic, axes: frozenset[int], seen: set[str]) -> str:
        """What is of rows or columns where there are fewer than two axes; "" if nothing is."""
        for part, left in _parts(expr, axes):
            if max(left) >= 2:
                continue
            name = HEADS.get(type(part))
            if name and OPERATIONS[name].leaves in ("row", "column"):
                return f"{part} reduces along rows or columns"
            if not isinstance(part, At):
                continue
            domain = self.domains.get(part.series.name, Domain.HOST)
            if domain in OF_MATRICES:
                return f"{part} is one number per {domain.value}"
            equation = self.spec.by_moment("t").get(part.series)
            if equation is not None and part.series.name not in seen:
                seen.add(part.series.name)
                found = self.misplaced(equation.right, left, seen)
                if found:
                    return f"{part} needs what a vector has not, since {found}"
        return ""


def _parts(expr: sympy.Basic, axes: frozenset[int]) -> Iterator[tuple[sympy.Basic, frozenset[int]]]:
    """All parts of an expression, each with the numbers of axes for which it holds, if any."""
    yield expr, axes
    for index, arg in enumerate(expr.args):
        left = axes
        if isinstance(expr, When) and index:
            left = frozenset(n for n in axes if (index == 1) in _answers(expr.args[0], n))
        if left:
            yield from _parts(arg, left)


@lru_cache(maxsize=4096)  # of few conditions, for every number of axes
def _answers(condition: sympy.Basic, axes: int) -> frozenset[bool]:
    """What a condition can be for a number of axes."""
    if isinstance(condition, Relational) and condition.free_symbols == {ndim}:
        return frozenset((bool(condition.xreplace({ndim: sympy.Integer(axes)})),))
    if isinstance(condition, BooleanFunction):
        each = [sorted(_answers(arg, axes)) for arg in condition.args]
        return frozenset(bool(condition.func(*answers)) for answers in product(*each))
    return frozenset((True, False))
