"""What is computed of whole groups before their parameters step, compiled.

Owns how a round becomes functions: the shares of its sums are a rule like any other, and what is
made of the sums a function of numbers. What a round is, is `ir.groups`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from ..ir.lower import LoweredRound, lower_rounds
from ..passes import optimize
from ..passes.capture import capture
from ..spec.optimizer import OptimizerSpec
from ..targets.common.host import WORDS, host_function
from ..targets.common.names import Words, renamed
from ..targets.common.target import Target
from .rule import CompiledRound, CompiledRule, Values, shape_numbers


def compiled_rounds(
    spec: OptimizerSpec, name: str, title: str, targets: tuple[Target, ...]
) -> tuple[CompiledRound, ...]:
    """What a reading computes of whole groups, for all targets; nothing if it has no groups.

    Parameters
    ----------
    spec : OptimizerSpec
        The reading.
    name, title : str
        What its functions are called, and what it is called in sentences.
    targets : tuple of Target
        The targets.
    """
    taken = reduce(or_, (target.words for target in targets), WORDS)
    rounds = lower_rounds(spec)
    all_shares = [found for found in rounds if found.shares]
    all_values = [found for found in rounds if found.values]
    made = []
    for found in rounds:
        shares = None
        if found.shares is not None and found.round.shares is not None:
            part, called = found.round.shares, _numbered(f"{name}_shares", found, all_shares)
            own = [s.name for s in (*part.hypers, *part.flags, *shape_numbers(part))]
            program, names = renamed(optimize(found.shares), taken.free, [*own, *part.given])
            said = f"the round of sums of {title}"
            shares = CompiledRule(part, part, program, names, called, targets, called_so=said)
        known = {} if shares is None else shares.names
        sums = {known.get(s.name, s.name): s.kind for s in found.round.sums}
        values = values_of(found, _numbered(f"{name}_group", found, all_values), title, taken)
        made.append(CompiledRound(sums, shares, values))
    return tuple(made)


def _numbered(name: str, of: LoweredRound, among: Sequence[LoweredRound]) -> str:
    """A name, with a number where there are several."""
    return f"{name}_{among.index(of) + 1}" if len(among) > 1 else name


def values_of(lowered: LoweredRound, name: str, title: str, taken: Words) -> Values | None:
    """The function that makes numbers of a group of the sums of a round."""
    if lowered.values is None:
        return None
    program, _ = renamed(optimize(lowered.values), taken.free)
    captured = capture(program).check()
    return Values(name, title, host_function(program), host_function(captured))
