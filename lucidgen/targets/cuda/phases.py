"""Complete kernels in CUDA of rules that reduce: loops that wait for each other.

Owns how CUDA says what their templates are given beside the loops (`common.loops`). What runs them,
sums included, is in the header `phases.cuh`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.program import Program
from ..common import loops
from ..common.loops import Between, Loop
from .language import HELPERS, LOOPS, RANDOM


class Phases(loops.Phases):
    """The loops of a rule, and what stands around them."""

    @property
    def live(self) -> list[str]:
        """Which of w and the states are needed, as bits."""
        return self.texts_of_live("unsigned")

    def texts_of_sums(self, loop: Loop) -> list[str]:
        """The reductions of a loop."""
        return [
            f"Sum<Reduction::{made.kind}, Of::{made.of}, {made.to}"
            f"{'' if made.condition == 'true' else f', {made.condition}'}>"
            for made in self.sums_of(loop)
        ]

    @property
    def order(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """What is run: over what, the name of it, and its choices."""
        for each in self.in_order:
            over = "OverTensors" if each is self.loops.numbers else "OverElements"
            if isinstance(each, Between):
                over = "OverMargins"
            yield over, each.name, each.canonical


def phases(program: Program) -> Phases:
    """The loops of a program in CUDA.

    Raises
    ------
    Unserved
        If it takes no sum, has too many choices, or more states than there are bits.
    """
    return Phases(**vars(loops.phases(program, LOOPS, HELPERS, RANDOM)))
