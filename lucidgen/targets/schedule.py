"""The Python of a schedule: functions of t that compute what it writes.

Owns how a closed form becomes lines of a function: conditions are `if`s, so that a branch that is
not taken is never evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import sympy

from ..operations import Where
from ..spec.quantities import At, Bounds, Hyper, Series
from ..spec.schedule import Schedule
from .common.cases import Case, cases, compared_with_special
from .common.printer import ATOM, Printer
from .common.trees import Node, Op, tree_of, walk, with_pi

#: How long a conditional assignment may be on one line.
SHORT = 84


class SchedulePrinter(Printer):
    """Python arithmetic on floats."""

    language: ClassVar[str] = "schedule"
    places: ClassVar[Where] = Where.SCHEDULES

    def text(self, node: Node) -> tuple[str, int]:
        """As in Printer; a series is a variable."""
        if isinstance(node, At):
            return node.series.name, ATOM
        return super().text(node)

    def print_pow(self, base: Node, exponent: Node) -> tuple[str, int]:
        """`**`, or math.pow, which raises where Python would give a complex number."""
        if stays_real(base, exponent):
            return self.binary(Op("pow", (base, exponent)))
        return f"pow({self.print(base)}, {self.print(exponent)})", ATOM

    def print_where(self, test: Node, yes: Node, no: Node) -> tuple[str, int]:
        """A conditional expression."""
        return f"{self.wrapped(yes, 1)} if {self.print(test)} else {self.print(no)}", 0

    def print_not(self, operand: Node) -> tuple[str, int]:
        """`not x`."""
        return f"not {self.wrapped(operand, 4)}", 3


def stays_real(base: Node, exponent: Node) -> bool:
    """Whether a power is real whatever the values."""
    return isinstance(exponent, sympy.Integer) or _is_nonnegative(base)


def _is_nonnegative(node: Node) -> bool:
    if isinstance(node, Op):
        return node.name == "maximum" and any(map(_is_nonnegative, node.args))
    bounds = node.bounds if isinstance(node, Hyper) else Bounds()
    low = [limit for limit in (bounds.at_least, bounds.above) if limit is not None]
    return bool(low and max(low) >= 0) or node.is_nonnegative is True


@dataclass(frozen=True)
class ScheduleFunction:
    """A function of a schedule: what it reads, its lines, and what they call."""

    reads: tuple[str, ...]
    lines: tuple[str, ...]
    calls: frozenset[str]


def schedule_function(spec: Schedule, output: Series) -> ScheduleFunction:
    """The function for an output: its intermediate results, and what it returns."""
    return _function(
        spec,
        [
            ("" if e.series is output else str(e.left.series.name), e.right, spec.number(e))
            for e in spec.needed(output)
        ],
    )


def start_function(spec: Schedule) -> ScheduleFunction | None:
    """The function for where the schedule starts, if an equation says so."""
    start = spec.start
    return None if start is None else _function(spec, [("", start.right, spec.number(start))])


def expression_text(expr: sympy.Basic) -> str:
    """An expression of arguments as Python."""
    return SchedulePrinter({}).print(_tree(compared_with_special(expr)))


def expression_calls(expr: sympy.Basic) -> set[str]:
    """The names that this text needs from elsewhere."""
    return _called(compared_with_special(expr), SchedulePrinter({})) - {"abs"}


def _function(spec: Schedule, steps: list[tuple[str, sympy.Basic, int]]) -> ScheduleFunction:
    lines: list[str] = []
    for name, right, number in steps:
        lines += _lines(
            name, right, f"  # ({number})" if number and len(spec.equations) > 1 else ""
        )
    symbols = {s for _, right, _ in steps for s in right.free_symbols if not isinstance(s, At)}
    read = {getattr(s, "argument", s.name) for s in symbols}
    calls = {name for _, right, _ in steps for name in _calls(right)}
    arguments = tuple(a.name for a in spec.parameters if a.name in read)
    return ScheduleFunction(arguments, tuple(lines), frozenset(calls))


def _lines(name: str, right: sympy.Basic, tag: str) -> Iterator[str]:
    """`name = value` or `return value`, once for each case."""
    printer = SchedulePrinter({})
    setting = f"{name} = " if name else "return "
    found = cases(right)
    if name and len(found) == 2:
        values = [printer.print(_tree(case.value)) for case in found]
        line = f"{name} = {values[0]} if {_condition(found[0], printer)} else {values[1]}"
        if len(line) < SHORT:
            yield line + tag
            return
    for i, case in enumerate(found):
        line = f"{setting}{printer.print(_tree(case.value))}{tag}"
        if len(found) == 1:
            yield line
        elif case.conditions:
            yield f"{'elif' if i and name else 'if'} {_condition(case, printer)}:"
            yield f"    {line}"
        elif name:
            yield "else:"
            yield f"    {line}"
        else:
            yield line


def _condition(case: Case, printer: SchedulePrinter) -> str:
    if len(case.conditions) == 1:
        return printer.print(_tree(case.conditions[0]))
    return " and ".join(printer.wrapped(_tree(c), 2) for c in case.conditions)


def _tree(expr: sympy.Basic) -> Node:
    return tree_of(with_pi(expr))


def _calls(right: sympy.Basic) -> set[str]:
    """The names that the printed code needs from elsewhere."""
    printer = SchedulePrinter({})
    found: set[str] = set()
    for case in cases(right):
        for part in (case.value, *case.conditions):
            found |= _called(part, printer)
    return found - {"abs"}


def _called(part: sympy.Basic, printer: SchedulePrinter) -> set[str]:
    """The names that the printed code of one expression needs, Python's own among them."""
    found = {"pi"} if part.has(sympy.pi) else set()
    for op in walk(_tree(part)):
        found |= printer.calls(op.name)
        if op.name == "pow" and not stays_real(*op.args):
            found |= {"pow"}
    return found
