"""A few that show together all that many show, for checks that take too long for each of them.

Owns the choice (`cover`) and what an optimizer shows (`features`): what a target can go wrong on.
What is checked is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

import sympy

from ..ir.phases import phases
from ..ir.program import Let, Program
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import At
from ..targets.common.trees import tree_of, walk

T = TypeVar("T")
Features = Collection[Hashable]


def cover(items: Sequence[T], shows: Callable[[T], Features]) -> list[T]:
    """A few of the items that show together all that all of them show, in their order.

    Each is the one that shows most of what those before it do not, and of these the first: whoever
    shows something new is among them.

    >>> cover(["ab", "a", "bc", "cd"], set)
    ['ab', 'cd']
    """
    shown = [set(shows(item)) for item in items]
    left, taken = set[Hashable]().union(*shown), list[int]()
    while left:
        best = max(range(len(items)), key=lambda i: len(shown[i] & left))
        taken.append(best)
        left -= shown[best]
    return [items[i] for i in sorted(taken)]


def features(spec: OptimizerSpec, program: Program) -> frozenset[Hashable]:
    """What a reading shows, given its program as the passes leave it.

    Each operation with the place where it is done, kinds of numbers, of states, of their starts and
    first updates, of static choices and of the cases that they make, and how many arrays and phases
    there are.

    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.passes import optimize
    >>> from lucidgen.specs.sgd import SGD
    >>> shown = features(SGD, optimize(lower(SGD)))
    >>> ("operation", "element", "mul") in shown, ("first update", "element") in shown
    (True, True)
    """
    return frozenset([*_of_spec(spec, program), *_of_program(program)])


def done_for(domains: Container[str], shown: Iterable[Hashable]) -> frozenset[Hashable]:
    """What matters of features where all that is of other domains comes from elsewhere."""
    return frozenset(
        feature
        for feature in shown
        if not (
            isinstance(feature, tuple)
            and feature[0] in ("operation", "number", "name", "constant")
            and feature[1] not in domains
        )
    )


def _of_spec(spec: OptimizerSpec, program: Program) -> Iterator[Hashable]:
    """States, and how they come to be."""
    domains = {output.after.name: output.domain.value for output in program.outputs}
    for series, equation in spec.by_moment("start").items():
        right = equation.right
        kinds = "weights" if right.atoms(At) else "settings" if right.free_symbols else "a number"
        yield "start", domains.get(series.name), kinds
    for series in spec.by_moment("first"):
        yield "first update", "w" if series.name == "w" else domains.get(series.name)
    if any(series.keep for series in spec.states):
        yield ("kept",)


def _of_program(program: Program) -> Iterator[Hashable]:
    """What is computed, where and in which cases."""
    for let in program.lets:
        yield from _of_let(let)
    arrays = [output for output in program.outputs if output.before.name != "w[t - 1]"]
    yield "arrays", len([o for o in arrays if o.domain.value == "element"])
    yield "phases", len(phases(program))
    for output in arrays:
        yield "state", output.domain.value, output.live.is_always
    for name in program.choices:
        known = ("use_", "first_", "scale_grad")
        kind = next((k for k in known if name.startswith(k)), "flag")
        yield "choice", "condition" if name in program.conditions else kind
    yield from (("input", i.kind, i.domain.value) for i in program.inputs)


def _of_let(let: Let) -> Iterator[Hashable]:
    where = let.domain.value
    tree = tree_of(let.value)
    for operation in walk(tree):
        yield "operation", where, operation.name
        for operand in operation.args:
            if isinstance(operand, sympy.Number):
                yield "number", where, bool(operand.is_Integer), bool(operand.is_negative)
    if isinstance(tree, sympy.Basic):
        yield "name" if isinstance(tree, sympy.Symbol) else "constant", where
    cases = [] if let.guard.is_always else str(let.guard).split(" or ")
    yield "case", where, len(cases) > 1, any("not " in case for case in cases)
