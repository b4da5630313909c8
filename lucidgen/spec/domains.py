"""Where a quantity lives: on the host, once per tensor, matrix, row, column, or per element.

Owns the lattice `Domain` and its inference from the equations. What follows from a domain
(hoisting, state layout) is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property, reduce

import sympy

from ..operations import HEADS, OPERATIONS
from .optimizer import OptimizerSpec
from .quantities import At
from .schedule import Schedule


class Domain(Enum):
    """A set of axes along which a quantity varies; HOST is known before any array is touched.

    A tensor of more than two axes may hold many matrices; TENSOR is of all of them together.
    """

    HOST = "scalar"
    TENSOR = "tensor"
    MATRIX = "matrix"
    ROW = "row"
    COLUMN = "column"
    ELEMENT = "element"

    def join(self, other: Domain) -> Domain:
        """The smallest domain that holds both.

        >>> Domain.HOST.join(Domain.ROW), Domain.ROW.join(Domain.COLUMN)
        (<Domain.ROW: 'row'>, <Domain.ELEMENT: 'element'>)
        """
        if self is other:
            return self
        if self.rank == other.rank:
            return Domain.ELEMENT
        return self if self.rank > other.rank else other

    @cached_property
    def rank(self) -> int:
        """The height in the lattice; rows and columns are equally high."""
        ranks = {"scalar": 0, "tensor": 1, "matrix": 2, "row": 3, "column": 3, "element": 4}
        return ranks[self.value]

    def reduced(self, leaves: str) -> Domain:
        """What a reduction makes of values of this domain that leaves tensors, rows or columns.

        >>> Domain.ELEMENT.reduced("row"), Domain.ROW.reduced("tensor")
        (<Domain.ROW: 'row'>, <Domain.TENSOR: 'tensor'>)
        >>> Domain.ROW.reduced("column")
        <Domain.MATRIX: 'matrix'>
        """
        left = Domain(leaves)
        if {self, left} == {Domain.ROW, Domain.COLUMN}:
            return Domain.MATRIX
        return left if left.rank < self.rank else self


#: What there is of matrices only: a parameter of fewer than two axes has none of it.
OF_MATRICES = (Domain.MATRIX, Domain.ROW, Domain.COLUMN)


def join(domains: Iterable[Domain]) -> Domain:
    """The smallest domain that holds all."""
    return reduce(Domain.join, domains, Domain.HOST)


def domain_of(expr: sympy.Basic, known: Mapping[sympy.Symbol, Domain]) -> Domain:
    """The domain of an expression, given that of its symbols (others are host scalars)."""
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
