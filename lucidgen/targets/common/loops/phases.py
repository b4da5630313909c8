"""Loops that wait for each other, as kernels: what the templates of GPU languages are given.

Owns what each loop loads, stores and keeps, what its sums leave a value for, and the order of all.
Does not own how a language says these things, nor what takes the sums.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from ....ir.program import Program
from ..target import Unserved
from .data import Between, Loop, Loops
from .language import Language
from .writer import loops

#: Of w and the states, which are there, read and stored is said in a word.
BITS = 32


class NoPhases(Unserved):
    """A program in which no loop waits for another one."""


@dataclass(frozen=True)
class MadeSum:
    """A reduction of a loop: its kind, what it leaves a value for, where that goes (among margins,
    or what is found), and when it is made ("true" for always).
    """

    kind: str
    of: str
    to: int
    condition: str


@dataclass(frozen=True)
class Phases:
    """The loops of a rule, and what stands around them.

    `helpers` are the functions of ours that are called, and `sums` come loop by loop.
    """

    loops: Loops
    helpers: tuple[str, ...]
    sums: tuple[tuple[MadeSum, ...], ...]

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
    def in_order(self) -> Iterator[Between | Loop]:
        """The loops, and what is done between them."""
        for pair in zip_longest(self.loops.between, self.loops.all):
            yield from (each for each in pair if each is not None)

    def texts_of_live(self, uint: str) -> list[str]:
        """Which of w and the states are needed, as bits, of a language's unsigned integers."""
        ones = ("1u" if needed == "true" else f"{uint}({needed})" for needed in self.loops.needed)
        return [f"{one} << {place}" if place else one for place, one in enumerate(ones)]

    def sums_of(self, loop: Loop) -> tuple[MadeSum, ...]:
        """The reductions of a loop."""
        return dict(zip(self.loops.loops, self.sums, strict=True)).get(loop, ())

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


def phases(program: Program, language: Language, helpers: Mapping[str, str], random: str) -> Phases:
    """The loops of a program in a language.

    Parameters
    ----------
    program : Program
        As it leaves the passes.
    language : Language
        What they are written in.
    helpers : mapping of str to str
        The texts of functions of ours that they may call, by name.
    random : str
        The functions that draw random numbers.

    Raises
    ------
    NoPhases
        If it takes no sum.
    Unserved
        If it has too many choices, or more states than there are bits.
    """
    found = loops(program, language)
    if not found.has_phases:
        raise NoPhases("no loop waits for another one")
    if found.states >= BITS:
        raise Unserved(f"it has {found.states} states, and there are bits for {BITS - 1}")
    lines = [line for loop in found.all for line in (*loop.head, *loop.lines)]
    lines += [line for of in found.between if of for line in of.lines]
    called = [text for name, text in helpers.items() if is_in(name, lines, r"\(")]
    return Phases(
        loops=found,
        helpers=(*called, *([random] if found.draws else [])),
        sums=tuple(_sums(found)),
    )


def is_in(name: str, texts: Iterable[str], behind: str = r"\b") -> bool:
    """Whether a name occurs in some texts, with a pattern behind it."""
    return any(re.search(rf"\b{name}{behind}", text) for text in texts)


def _sums(of: Loops) -> Iterator[tuple[MadeSum, ...]]:
    first = 0
    for loop, end in zip(of.loops, of.ends, strict=True):
        yield tuple(
            MadeSum(
                of.reductions[i],
                made.leaves.value,
                of.margin_of[i] if of.margin_of[i] >= 0 else i,
                made.condition or "true",
            )
            for i, made in zip(range(first, end), loop.sums, strict=True)
        )
        first = end
