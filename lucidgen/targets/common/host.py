"""The host arithmetic of a step: scalars in double, once per step.

Owns both lowerings of `Program.host`, which share one printer: Python floats, and array code for a
training step that is captured whole by mx.compile. They differ in the program that is printed
(`passes.capture`) and in the module that the functions come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import sympy

from ...ir.program import Program, series_of
from ...ir.ranges import range_of
from ...operations import Where
from ...spec.domains import Domain
from .names import PYTHON, Words
from .printer import ATOM, Printer
from .python import block
from .statements import Assign, Code, Statement, code
from .step_function import scalars
from .trees import Node, Op, walk

#: What the functions' own text uses.
WORDS = PYTHON | Words(languages=("host",))


class HostPrinter(Printer):
    """Python arithmetic, with functions that keep IEEE's answers where Python would raise."""

    language: ClassVar[str] = "host"
    places: ClassVar[Where] = Where.HOST

    def __init__(self, names: Mapping[sympy.Symbol, str], program: Program) -> None:
        super().__init__(names)
        self.program = program

    def print_pow(self, base: Node, exponent: Node) -> tuple[str, int]:
        """`**`, except where Python would make a negative base's power complex."""
        if self.stays_real(base, exponent):
            return self.binary(Op("pow", (base, exponent)))
        return f"power({self.print(base)}, {self.print(exponent)})", ATOM

    def stays_real(self, base: Node, exponent: Node) -> bool:
        """Whether the power is real whatever the values."""
        if isinstance(exponent, sympy.Integer):
            return True
        return not isinstance(base, Op) and range_of(base, self.program).is_nonnegative

    def functions_in(self, node: Node) -> set[str]:
        """The names of the functions that the printed tree calls."""
        used = set().union(*(self.calls(op.name) for op in walk(node)))
        powers = (op for op in walk(node) if op.name == "pow")
        used |= {"power" for op in powers if not self.stays_real(*op.args)}
        return used - {"abs"}


@dataclass(frozen=True)
class HostFunction:
    """A host function, ready for a template.

    `results` maps each result's name to the variable that holds it; `imports` are the functions
    that the lines call.
    """

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    results: Mapping[str, str]
    imports: frozenset[str]


@lru_cache(maxsize=2)  # each target asks for that of the same program
def host_function(program: Program) -> HostFunction:
    """The host arithmetic of a program as Python."""
    statements = code(program, program.host)
    printer = HostPrinter(statements.names, program)
    results = _results(program, statements)
    lines = [*_defaults(program, statements, results), *block(statements.statements, printer)]
    imports = set().union(*(_imports(s, printer) for s in statements.statements))
    return HostFunction(_parameters(program, statements), tuple(lines), results, frozenset(imports))


def _parameters(program: Program, statements: Code) -> tuple[str, ...]:
    """What the function is given: the inputs and choices that it reads, in their order."""
    read = {symbol for let in program.host for symbol in let.reads}
    inputs = [statements.names[i.symbol] for i in program.inputs if i.symbol in read]
    asked = {name for let in program.host for name in let.guard.support}
    choices = [n for n in program.choices if n in asked and n not in program.conditions]
    return (*inputs, *choices)


def _results(program: Program, statements: Code) -> dict[str, str]:
    """What is made here and read elsewhere: scalars, conditions, new values of scalar states."""
    asked = {name for let in program.body for name in let.guard.support}
    wanted = {*scalars(program), *(asked & set(program.conditions))}
    found = {
        let.target.name: statements.names[let.target]
        for let in program.host
        if let.target.name in wanted
    }
    for output in program.outputs:
        if output.domain is Domain.HOST:
            name = series_of(output.before)
            found[name] = statements.names[output.after]
    return found


def _defaults(program: Program, statements: Code, results: Mapping[str, str]) -> Iterator[str]:
    """Values for results that some branch leaves undefined; nobody reads them there."""
    given = {statements.names[i.symbol] for i in program.inputs}
    for result, name in results.items():
        cases = [let for let in program.host if statements.names[let.target] == name]
        defined = ~program.always
        for let in cases:
            defined |= let.guard
        if name not in given and not defined.is_always:
            yield f"{name} = {'False' if result in program.conditions else '0.0'}"


def _imports(statement: Statement, printer: HostPrinter) -> set[str]:
    if isinstance(statement, Assign):
        return printer.functions_in(statement.value)
    return set().union(*(_imports(s, printer) for s in (*statement.then, *statement.otherwise)))
