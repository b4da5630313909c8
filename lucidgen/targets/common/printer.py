"""Printing operation trees in a language of infix operators and function calls.

Owns precedence and parentheses. A language is a subclass: tables and, where needed, a method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import sympy
from sympy.logic.boolalg import BooleanAtom

from .operations import Node, Op

#: Infix operations: sign and precedence; higher binds tighter.
INFIX: dict[str, tuple[str, int]] = {
    "or": ("or", 1),
    "and": ("and", 2),
    "gt": (">", 4),
    "ge": (">=", 4),
    "lt": ("<", 4),
    "le": ("<=", 4),
    "eq": ("==", 4),
    "ne": ("!=", 4),
    "add": ("+", 6),
    "sub": ("-", 6),
    "mul": ("*", 7),
    "div": ("/", 7),
    "pow": ("**", 9),
}
NEGATION = 8
ATOM = 10


class Printer:
    """Prints trees; `names` gives each symbol's name in the code."""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = INFIX
    functions: ClassVar[Mapping[str, str]] = {}
    templates: ClassVar[Mapping[str, str]] = {}

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
        args = [self.print(arg) for arg in node.args]
        if node.name in self.templates:
            return self.templates[node.name].format(*args), ATOM
        return f"{self.functions[node.name]}({', '.join(args)})", ATOM

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
