"""A step as a function in Python, for the targets that emit one: what it is given and gives.

Does not own the lines in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.program import DRAWN, Program, name_of, series_of
from ...spec.domains import Domain


@dataclass(frozen=True)
class StepFunction:
    """A step function, ready for a template."""

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: int = 0


def step_parameters(program: Program, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a step is given: w, grad, the array states, draws, scalars and choices that it reads.

    `own` are further arguments that belong to one parameter, as the arrays do.
    """
    arrays = [
        series_of(i.symbol)
        for i in program.inputs
        if i.domain is not Domain.HOST and i.kind not in DRAWN
    ]
    arrays += [drawn.symbol.name for drawn in program.drawn]
    asked = {name for let in program.body for name in let.guard.support}
    asked |= {s.name for let in program.body for s in let.reads}
    read = scalars(program)
    return (*arrays, *own, *read, *(n for n in program.choices if n in asked and n not in read))


def scalars(program: Program) -> tuple[str, ...]:
    """The host scalars that the body reads, hyperparameters included, in the order of reading."""
    found = {
        read.name: None
        for let in program.body
        for read in sorted(let.reads, key=name_of)
        if program.domains.get(read) is Domain.HOST
    }
    return tuple(found)
