"""What can be wrong with how a spec reduces over groups of parameters.

Owns the rules about `over_group` and about what is one number per group. `check.py` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy

from ..operations import Largest, Mean, Norm, OverGroup, Reduction, Total
from .domains import NUMBERS, Domain, domain_of, infer_domains, without_groups
from .draws import Draw
from .equation import Eq, wrong
from .errors import Problem
from .names import OPTIMIZER
from .optimizer import OptimizerSpec
from .quantities import At, Series, Shape, values_in

#: What leaves one number per tensor, of which a group is reduced to one.
_OF_TENSORS = (Norm, Mean, Total, Largest)

_EXAMPLE = "Write over_group(total(x)), or mean, norm or largest of a quantity per element."


def groups(spec: OptimizerSpec) -> Iterator[Problem]:
    """What is reduced over a group is one number per tensor; numbers of a group have no shape."""
    if not any(equation.right.has(OverGroup) for equation in spec.equations):
        return
    domains = infer_domains(spec)
    beside = {argument.name for argument in spec.parameters} | OPTIMIZER
    for series in spec.states:
        if domains[series.name] is Domain.GROUP and series.saved_as in beside:
            yield Problem(
                series.location,
                f"the state {series} is saved as {series.saved_as!r}, which a group has already",
                "Give it another saved_as: it is kept in the group, beside the arguments.",
            )
    for equation in spec.equations:
        known = {at: domains.get(at.series.name, Domain.HOST) for at in values_in(equation.right)}
        for over in sorted(equation.right.atoms(OverGroup), key=str):
            yield from _reduced(equation, over, known)
            yield from _drawn(spec, equation, over)
        if equation.series is None:
            continue
        domain = domains[equation.series.name]
        if domain is Domain.GROUP:
            for number in sorted(without_groups(equation.right).atoms(Shape), key=str):
                yield wrong(
                    equation,
                    f"{equation.series} is one number per group and reads {number}, of which each "
                    "parameter has its own",
                    "Read it inside of over_group(...), where a reduction takes it per parameter.",
                )
        elif equation.moment == "t" and _is_of_group(equation, known):
            yield wrong(
                equation,
                f"{equation.left} is one number per group, but {equation.series} begins as one "
                f"per {domain.value}",
                "Let it begin as a number too: Eq(x[0], ...) of hyperparameters, or Eq(x[1], ...) "
                "with over_group(...).",
            )


def _reduced(equation: Eq, over: OverGroup, known: Mapping[At, Domain]) -> Iterator[Problem]:
    """What is wrong with one reduction over a group."""
    (inside,) = over.args
    domain = domain_of(inside, known)
    if equation.moment == "start" or (isinstance(inside, Reduction) and domain in NUMBERS):
        return  # that is said of every reduction
    if domain is Domain.GROUP:
        yield wrong(
            equation, f"{over} is of a quantity per group, which is one number already", _EXAMPLE
        )
    elif domain is Domain.HOST:
        yield wrong(equation, f"{over} is of a plain number, which no parameter changes", _EXAMPLE)
    elif not isinstance(inside, _OF_TENSORS):
        yield wrong(
            equation,
            f"{over} is of a quantity per {domain.value}, which is not reduced to one number per "
            "tensor",
            _EXAMPLE,
        )
    elif isinstance(inside, Mean) and domain_of(inside.args[0], known) is not Domain.ELEMENT:
        yield wrong(
            equation,
            f"{over} is a mean of what is not per element, of which parameters differ in number",
            "Divide two sums: over_group(total(x)) / over_group(total(y)).",
        )


def _drawn(spec: OptimizerSpec, equation: Eq, over: OverGroup) -> Iterator[Problem]:
    """What a parameter gives to a sum over its group is not drawn, nor by way of a series."""
    seen, todo = set[Series](), [("", over.args[0])]
    while todo:
        by, expr = todo.pop(0)
        if expr.has(Draw):
            yield wrong(
                equation,
                f"{over} is of a random number{by}",
                "Sum what is not drawn, and draw in what the step does with the sum.",
            )
            return
        read = {at.series for at in values_in(expr) if at.shift == 0} - seen
        seen |= read
        todo += [
            (f", by way of {e.series}", e.normalised())
            for e in spec.equations
            if e.series in read and e.moment != "start"
        ]


def _is_of_group(equation: Eq, known: Mapping[At, Domain]) -> bool:
    """Whether a right side is one number per group, if its own last value is."""
    own = {at: Domain.GROUP for at in known if at.series == equation.series}
    return domain_of(equation.right, {**known, **own}) is Domain.GROUP and _reads_group(
        equation.right, known
    )


def _reads_group(expr: sympy.Basic, known: Mapping[At, Domain]) -> bool:
    read = (known[at] for at in values_in(without_groups(expr)))
    return expr.has(OverGroup) or Domain.GROUP in read
