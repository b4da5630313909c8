"""The MLX target: pure functions on arrays, for mx.compile.

Owns the shape of a step function, and what of it a step needs that is captured whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from ..ir.program import Program
from ..passes.capture import capture
from ..spec.domains import Domain, domain_of
from .common import gpu, host
from .common.host import HostFunction, host_function
from .common.mlx_printer import MLXPrinter
from .common.names import Words, words
from .common.python import aliases, block, called
from .common.statements import Code, If, Statement, code
from .common.step_function import StepFunction, step_parameters
from .common.target import Target
from .common.trees import Op, reads

#: What the functions' own text uses.
WORDS = host.WORDS | words("mx") | Words(languages=("mlx",))


@dataclass(frozen=True)
class Steps:
    """The MLX functions of a rule, ready for a template.

    `captured` is the arithmetic on scalars as array code, if there is any, and `captured_step` the
    step with selects, if the host decides anything for it: for training steps captured whole.
    `tensors` computes what kernels read that is one number per tensor.
    """

    step: StepFunction
    captured: HostFunction | None
    captured_step: StepFunction | None
    tensors: gpu.Tensors | None


def steps(program: Program) -> Steps:
    """The functions of a program."""
    captured = capture(program).check()
    asked = {name for let in program.body for name in let.guard.support}
    decides = asked & set(program.conditions)
    return Steps(
        step_function(program),
        host_function(captured) if host_function(program).results else None,
        step_function(captured) if decides else None,
        gpu.tensors(program),
    )


def step_function(program: Program) -> StepFunction:
    """The body of a program as a pure function: new w and states from old."""
    statements = code(program, program.body)
    printer = MLXPrinter(statements.names)
    fill = _Fill(program, statements)
    filled = tuple(map(fill.visit, statements.statements))
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


class _Fill:
    """Spreads states that become less than they are, such as one number, over their own shape."""

    def __init__(self, program: Program, statements: Code) -> None:
        arrays = [o for o in program.outputs if o.domain.axes]
        #: By the name of a new value, what is of its shape.
        self.like = {
            statements.names[o.after]: program.outputs[0].before
            if o.domain is Domain.ELEMENT
            else o.before
            for o in arrays
        }
        self.domains = _least(program)

    def visit(self, statement: Statement) -> Statement:
        """The statement with such states filled."""
        if isinstance(statement, If):
            then, otherwise = map(self.visit, statement.then), map(self.visit, statement.otherwise)
            return If(statement.guard, tuple(then), tuple(otherwise))
        wide = {statement.domain, Domain.ELEMENT}
        read = {self.domains.get(symbol) for symbol in reads(statement.value)}
        if statement.name not in self.like or read & wide:
            return statement
        return replace(statement, value=Op("filled", (statement.value, self.like[statement.name])))


def _least(program: Program) -> dict[sympy.Symbol, Domain]:
    """The domain of every array that is of it in every case."""
    known = {i.symbol: i.domain for i in program.inputs}
    for target in dict.fromkeys(let.target for let in program.body):
        cases = [let for let in program.body if let.target == target]
        if all(domain_of(let.value, known) is let.domain for let in cases):
            known[target] = cases[0].domain
    return known


def _compile(program: Program, name: str) -> Steps:
    return steps(program)


def _of_module(found: Sequence[Steps]) -> Mapping[str, Any]:
    """What a module imports: functions for scalars and for arrays, and MLX if any step calls it."""
    functions = [f for s in found for f in (s.step, s.captured_step, s.tensors) if f]
    captured = [s.captured for s in found if s.captured]
    return {
        "uses_mlx": any("mx." in line for function in functions for line in function.lines),
        "captured_imports": sorted({name for scalars in captured for name in scalars.imports}),
        "function_imports": called(functions, "mlx"),
    }


TARGET = Target(
    name="mlx",
    title="MLX",
    compile=_compile,
    text="_mlx/rule.py",
    files={"_mlx/module.py": "_mlx/{name}.py"},
    fixed=("_mlx/__init__.py",),
    of_module=_of_module,
    needs=("numpy",),
    words=WORDS,
    language="python",
    comment="#",
    backend="mlx",
    product="steps",
    verifier="lucidgen.verify.steps:mlx",
)
