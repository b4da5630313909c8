"""The programs of a spec: that of the step and, if it reduces over groups, what comes before it.

Owns which specs a step consists of, and what each must know of the others. How one of them becomes
a program is `lowering`'s, how it is cut off `groups`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..spec.check import check
from ..spec.optimizer import OptimizerSpec
from .groups import Part, Parts, Round, split
from .guard import Guard
from .lowering import Lowering
from .program import Program, series_of


def lower(spec: OptimizerSpec) -> Program:
    """The program of one reading of an optimizer, with all its static choices open.

    Raises
    ------
    SpecError
        If anything is wrong with the spec.

    >>> from lucidgen.passes.examples import show
    >>> from lucidgen.specs.sgd import SGD
    >>> show(lower(SGD.dialects["devlog"]))
    scaled_grad = Max(-grad_bound, Min(grad_bound, grad*grad_factor))  if scale_grad
    scaled_grad = grad  if not scale_grad
    b = b[t - 1]*momentum + scaled_grad  if use_momentum
    _1 = b  if use_momentum
    _1 = scaled_grad  if not use_momentum
    u = _1 + w[t - 1]*weight_decay  if use_weight_decay
    u = _1  if not use_weight_decay
    w = -lr*u + w[t - 1]
    """
    check(spec)
    parts = split(spec)
    return Lowering(spec).program().check() if parts is None else _step(parts, lower_rounds(spec))


@dataclass(frozen=True)
class LoweredRound:
    """A round of a step that reduces over groups: its sums, and the programs of its parts."""

    round: Round
    shares: Program | None
    values: Program | None


@lru_cache(maxsize=8)  # of one spec the step asks, the package and the cost
def lower_rounds(spec: OptimizerSpec) -> tuple[LoweredRound, ...]:
    """The programs of what is computed of whole groups before the step; none without groups."""
    parts = split(spec)
    rounds = () if parts is None else parts.rounds
    return tuple(LoweredRound(r, _part(r.shares), _part(r.values)) for r in rounds)


def _part(part: Part | None) -> Program | None:
    return None if part is None else Lowering(part).program().check()


def _step(parts: Parts, rounds: tuple[LoweredRound, ...]) -> Program:
    """The program of the parameters' own step, with the states that rounds before it read."""
    lowering = Lowering(parts.step)
    states = {series.name for series in parts.step.states}
    for shares in filter(None, (r.shares for r in rounds)):
        for output in shares.outputs[1:]:
            if series_of(output.before) in states:
                never = ~Guard.always(lowering.choices)
                where = lowering.read_besides.get(output.after, never)
                lowering.read_besides[output.after] = where | output.live.over(lowering.choices)
    return lowering.program().check()
