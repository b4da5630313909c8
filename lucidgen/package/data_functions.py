"""The functions in the data of a rule: constraints, starts, choices of shapes, factors.

Owns how an expression over arguments becomes a `lambda` in Python. What the data are is `module`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import sympy

from ..ir.choices import choice, with_choices
from ..ir.program import Program, symbol
from ..spec.quantities import At
from ..targets.common.cases import compared_with_special
from ..targets.common.host import HostPrinter
from ..targets.common.printer import INFIX
from ..targets.common.trees import tree_of


class DataFunctions:
    """Expressions over arguments as functions in Python, and what these call.

    `names` has what the functions call a quantity of the author's.
    """

    def __init__(self, program: Program, names: Mapping[str, str]) -> None:
        self.program, self.names = program, names
        self.called: set[str] = set()

    def number(self, value: sympy.Expr) -> str:
        """A number as a function of the hyperparameters that it reads."""
        return self._function(value, HostPrinter)

    def condition(self, condition: sympy.Basic) -> str:
        """A condition as a function of the arguments that it reads."""
        return self._function(compared_with_special(condition), _Requirement)

    def choice(self, condition: sympy.Basic) -> str:
        """A choice of the shape as a function of its numbers and of the arguments."""
        return self._function(with_choices(condition), _Requirement)

    def start(self, value: sympy.Expr) -> str:
        """The start of a state as a function of what it reads; `w` is the parameter."""
        return self._function(
            with_choices(value.xreplace(dict.fromkeys(value.atoms(At), symbol("w")))), _Start
        )

    def _function(self, value: sympy.Basic, printer: type[HostPrinter]) -> str:
        value = value.xreplace(
            {
                s: (symbol if s.is_real else choice)(self.names.get(s.name, s.name))
                for s in value.free_symbols
            }
        )
        parameters = ", ".join(sorted(s.name for s in value.free_symbols))
        own, tree = printer({}, self.program), tree_of(value)
        self.called |= own.functions_in(tree)
        return f"lambda{' ' * bool(parameters)}{parameters}: {own.print(tree)}"


class _Start(HostPrinter):
    """Starts of states, of numbers and of arrays: conditions are joined by what both have."""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = {**INFIX, "and": ("&", 5), "or": ("|", 5)}
    texts: ClassVar[Mapping[str, str]] = {"not": "logical_not"}


class _Requirement(HostPrinter):
    """Conditions on arguments; `not` is an operator here."""

    def print_not(self, operand: Any) -> tuple[str, int]:
        """`not x`."""
        return f"not {self.wrapped(operand, 4)}", 3
