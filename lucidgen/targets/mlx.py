"""The MLX target: pure functions on arrays, for mx.compile.

Owns the names of operations in MLX and the shape of a step function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import sympy

from ..ir import Program
from ..spec.domains import Domain, domain_of
from .host import scalars
from .operations import Op, reads
from .printer import INFIX, Printer
from .python import aliases, block
from .statements import Code, If, Statement, code


class MLXPrinter(Printer):
    """MLX expressions."""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = {
        **{name: sign for name, sign in INFIX.items() if name not in ("and", "or", "pow")},
        "and": ("&", 5),
        "or": ("|", 5),
    }
    functions: ClassVar[Mapping[str, str]] = {
        "sqrt": "mx.sqrt",
        "square": "mx.square",
        "pow": "mx.power",
        "abs": "mx.abs",
        "sign": "mx.sign",
        "exp": "mx.exp",
        "expm1": "mx.expm1",
        "log": "mx.log",
        "tanh": "mx.tanh",
        "maximum": "mx.maximum",
        "minimum": "mx.minimum",
        "where": "mx.where",
        "norm": "mx.linalg.norm",
        "mean": "mx.mean",
        "total": "mx.sum",
        "not": "mx.logical_not",
    }
    templates: ClassVar[Mapping[str, str]] = {
        "cbrt": "mx.power({0}, 1 / 3)",
        "row_mean": "mx.mean({0}, axis=-1, keepdims=True)",
        "column_mean": "mx.mean({0}, axis=-2, keepdims=True)",
        "filled": "mx.full(w.shape, {0}, w.dtype)",
    }


@dataclass(frozen=True)
class StepFunction:
    """A step function, ready for a template."""

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: int = 0


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


def step_parameters(program: Program, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a step is given: w, grad, the array states, the scalars and choices that it reads.

    `own` are further arguments that belong to one parameter, as the arrays do.
    """
    arrays = [
        i.symbol.name.removesuffix("[t - 1]") for i in program.inputs if i.domain is not Domain.HOST
    ]
    asked = {name for let in program.body for name in let.guard.support}
    asked |= {s.name for let in program.body for s in let.value.free_symbols}
    read = scalars(program)
    return (*arrays, *own, *read, *(n for n in program.choices if n in asked and n not in read))
