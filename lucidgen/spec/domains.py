"""Along which axes a quantity varies: which it has, what operations and reductions make of them.

Owns `Domain` and its inference from the equations. What follows from a domain (hoisting, state
layout) is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, Flag, auto
from functools import cache, cached_property, reduce

import sympy

from ..operations import HEADS, OPERATIONS
from .draws import Draw
from .optimizer import OptimizerSpec
from .quantities import At
from .schedule import Schedule


class Axis(Flag):
    """What there is one value for: each matrix of a tensor, each row, each column."""

    MATRICES = auto()
    ROWS = auto()
    COLUMNS = auto()


NO_AXES = Axis(0)
ALL_AXES = Axis.MATRICES | Axis.ROWS | Axis.COLUMNS


class Domain(Enum):
    """A set of axes along which a quantity varies; HOST is known before any array is touched.

    A tensor of more than two axes may be many matrices. So what rows are reduced to is one number
    per matrix, which is not yet one per tensor.
    """

    HOST = "scalar", NO_AXES
    TENSOR = "tensor", NO_AXES
    MATRIX = "matrix", Axis.MATRICES
    ROW = "row", Axis.MATRICES | Axis.ROWS
    COLUMN = "column", Axis.MATRICES | Axis.COLUMNS
    ELEMENT = "element", ALL_AXES

    axes: Axis

    def __new__(cls, value: str, axes: Axis = NO_AXES) -> Domain:
        made = object.__new__(cls)
        made._value_, made.axes = value, axes
        return made

    def join(self, other: Domain) -> Domain:
        """The domain of an operation on both: it has the axes of either.

        >>> Domain.HOST.join(Domain.ROW).value, Domain.ROW.join(Domain.COLUMN).value
        ('row', 'element')
        """
        if self is Domain.HOST or self is other:
            return other
        return self if other is Domain.HOST else _having(self.axes | other.axes)

    def reduced(self, leaves: str) -> Domain:
        """The domain of a reduction that leaves tensors, rows or columns: it has the axes of both.

        >>> Domain.ELEMENT.reduced("row").value, Domain.COLUMN.reduced("row").value
        ('row', 'matrix')
        """
        return self if self is Domain.HOST else _having(self.axes & Domain(leaves).axes)

    @cached_property
    def rank(self) -> int:
        """How many axes it has, and one more for an array: what has less can be computed first."""
        return 0 if self is Domain.HOST else 1 + bin(self.axes.value).count("1")


@cache
def _having(axes: Axis) -> Domain:
    """The domain of arrays that have these axes."""
    return next(found for found in list(Domain)[1:] if found.axes == axes)


#: What there is of matrices only: a parameter of fewer than two axes has none of it.
OF_MATRICES = (Domain.MATRIX, Domain.ROW, Domain.COLUMN)


def join(domains: Iterable[Domain]) -> Domain:
    """The domain of an operation on all."""
    return reduce(Domain.join, domains, Domain.HOST)


def domain_of(expr: sympy.Basic, known: Mapping[sympy.Symbol, Domain]) -> Domain:
    """The domain of an expression, given that of its symbols (others are host scalars)."""
    if isinstance(expr, Draw):
        return Domain.ELEMENT
    if isinstance(expr, sympy.Symbol):
        return known.get(expr, Domain.HOST)
    inside = Domain.HOST
    for arg in expr.args:
        inside = inside.join(domain_of(arg, known))
        if inside is Domain.ELEMENT:
            break  # there is nothing above
    name = HEADS.get(type(expr))
    leaves = OPERATIONS[name].leaves if name else None
    return inside.reduced(leaves) if leaves else inside


def infer_domains(spec: OptimizerSpec | Schedule) -> dict[str, Domain]:
    """The domain of every series of a spec, by name: the least fixpoint of its equations.

    >>> from lucidgen.specs.nadam import NAdam
    >>> found = infer_domains(NAdam)
    >>> found["mu_product"].value, found["m"].value
    ('scalar', 'element')
    """
    names: dict[str, Domain] = {"grad": Domain.ELEMENT, "w": Domain.ELEMENT}
    changed = True
    while changed:
        changed = False
        for equation in spec.equations:
            if equation.series is None:
                continue
            known = {at: names.get(at.series.name, Domain.HOST) for at in equation.right.atoms(At)}
            name = equation.series.name
            old = names.get(name, Domain.HOST)
            new = old.join(domain_of(equation.right, known))
            if name not in names or new is not old:
                names[name] = new
                changed = True
    return names
