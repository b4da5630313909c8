"""Python text from statements: branches, assignments, tags.

Owns what the host arithmetic, NumPy and MLX share. What an operation is called is in their
tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ...ir.guard import Guard
from ...operations import called_in, calls
from .printer import Printer
from .statements import Assign, Code, If, Statement
from .trees import Op


def block(statements: Sequence[Statement], printer: Printer, indent: str = "") -> Iterator[str]:
    """The lines of a block; the first of each equation carries its number."""
    for statement, note in noted(statements):
        if isinstance(statement, Assign):
            text = f"{indent}{statement.name} = {printer.print(statement.value)}"
            yield text + tag(note)
            continue
        short = _conditional(statement, printer)
        if short:
            yield indent + short
            continue
        yield from branch(statement, printer, indent)


def branch(statement: If, printer: Printer, indent: str, word: str = "if") -> Iterator[str]:
    """An `if`, with `elif` where the rest is nothing but another branch."""
    yield f"{indent}{word} {condition(statement.guard)}:"
    yield from block(statement.then, printer, indent + "    ")
    rest = statement.otherwise
    if len(rest) == 1 and isinstance(rest[0], If):
        yield from branch(rest[0], printer, indent, "elif")
    elif rest:
        yield f"{indent}else:"
        yield from block(rest, printer, indent + "    ")


def condition(guard: Guard) -> str:
    """A guard as a Python condition."""
    return guard.text("not {}", " and ", " or ")


def noted(statements: Sequence[Statement]) -> Iterator[tuple[Statement, tuple[int, ...]]]:
    """Each statement with what its line says of equations: nothing if the line above says it."""
    above: tuple[int, ...] = ()
    for statement in statements:
        note = statement.note if isinstance(statement, Assign) else ()
        yield statement, () if note == above else note
        above = note


def tag(note: Sequence[int]) -> str:
    """The equations that a line comes from, as a trailing comment."""
    return f"  # {''.join(f'({n})' for n in note)}" if note else ""


def _conditional(statement: If, printer: Printer) -> str | None:
    """`x = a if c else b`, where both branches only choose a name."""
    if len(statement.then) != 1 or len(statement.otherwise) != 1:
        return None
    then, rest = statement.then[0], statement.otherwise[0]
    if not isinstance(then, Assign) or not isinstance(rest, Assign) or then.name != rest.name:
        return None
    if isinstance(then.value, Op) or isinstance(rest.value, Op):
        return None
    values = printer.print(then.value), printer.print(rest.value)
    note = tuple(sorted({*then.note, *rest.note}))
    return f"{then.name} = {values[0]} if {condition(statement.guard)} else {values[1]}" + tag(note)


def aliases(code: Code) -> Iterator[str]:
    """The names that are set from an input first."""
    for name, source in code.aliases:
        yield f"{name} = {source}"


class HasLines(Protocol):
    """A function's body."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines."""


def called(functions: Iterable[HasLines], language: str) -> list[str]:
    """The functions of ours that bodies call: a library's own are called `np.something`."""
    found = {name for f in functions for line in f.lines for name in calls(line)}
    return sorted(found & called_in(language))
