"""The MLX target: pure functions on arrays, for mx.compile.

Owns the shape of a step function.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy

from ..ir.program import Program
from ..spec.domains import Domain, domain_of
from .common.mlx_printer import MLXPrinter
from .common.python import aliases, block
from .common.statements import Code, If, Statement, code
from .common.step_function import StepFunction, step_parameters
from .common.trees import Op, reads


def step_function(program: Program) -> StepFunction:
    """The body of a program as a pure function: new w and states from old."""
    statements = code(program, program.body)
    printer = MLXPrinter(statements.names)
    states = {statements.names[o.after] for o in program.outputs if o.domain is Domain.ELEMENT}
    varying = _varying(program)
    filled = tuple(_filled(s, states, varying) for s in statements.statements)
    lines = [*aliases(statements), *_unneeded(program, statements), *block(filled, printer)]
    outputs = tuple(
        statements.names[output.after]
        for output in program.outputs
        if output.domain is not Domain.HOST
    )
    return StepFunction(step_parameters(program), tuple(lines), outputs)


def _unneeded(program: Program, statements: Code) -> Iterator[str]:
    """What is returned for a state where these choices do not need it: what was given."""
    for output in program.outputs:
        old, new = statements.names[output.before], statements.names[output.after]
        if output.domain is not Domain.HOST and old != new and not output.live.is_always:
            yield f"{new} = {old}"


def _varying(program: Program) -> set[sympy.Symbol]:
    """The symbols that have the parameter's shape in every case."""
    known = {i.symbol: i.domain for i in program.inputs if i.domain is Domain.ELEMENT}
    for target in dict.fromkeys(let.target for let in program.body):
        cases = [let for let in program.body if let.target == target]
        if all(domain_of(let.value, known) is Domain.ELEMENT for let in cases):
            known[target] = Domain.ELEMENT
    return set(known)


def _filled(statement: Statement, states: set[str], varying: set[sympy.Symbol]) -> Statement:
    """The statement with states that become a mere scalar spread over the parameter's shape."""
    if isinstance(statement, If):
        then = tuple(_filled(s, states, varying) for s in statement.then)
        otherwise = tuple(_filled(s, states, varying) for s in statement.otherwise)
        return If(statement.guard, then, otherwise)
    if statement.name not in states or reads(statement.value) & varying:
        return statement
    return replace(statement, value=Op("filled", (statement.value,)))
