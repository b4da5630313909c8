"""Conditions over static choices, for which lets and outputs hold.

Owns their algebra and how they read. Does not own which choices there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache


@cache
def _column(bit: int, number: int) -> int:
    """The truth table of one among a number of choices."""
    half = 1 << bit
    table, rows = ((1 << half) - 1) << half, 2 * half
    while rows < 1 << number:
        table, rows = table | table << rows, 2 * rows
    return table


@cache
def _all(number: int) -> int:
    """The truth table of what holds whatever a number of choices are."""
    return (1 << (1 << number)) - 1


def row_of(choices: tuple[str, ...], on: Mapping[str, bool]) -> int:
    """The number of an assignment of all choices."""
    return sum(1 << i for i, name in enumerate(choices) if on[name])


@dataclass(frozen=True)
class Guard:
    """A condition over static choices, as a truth table: bit i answers for the i-th assignment.

    Equal conditions are equal guards, whatever they were built from.

    >>> amsgrad, use_decay = (Guard.of(name, ("amsgrad", "use_decay")) for name in
    ...                       ("amsgrad", "use_decay"))
    >>> print(amsgrad & ~use_decay)
    amsgrad and not use_decay
    >>> (amsgrad & use_decay).implies(amsgrad), amsgrad.excludes(~amsgrad)
    (True, True)
    """

    choices: tuple[str, ...]
    table: int

    @classmethod
    @lru_cache(maxsize=256)
    def always(cls, choices: tuple[str, ...]) -> Guard:
        """The guard that always holds."""
        return cls(choices, _all(len(choices)))

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, name: str, choices: tuple[str, ...]) -> Guard:
        """The guard that one choice holds."""
        return cls(choices, _column(choices.index(name), len(choices)))

    def __and__(self, other: Guard) -> Guard:
        return Guard(self.choices, self.table & other.table)

    def __or__(self, other: Guard) -> Guard:
        return Guard(self.choices, self.table | other.table)

    def __invert__(self) -> Guard:
        return Guard(self.choices, self.table ^ _all(len(self.choices)))

    def __bool__(self) -> bool:
        return self.table != 0

    @property
    def is_always(self) -> bool:
        """Whether it holds under every assignment."""
        return self.table == _all(len(self.choices))

    def implies(self, other: Guard) -> bool:
        """Whether other holds wherever this one does."""
        return not self.table & ~other.table

    def excludes(self, other: Guard) -> bool:
        """Whether the two never hold together."""
        return not self.table & other.table

    def given(self, name: str, value: bool) -> Guard:
        """The guard once a choice is made: it no longer depends on it."""
        no, yes, step = self._halves(name)
        return Guard(self.choices, yes | yes >> step if value else no | no << step)

    def within(self, other: Guard) -> Guard:
        """The guard where another one is known to hold.

        >>> a, b = (Guard.of(name, ("a", "b")) for name in "ab")
        >>> str((a & b).within(a)), str(a.within(a)), str(a.within(b))
        ('b', 'always', 'a')
        """
        if other.implies(self):
            return Guard.always(self.choices)
        found = self
        for name, value in other.literals or ():
            found = found.given(name, value)
        return found

    def over(self, choices: tuple[str, ...]) -> Guard:
        """The guard over other choices; of its own, those that are not there may be either way."""
        always = Guard.always(choices)
        if not self or self.is_always:
            return always if self else ~always
        name = self.support[0]
        yes, no = (self.given(name, answer).over(choices) for answer in (True, False))
        if name not in choices:
            return yes | no
        literal = Guard.of(name, choices)
        return (literal & yes) | (~literal & no)

    def _halves(self, name: str) -> tuple[int, int, int]:
        """The table where a choice is off and where it is on, and how far apart the two lie."""
        bit = self.choices.index(name)
        yes = self.table & _column(bit, len(self.choices))
        return self.table ^ yes, yes, 1 << bit

    def holds(self, on: Mapping[str, bool]) -> bool:
        """Its truth under an assignment of all its choices."""
        return self.holds_in(row_of(self.choices, on))

    def holds_in(self, row: int) -> bool:
        """Its truth under the assignment of a number (`row_of`)."""
        return bool(self.table >> row & 1)

    @cached_property
    def support(self) -> tuple[str, ...]:
        """The choices on which it depends."""
        halves = ((name, *self._halves(name)) for name in self.choices)
        return tuple(name for name, no, yes, step in halves if yes >> step != no)

    @cached_property
    def literals(self) -> tuple[tuple[str, bool], ...] | None:
        """Its literals if it is a conjunction, else None."""
        found = []
        rest = self
        for name in self.support:
            yes, no = rest.given(name, True), rest.given(name, False)
            if yes and no:
                return None
            found.append((name, bool(yes)))
            rest = yes or no
        return tuple(found)

    def __str__(self) -> str:
        return self.text("not {}", " and ", " or ")

    def text(self, negation: str, conjunction: str, disjunction: str) -> str:
        """The condition as an expression in a language with these operators."""
        literals = self.literals
        if literals is not None:
            words = [name if value else negation.format(name) for name, value in literals]
            return conjunction.join(words) or "always"
        name = self.support[0]
        yes, no = self.given(name, True), self.given(name, False)
        branches = []
        for word, branch, other in ((name, yes, no), (negation.format(name), no, yes)):
            if branch.is_always:
                branches.append(word)
            elif branch:
                inner = branch.text(negation, conjunction, disjunction)
                inner = f"({inner})" if branch.literals is None else inner
                # If the other branch always holds, its literal need not be excluded here.
                branches.append(inner if other.is_always else f"{word}{conjunction}{inner}")
        return disjunction.join(branches)
