"""What templates are given of a rule's loops, whichever language of the C family they are in.

Owns these data. Does not own where they come from, nor how a language takes sums or is called.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....ir.guard import Guard
from ....spec.domains import Domain
from ..c_like import c_choice, c_condition


@dataclass(frozen=True)
class Array:
    """An array of a loop: one of w and the states, or random numbers.

    `place` is where it is among w and the states, and `stored` says whether the loop changes it.
    """

    name: str
    live: Guard
    place: int = 0
    stored: bool = False

    @property
    def condition(self) -> str:
        """When it is used; empty for always."""
        return condition_of(self.live)

    def value(self, text: str, zero: str = "real(0)") -> str:
        """What it has, by a text that reads it; 0 where it is not used."""
        return c_choice(self.live, text, zero)


@dataclass(frozen=True)
class Drawing:
    """Random numbers that a loop draws: the array that has them, and which they are."""

    array: Array
    kind: str
    number: int


@dataclass(frozen=True)
class Margin:
    """An array with a value for each row, column or matrix of a tensor.

    `began` is the place of the state that it begins as, `becomes` of the one that it is in the end:
    -1 for none.
    """

    name: str
    domain: Domain
    began: int = -1
    becomes: int = -1


@dataclass(frozen=True)
class MarginRead:
    """A margin that a loop reads: as what variable, and from which array."""

    name: str
    domain: Domain
    array: str

    def array_from(self, first: str) -> str:
        """The array from an index on."""
        array = f"({self.array})" if " " in self.array else self.array
        return f"{array} + {first}" if first else array


@dataclass(frozen=True)
class Sum:
    """What a loop adds up for a reduction.

    Its variable, the array for sums of rows or columns, the kind of the reduction, and for what it
    leaves a value under which choices.
    """

    name: str
    array: str
    kind: str
    leaves: Domain
    live: Guard

    @property
    def is_of_columns(self) -> bool:
        """Whether it is one of many, which rows are added to: it has no variable of its own."""
        return self.leaves is Domain.COLUMN

    @property
    def condition(self) -> str:
        """When it is made; empty for always."""
        return condition_of(self.live)


@dataclass(frozen=True)
class Loop:
    """A loop, ready for a template.

    Of the scalars, and of the reductions and `margins` that are known when it begins, it has those
    that it reads, each with its place or its text. `numbers` are the states that are one number per
    tensor, `head` is what is computed once, `lines` for each element. Of the choices, `canonical`
    are those that are on, each switched off where it makes no difference, so that equal loops are
    compiled once. `makes` names what it leaves behind.
    """

    name: str
    makes: tuple[str, ...]
    arrays: tuple[Array, ...]
    draws: tuple[Drawing, ...]
    reads_grad: bool
    numbers: tuple[Array, ...]
    scalars: tuple[tuple[str, int], ...]
    found: tuple[tuple[str, str], ...]
    margins: tuple[MarginRead, ...]
    head: tuple[str, ...]
    lines: tuple[str, ...]
    sums: tuple[Sum, ...]
    canonical: tuple[str, ...]

    def margins_of(self, name: str) -> tuple[MarginRead, ...]:
        """The margins with a value for each "row", "column" or "matrix"."""
        return tuple(margin for margin in self.margins if margin.domain.value == name)

    def sums_of(self, name: str) -> tuple[tuple[int, Sum], ...]:
        """The sums that leave a value for each "tensor", "row" or "column", with their places."""
        numbered = enumerate(self.sums)
        return tuple((i, made) for i, made in numbered if made.leaves.value == name)


@dataclass(frozen=True)
class Between:
    """What is done with margins before a loop, ready for a template; its fields are a loop's.

    `finds` says whether it finds numbers in margins.
    """

    name: str
    makes: tuple[str, ...]
    numbers: tuple[Array, ...]
    scalars: tuple[tuple[str, int], ...]
    found: tuple[tuple[str, str], ...]
    finds: bool
    arrays: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    canonical: tuple[str, ...]


@dataclass(frozen=True)
class Loops:
    """The loops of a rule, ready for a template.

    Their arguments are those of the NumPy step, in the same order: w and the states, the scalars,
    the choices. `reductions` are the kinds of all, in the order in which loops find them; `ends`
    says how many are known after each loop. `names` are those of w and the states, `kinds` says
    what each has a value for, `needed` under which choices it is there. If there are states with
    one number per tensor, `numbers` stores them after the loops.

    `margins` are those of a rule that works on rows or columns, `margin_of` says which one each
    reduction gives, or -1, and `live` when it does; `between` has what is done before each loop and
    after the last one, or None. `found` counts the reductions that give one number.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    needed: tuple[str, ...]
    scalars: tuple[str, ...]
    choices: tuple[str, ...]
    loops: tuple[Loop, ...]
    numbers: Loop | None
    reductions: tuple[str, ...]
    ends: tuple[int, ...]
    margins: tuple[Margin, ...]
    margin_of: tuple[int, ...]
    live: tuple[str, ...]
    between: tuple[Between | None, ...]
    found: int

    @property
    def has_phases(self) -> bool:
        """Whether loops wait for each other, or for margins."""
        return bool(self.reductions or self.margins)

    @property
    def draws(self) -> bool:
        """Whether random numbers are drawn."""
        return any(loop.draws for loop in self.loops)

    @property
    def all(self) -> tuple[Loop, ...]:
        """The loops, and what is done after them."""
        return self.loops if self.numbers is None else (*self.loops, self.numbers)

    @property
    def states(self) -> int:
        """How many states are arrays."""
        return len(self.kinds) - 1

    def stores(self, loop: Loop) -> tuple[bool, ...]:
        """Whether a loop changes w and each state."""
        changed = {array.place for array in (*loop.arrays, *loop.numbers) if array.stored}
        return tuple(place in changed for place in range(len(self.kinds)))

    @property
    def read_again(self) -> tuple[bool, ...]:
        """Whether a loop reads what an earlier one has stored, of w and each state."""
        used = [{array.place for array in loop.arrays} for loop in self.loops]
        again = {
            place
            for number, loop in enumerate(self.loops)
            for place, stores in enumerate(self.stores(loop))
            if stores and any(place in later for later in used[number + 1 :])
        }
        return tuple(place in again for place in range(len(self.kinds)))


def condition_of(guard: Guard) -> str:
    """A guard as a condition; empty for always."""
    return "" if guard.is_always else c_condition(guard)
