"""Complete kernels in Metal of rules that reduce: loops that wait for each other.

Owns how Metal says what their templates are given beside the loops (`common.loops`), and how much
memory a step needs besides. What runs the loops, sums included, is in the header `phases.h`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...ir.program import Program
from ..common import loops
from ..common.loops import Between, is_in
from ..common.target import Unserved
from .language import HELPERS, LOOPS, RANDOM

#: Metal gives a kernel no more buffers than this.
MAX_BUFFERS = 31

#: How many there are of what margins have values for.
COUNTS = {"row": "matrices * rows", "column": "matrices * columns", "matrix": "matrices"}

#: How many parts there are at most of a sum, by what that leaves a value for, and of one over a
#: tensor that is no matrix (`Tiling` in the header).
PARTS = {
    "tensor": "matrices * ceil(rows / 64) * ceil(columns / 32)",
    "row": "matrices * rows * ceil(columns / 32)",
    "column": "matrices * ceil(rows / 64) * columns",
}
PARTS_OF_ALL = "ceil(size / 4096)"


class Phases(loops.Phases):
    """The loops of a rule, and what stands around them."""

    @property
    def live(self) -> list[str]:
        """Which of w and the states are needed, as bits."""
        return self.texts_of_live("uint")

    @property
    def extents(self) -> tuple[str, ...]:
        """What kernels are told of a tensor's shape."""
        return ("matrices", "rows", "columns") if self.loops.margins else ("size",)

    @property
    def most_sums(self) -> int:
        """How many sums a loop takes at most."""
        return max(map(len, self.sums))

    def chosen(self, *texts: str) -> tuple[str, ...]:
        """The choices that some lines ask for."""
        return tuple(name for name in self.loops.choices if is_in(name, texts))

    @property
    def order(self) -> Iterator[str]:
        """The kernels in their order: over what, and the name of it."""
        margins = self.loops.margins
        if any(margin.began >= 0 for margin in margins):
            yield "Begin"
        for each in self.in_order:
            if isinstance(each, Between):
                yield f"OverMargins<{{rule}}_{each.name}>"
                continue
            over = "OverTensors" if each is self.loops.numbers else "OverElements"
            yield f"{over}<{{rule}}_{each.name}>"
            if self.sums_of(each):
                yield f"Finish<{{rule}}_{each.name}>"
        if any(margin.becomes >= 0 for margin in margins):
            yield "End"

    @property
    def room(self) -> str:
        """How many floats a step needs besides, at most."""
        margins = Counter(COUNTS[margin.domain.value] for margin in self.loops.margins)
        each = [Counter(self._parts(of.of for of in sums)) for sums in self.sums]
        parts = {of: max(own[of] for own in each) for own in each for of in own}
        counted = [f"{count} * {of}" if count > 1 else of for of, count in margins.items()]
        counted += [f"{count} * {of}" if count > 1 else of for of, count in parts.items()]
        return " + ".join(text.replace(" ", "\u00a0") for text in (str(self.loops.found), *counted))

    @property
    def room_of_halves(self) -> str:
        """How many more it needs where arrays are halves; empty for none."""
        size = " * ".join(self.extents)
        count = len(self.read_again)
        text = f"{count} * {size}" if count > 1 else size if count else ""
        return text.replace(" ", "\u00a0")

    def _parts(self, leave: Iterable[str]) -> Iterator[str]:
        for of in leave:
            yield PARTS[of] if self.loops.margins else PARTS_OF_ALL


def phases(program: Program) -> Phases:
    """The loops of a program in Metal.

    Raises
    ------
    Unserved
        If it takes no sum, has too many choices, or needs more buffers than Metal has.
    """
    found = Phases(**vars(loops.phases(program, LOOPS, HELPERS, RANDOM)))
    needed = 4 + found.loops.states  # w, grad, the arguments and the room
    if needed > MAX_BUFFERS:
        raise Unserved(f"it would need {needed} buffers, and Metal has {MAX_BUFFERS}")
    return found
