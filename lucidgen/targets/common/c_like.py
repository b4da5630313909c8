"""What the kernel targets share: expressions and statements in the C family.

Owns their syntax. A language of the family is a small table on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import sympy

from ...ir.guard import Guard
from .printer import ATOM, INFIX, NEGATION, Printer
from .python import noted, tag
from .statements import Assign, Statement
from .trees import Node, Op


class CPrinter(Printer):
    """C expressions in single precision.

    `real` is the type of numbers, `branch` that of an if, and `unset` what a variable has where
    branches leave it out: nothing, unless a compiler would warn that somebody may read it.
    """

    real: ClassVar[str] = "float"
    branch: ClassVar[str] = "if"
    unset: ClassVar[str] = ""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = {
        **{name: sign for name, sign in INFIX.items() if name != "pow"},
        "and": ("&&", 2),
        "or": ("||", 1),
        "eq": ("==", 3),
        "ne": ("!=", 3),
    }

    def declaration(self, name: str) -> str:
        """The declaration of a variable."""
        return f"{self.real} {name}"

    def assigned(self, name: str, value: Node) -> str:
        """The assignment of a value to a variable."""
        return f"{name} = {self.print(value)}"

    def print_square(self, base: Node) -> tuple[str, int]:
        """A product: no compiler need be trusted with pow."""
        return self.binary(Op("mul", (base, base)))

    def print_where(self, test: Node, yes: Node, no: Node) -> tuple[str, int]:
        """The conditional operator."""
        return f"{self.wrapped(test, 2)} ? {self.wrapped(yes, 1)} : {self.wrapped(no, 1)}", 0

    def print_neg(self, operand: Node) -> tuple[str, int]:
        """Unary minus."""
        return "-" + self.wrapped(operand, NEGATION), NEGATION

    def print_not(self, operand: Node) -> tuple[str, int]:
        """Logical not."""
        return "!" + self.wrapped(operand, ATOM), NEGATION

    def truth(self, value: bool) -> str:
        """C's words for it."""
        return str(value).lower()

    def number(self, number: sympy.Number) -> str:
        """A float literal: a double would make the whole expression double."""
        text = repr(float(number))
        return f"{text}f"


def c_block(
    statements: Sequence[Statement],
    printer: CPrinter,
    declared: set[str],
    indent: str,
) -> Iterator[str]:
    """The lines of a block. Names in `declared` exist; others are declared where first assigned."""
    for statement, note in noted(statements):
        if isinstance(statement, Assign):
            name = statement.name
            target = name if name in declared else printer.declaration(name)
            declared.add(name)
            text = f"{indent}{printer.assigned(target, statement.value)};"
            yield text + tag(note).replace("#", "//")
            continue
        for name in sorted(_assigned((*statement.then, *statement.otherwise)) - declared):
            declared.add(name)
            unset = f" = {printer.unset}" * (printer.unset != "" and not _always(name, statement))
            yield f"{indent}{printer.declaration(name)}{unset};"
        yield f"{indent}{printer.branch} ({c_condition(statement.guard)}) {{"
        yield from c_block(statement.then, printer, declared, indent + "    ")
        if statement.otherwise:
            yield f"{indent}}} else {{"
            yield from c_block(statement.otherwise, printer, declared, indent + "    ")
        yield f"{indent}}}"


def c_condition(guard: Guard) -> str:
    """A guard as a C condition."""
    return guard.text("!{}", " && ", " || ")


def c_choice(guard: Guard, yes: str, no: str) -> str:
    """What a guard decides between two expressions; the first one where it always holds."""
    if guard.is_always:
        return yes
    asked = c_condition(guard)
    return f"{f'({asked})' if ' ' in asked else asked} ? {yes} : {no}"


def _always(name: str, statement: Statement) -> bool:
    """Whether a statement assigns a variable, whichever branch is taken."""
    if isinstance(statement, Assign):
        return statement.name == name
    branches = (statement.then, statement.otherwise)
    return all(any(_always(name, each) for each in branch) for branch in branches)


def _assigned(statements: Sequence[Statement]) -> set[str]:
    names: set[str] = set()
    for statement in statements:
        if isinstance(statement, Assign):
            names.add(statement.name)
        else:
            names |= _assigned((*statement.then, *statement.otherwise))
    return names
