"""Along which axes a quantity varies: which it has, what operations and reductions make of them.

Owns `Domain` and its inference from the equations. What follows from a domain (hoisting, state
layout) is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, Flag, auto
from functools import cache, cached_property, lru_cache, reduce

import sympy

from ..operations import HEADS, OPERATIONS, OverGroup, Reduction
from .draws import Draw
from .equation import Eq
from .expressions import KEPT, symbols_in
from .optimizer import OptimizerSpec
from .quantities import At, values_in
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

    What is per group has no array either, and is known once all parameters of the group are.
    A tensor of more than two axes may be many matrices. So what rows are reduced to is one number
    per matrix, which is not yet one per tensor.
    """

    HOST = "scalar", NO_AXES
    GROUP = "group", NO_AXES
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
        if self is other:
            return self
        low, high = (self, other) if self.rank <= other.rank else (other, self)
        return high if low in NUMBERS else _having(self.axes | other.axes)

    def reduced(self, leaves: str) -> Domain:
        """The domain of a reduction that leaves tensors, rows or columns: it has the axes of both.

        >>> Domain.ELEMENT.reduced("row").value, Domain.COLUMN.reduced("row").value
        ('row', 'matrix')
        """
        return self if self in NUMBERS else _having(self.axes & Domain(leaves).axes)

    @cached_property
    def rank(self) -> int:
        """How many axes it has, after what has no array: what has less can be computed first."""
        if self in NUMBERS:
            return NUMBERS.index(self)
        return len(NUMBERS) + bin(self.axes.value).count("1")


#: What is no array, in the order in which it is known.
NUMBERS = (Domain.HOST, Domain.GROUP)


@cache
def _having(axes: Axis) -> Domain:
    """The domain of arrays that have these axes."""
    return next(found for found in Domain if found not in NUMBERS and found.axes == axes)


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
    if isinstance(expr, OverGroup):
        return Domain.GROUP
    inside = Domain.HOST
    # Where nothing is reduced, the domain is that of the symbols together.
    for part in expr.args if _reduces(expr) else symbols_in(expr):
        inside = inside.join(domain_of(part, known))
        if inside is Domain.ELEMENT:
            break  # there is nothing above
    name = HEADS.get(type(expr))
    leaves = OPERATIONS[name].leaves if name else None
    return inside.reduced(leaves) if leaves else inside


@lru_cache(maxsize=KEPT)
def _reduces(expr: sympy.Basic) -> bool:
    """Whether an expression has a reduction in it, or is one."""
    return isinstance(expr, Reduction | OverGroup) or any(map(_reduces, expr.args))


def infer_domains(spec: OptimizerSpec | Schedule) -> dict[str, Domain]:
    """The domain of every series of a spec, by name: the least fixpoint of its equations.

    >>> from lucidgen.specs.nadam import NAdam
    >>> found = infer_domains(NAdam)
    >>> found["mu_product"].value, found["m"].value
    ('scalar', 'element')
    """
    return dict(_inferred(spec))


@lru_cache(maxsize=256)  # asked for by every check, and by most of what follows
def _inferred(spec: OptimizerSpec | Schedule) -> dict[str, Domain]:
    names: dict[str, Domain] = {"grad": Domain.ELEMENT, "w": Domain.ELEMENT}
    if isinstance(spec, OptimizerSpec):
        names |= spec.known_domains
    changed = True
    while changed:
        changed = False
        for equation in spec.equations:
            if equation.series is None:
                continue
            known = {at: names.get(at.series.name, Domain.HOST) for at in values_in(equation.right)}
            name = equation.series.name
            old = names.get(name, Domain.HOST)
            found = {name: old.join(domain_of(equation.right, known))}
            if found[name] is Domain.GROUP:
                found |= _counted_by_group(spec, equation, known)
            for series, domain in found.items():
                if names.get(series) is not domain:
                    names[series] = domain
                    changed = True
    return names


def _counted_by_group(
    spec: OptimizerSpec | Schedule, equation: Eq, known: Mapping[At, Domain]
) -> dict[str, Domain]:
    """The numbers of the host that a group's equation reads and that live from step to step.

    A parameter would count them by its own steps, and a group has steps of its own.
    """
    kept = {at.series for e in spec.equations for at in values_in(e.right) if at.shift == -1}
    read = values_in(without_groups(equation.right))
    return {
        at.series.name: Domain.GROUP
        for at in read
        if known[at] is Domain.HOST and at.series in kept
    }


@lru_cache(maxsize=1024)  # the cut into parts asks it of one equation many times
def without_groups(expr: sympy.Basic) -> sympy.Basic:
    """An expression with the reductions over groups taken out."""
    return expr.xreplace(dict.fromkeys(expr.atoms(OverGroup), sympy.S.One))
