"""Equations as plain text, as an author would type them.

Owns how an equation looks on a terminal (`show`, `diff`) and in a new spec file (`new`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import sympy

from ...operations import EVERYWHERE, OPERATIONS, OPTIMIZERS, Where
from ...spec.domains import Domain, domain_of, infer_domains
from ...spec.equation import Eq
from ...spec.optimizer import OptimizerSpec
from ...spec.quantities import At, values_in
from ...spec.schedule import Schedule
from .cases import Case, cases
from .printer import ATOM, INFIX, Printer
from .trees import Node, tree_of, with_pi


class PlainPrinter(Printer):
    """Equations for reading: conditions in words, decimals where they are exact."""

    language: ClassVar[str] = "plain"
    places: ClassVar[Where] = OPTIMIZERS | EVERYWHERE

    def listed(self, name: str) -> str:
        """As it is written in a spec; by its own name if the language has none."""
        return OPERATIONS[name].written or name

    def text(self, node: Node) -> tuple[str, int]:
        """As in Printer; a quantity keeps its index."""
        if isinstance(node, At):
            return f"{node.series.name}[{node.index}]", ATOM
        return super().text(node)

    def print_pow(self, base: Node, exponent: Node) -> tuple[str, int]:
        """A power, close together as it binds."""
        return f"{self.wrapped(base, ATOM)}**{self.wrapped(exponent, ATOM)}", 9

    def print_not(self, operand: Node) -> tuple[str, int]:
        """`not x`."""
        return f"not {self.wrapped(operand, 4)}", 3

    def number(self, number: sympy.Number) -> str:
        """Integers and exact decimals as they are, other rationals as fractions."""
        if number.is_Integer or sympy.Rational(f"{float(number):g}") != number:
            return str(number) if number.is_Integer else f"({number})"
        return f"{float(number):g}"


class SpecPrinter(PlainPrinter):
    """Equations as code of a spec file."""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = {**INFIX, "and": ("&", 5), "or": ("|", 5)}

    def print_cbrt(self, operand: Node) -> tuple[str, int]:
        """A power: the language has no name for the cube root."""
        return f"{self.wrapped(operand, ATOM)}**Rational(1, 3)", 9

    def print_not(self, operand: Node) -> tuple[str, int]:
        """`~x`."""
        return f"~{self.wrapped(operand, ATOM)}", 8

    def number(self, number: sympy.Number) -> str:
        """Rationals exactly."""
        if number.is_Integer:
            return str(number)
        decimal = f"{float(number):g}"
        if sympy.Rational(decimal) == number:
            return f'Rational("{decimal}")'
        return f"Rational({number.p}, {number.q})"


def text_of(
    expr: sympy.Basic, spec: OptimizerSpec | Schedule, printer: type[Printer] = PlainPrinter
) -> str:
    """An expression of a spec as text."""
    names = infer_domains(spec)

    def domain(part: sympy.Basic) -> Domain:
        known = {at: names.get(at.series.name, Domain.HOST) for at in values_in(part)}
        return domain_of(part, known)

    return printer({}).print(tree_of(with_pi(expr), domain))


def equation_lines(equation: Eq, spec: OptimizerSpec | Schedule) -> list[str]:
    """An equation as lines, one for each case.

    >>> from lucidgen.specs.sgd import SGD
    >>> print(*equation_lines(SGD.equations[3], SGD), sep="\\n")
    u[t] = g[t] + momentum * b[t]  if momentum != 0 and nesterov
         = b[t]                    if momentum != 0
         = g[t]                    otherwise
    """
    left = text_of(equation.left, spec)
    found = cases(equation.right)
    values = [text_of(case.value, spec) for case in found]
    if len(found) == 1:
        return [f"{left} = {values[0]}"]
    width = max(map(len, values))
    return [
        f"{left if i == 0 else ' ' * len(left)} = {value:<{width}}  {_condition(case, spec)}"
        for i, (case, value) in enumerate(zip(found, values, strict=True))
    ]


def _condition(case: Case, spec: OptimizerSpec | Schedule) -> str:
    if not case.conditions:
        return "otherwise"
    parts = [text_of(condition, spec) for condition in case.conditions]
    parts = [f"({part})" if " or " in part and len(parts) > 1 else part for part in parts]
    return "if " + " and ".join(parts)
