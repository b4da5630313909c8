"""Complete kernels in CUDA of rules that reduce: loops that wait for each other.

Owns what their templates are given beside the loops (`common.loops`). What runs them, sums
included, is in the header `phases.cuh`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from ...ir.program import Program
from ..common import loops
from ..common.loops import Loop, Loops
from ..common.target import Unserved
from .language import HELPERS, LOOPS, RANDOM

#: Of w and the states, which are there, read and stored is said in a word.
BITS = 32


@dataclass(frozen=True)
class Phases:
    """The loops of a rule, and what stands around them.

    `helpers` are the functions of ours that are called, and `reductions` come loop by loop: the
    kind, what it leaves a value for, where that goes (among margins, or what is found), and when it
    is made.
    """

    loops: Loops
    helpers: tuple[str, ...]
    reductions: tuple[tuple[tuple[str, str, int, str], ...], ...]

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states."""
        return self.loops.names[1:]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The places, among w and the states, of what is one number for each tensor."""
        return tuple(i for i, kind in enumerate(self.loops.kinds) if kind == "tensor")

    @property
    def read_again(self) -> tuple[int, ...]:
        """The places of what a loop reads as an earlier one has made it."""
        return tuple(i for i, again in enumerate(self.loops.read_again) if again)

    @property
    def texts_of_live(self) -> list[str]:
        """Which of w and the states are needed, as bits."""
        ones = ("1u" if needed == "true" else f"unsigned({needed})" for needed in self.loops.needed)
        return [f"{one} << {place}" if place else one for place, one in enumerate(ones)]

    def texts_of_sums(self, number: int) -> list[str]:
        """The reductions of a loop."""
        return [
            f"Sum<Reduction::{kind}, Of::{of}, {to}{'' if made == 'true' else f', {made}'}>"
            for kind, of, to, made in self.reductions[number]
        ]

    @property
    def order(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """What is run: over what, the name of it, and its choices."""
        for between, loop in zip_longest(self.loops.between, self.loops.all):
            if between is not None:
                yield "OverMargins", between.name, between.canonical
            if loop is not None:
                over = "OverTensors" if loop is self.loops.numbers else "OverElements"
                yield over, loop.name, loop.canonical

    def loads(self, loop: Loop) -> tuple[int, ...]:
        """The places, among w and the states, of what a loop reads or stores."""
        return tuple(sorted({array.place for array in (*loop.arrays, *loop.numbers)}))

    def stores(self, loop: Loop) -> tuple[int, ...]:
        """The places of what it stores."""
        return tuple(place for place, stored in enumerate(self.loops.stores(loop)) if stored)

    def kept(self, loop: Loop) -> tuple[int, ...]:
        """The places of what it makes for a later loop, or has of an earlier one."""
        again = {place for place, read in enumerate(self.loops.read_again) if read}
        done = {p for of in self._until(loop) for p in self.stores(of)}
        return tuple(place for place in self.loads(loop) if place in again & done)

    def _until(self, loop: Loop) -> Iterator[Loop]:
        """The loops up to this one."""
        for other in self.loops.all:
            yield other
            if other is loop:
                return


def phases(program: Program) -> Phases:
    """The loops of a program in CUDA.

    Raises
    ------
    Unserved
        If it takes no sum, has too many choices, or more states than there are bits.
    """
    found = loops.loops(program, LOOPS)
    if not found.has_phases:
        raise Unserved("no loop waits for another one")
    if found.states >= BITS:
        raise Unserved(f"it has {found.states} states, and there are bits for {BITS - 1}")
    texts = [line for loop in found.all for line in (*loop.head, *loop.lines)]
    texts += [line for of in found.between if of for line in of.lines]
    helpers = [text for name, text in HELPERS.items() if _is_called(name, texts)]
    return Phases(
        loops=found,
        helpers=(*helpers, *([RANDOM] if found.draws else [])),
        reductions=tuple(_reductions(found)),
    )


def _is_called(name: str, lines: list[str]) -> bool:
    return any(re.search(rf"\b{name}\(", line) for line in lines)


def _reductions(of: Loops) -> Iterator[tuple[tuple[str, str, int, str], ...]]:
    first = 0
    for loop, end in zip(of.loops, of.ends, strict=True):
        yield tuple(
            (
                of.reductions[i],
                made.leaves.value,
                of.margin_of[i] if of.margin_of[i] >= 0 else i,
                made.condition or "true",
            )
            for i, made in zip(range(first, end), loop.sums, strict=True)
        )
        first = end
