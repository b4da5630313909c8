"""Printing operation trees in a language of infix operators and function calls.

Owns precedence and parentheses, and where the text of an operation comes from: a method of the
printer for what has a syntax of its own, the printer's own texts, or the table of operations. A
language is a subclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import sympy
from sympy.logic.boolalg import BooleanAtom

from ...errors import Failure
from ...operations import OPERATIONS, Where, calls
from .trees import Node, Op

#: Infix operations: sign and precedence; higher binds tighter.
INFIX = {row.name: row.infix for row in OPERATIONS.values() if row.infix}
NEGATION = 8
ATOM = 10


class NoText(Failure):
    """A language has no text for an operation."""


class Printer:
    """Prints trees; `names` gives each symbol's name in the code.

    `language` is the name under which the table lists the language's texts, and `places` says which
    operations it has to print. `texts` are the printer's own, before those of the table: the names
    of functions, or templates such as "pow({0}, 1.0 / 3.0)". `infix` are the operators.
    """

    language: ClassVar[str] = ""
    places: ClassVar[Where] = Where.ELEMENTS
    infix: ClassVar[Mapping[str, tuple[str, int]]] = INFIX
    texts: ClassVar[Mapping[str, str]] = {}

    def __init__(self, names: Mapping[sympy.Symbol, str]) -> None:
        self.names = names

    def print(self, node: Node) -> str:
        """The text of a tree."""
        return self.text(node)[0]

    def text(self, node: Node) -> tuple[str, int]:
        """The text of a tree and its precedence."""
        if isinstance(node, sympy.Symbol):
            return self.names.get(node, node.name), ATOM
        if isinstance(node, BooleanAtom):
            return self.truth(bool(node)), ATOM
        if not isinstance(node, Op):
            return self.number(node), ATOM if node >= 0 else NEGATION
        method = getattr(self, f"print_{node.name}", None)
        if method is not None:
            text: tuple[str, int] = method(*node.args)
            return text
        if node.name in self.infix and len(node.args) == 2:
            return self.binary(node)
        if node.name == "neg":
            return "-" + self.wrapped(node.args[0], INFIX["mul"][1]), INFIX["add"][1]
        called, args = self.called(node.name), [self.print(arg) for arg in node.args]
        return called.format(*args) if "{" in called else f"{called}({', '.join(args)})", ATOM

    def called(self, name: str) -> str:
        """What an operation is called: the name of a function, or a template for its operands.

        Raises
        ------
        NoText
            If neither the printer nor the table has a text for it.
        """
        text = self.texts.get(name) or self.listed(name)
        if not text:
            language, own = self.language or type(self).__name__, type(self).__name__
            raise NoText(
                f"{language} has no text for the operation {name!r}: give {own}.texts one, or the "
                f"row of {name!r} in lucidgen/operations/table.py a text for {language!r}"
            )
        return text

    def listed(self, name: str) -> str:
        """What the table says of an operation in this language; "" for nothing."""
        row = OPERATIONS.get(name)
        return row.texts.get(self.language, "") if row else ""

    def calls(self, name: str) -> set[str]:
        """The functions that the text of an operation calls, which code has to import."""
        syntax = name in self.infix or name == "neg" or hasattr(self, f"print_{name}")
        return set() if syntax else set(calls(self.called(name)))

    def binary(self, node: Op) -> tuple[str, int]:
        """An infix operation; operands of lower precedence get parentheses."""
        sign, precedence = self.infix[node.name]
        left_to_right = node.name != "pow"
        left = self.wrapped(node.args[0], precedence if left_to_right else precedence + 1)
        associative = node.name in ("and", "or")
        right = self.wrapped(node.args[1], precedence if associative else precedence + 1)
        return f"{left} {sign} {right}", precedence

    def wrapped(self, node: Node, precedence: int) -> str:
        """The text of an operand, in parentheses if it binds less tightly."""
        text, own = self.text(node)
        return text if own >= precedence else f"({text})"

    def truth(self, value: bool) -> str:
        """A condition that is decided already."""
        return str(value)

    def number(self, number: sympy.Number) -> str:
        """A constant."""
        small = number.is_Integer and abs(number) < 2**31
        return str(int(number)) if small else repr(float(number))
