"""Static choices that make no difference, so that combinations with equal results share one body.

Owns the comparison of what is left under each combination. Does not own how C++ chooses by it.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from ...ir.guard import Guard, row_of
from ...ir.program import Program
from .c_like import c_condition

#: Each combination of choices is a loop of its own: with more than these there are too many.
MAX_CHOICES = 8


def canonical(program: Program, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Each choice as a condition: off where it makes no difference to what is computed."""
    rows = list(product((False, True), repeat=len(choices)))
    others = dict.fromkeys(program.choices, False)

    @cache
    def computed(row: tuple[bool, ...]) -> tuple[object, ...]:
        """What the program does under these choices."""
        on = others | dict(zip(choices, row, strict=True))
        number = row_of(program.choices, on)
        lets = tuple(i for i, let in enumerate(program.body) if let.guard.holds_in(number))
        return lets, tuple(o.after for o in program.outputs if o.live.holds_in(number))

    reduced = {row: row for row in rows}
    for row in rows:
        for i, on in enumerate(row):
            less = (*reduced[row][:i], False, *reduced[row][i + 1 :])
            if on and computed(less) == computed(reduced[row]):
                reduced[row] = less
    found = []
    for i in range(len(choices)):
        guard = ~Guard.always(choices)
        for row in rows:
            if reduced[row][i]:
                guard |= _row(choices, row)
        found.append(c_condition(guard) if guard else "false")
    return tuple(found)


def _row(choices: tuple[str, ...], row: tuple[bool, ...]) -> Guard:
    return Guard(choices, 1 << sum(1 << i for i, on in enumerate(row) if on))
