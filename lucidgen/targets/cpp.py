"""The C++ target: for each rule one loop over elements, in place.

Owns how numbers are written in C++ and what a loop takes. Static choices are template parameters,
so that a loop asks nothing about them. Rules that reduce over a tensor, a row or a column have no
loop; NumPy runs those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy

from ..ir.program import Program
from ..operations import Reduction
from ..spec.domains import Domain
from .common.c_like import CPrinter, c_block, c_condition
from .common.canonical import MAX_CHOICES, canonical
from .common.names import CPP, renamed, words
from .common.statements import code
from .common.step_function import step_parameters
from .common.target import Target, Unserved

#: What a loop's own text uses.
WORDS = CPP | words(
    """
std lucidgen real T i size at arrays scalars part Index Table Layout Loop Share Arithmetic Computed
float16 float32 float64 bfloat16 states choices loop elements drawn_at_most
    """,
    r"\w+_(array|rule|loop)",
)


class CppPrinter(CPrinter):
    """C++ expressions in the type `real`."""

    language: ClassVar[str] = "cpp"
    real: ClassVar[str] = "real"
    branch: ClassVar[str] = "if constexpr"

    def number(self, number: sympy.Number) -> str:
        """A literal of the computing type."""
        return f"real({int(number) if number.is_Integer else repr(float(number))})"


@dataclass(frozen=True)
class ArrayOf:
    """An array of a loop.

    `live` is the condition under which it is used ("" for always), `kept` says that no step
    changes it.
    """

    name: str
    live: str
    kept: bool


@dataclass(frozen=True)
class DrawOf:
    """Random numbers of a loop; `live` is the condition under which they are read."""

    name: str
    kind: str
    number: int
    live: str


@dataclass(frozen=True)
class Loop:
    """A loop, ready for a template.

    Its arguments are those of the NumPy step, in the same order: w and the states, the scalars, the
    choices. `canonical` are the choices again, each switched off where it makes no difference, so
    that equal loops are compiled once.
    """

    states: tuple[ArrayOf, ...]
    draws: tuple[DrawOf, ...]
    scalars: tuple[str, ...]
    choices: tuple[str, ...]
    canonical: tuple[str, ...]
    lines: tuple[str, ...]


def loop(program: Program) -> Loop:
    """The loop of a program.

    Raises
    ------
    Unserved
        If the program is not elementwise, or has too many choices: the NumPy step serves.
    """
    if {i.domain for i in program.inputs} - {Domain.HOST, Domain.ELEMENT} or any(
        let.value.has(Reduction) for let in program.body
    ):
        raise Unserved("it reduces over tensors, rows or columns")
    plain, names = renamed(program, WORDS.free)
    arrays = {_plain(i.symbol) for i in program.inputs if i.domain is not Domain.HOST}
    given = [name for name in step_parameters(program) if name not in arrays]
    choices = tuple(names[name] for name in given if name in program.choices)
    if len(choices) > MAX_CHOICES:
        raise Unserved(
            f"it has {len(choices)} choices, more than {MAX_CHOICES}, and each combination of them "
            "would be a loop of its own"
        )
    scalars = tuple(names.get(name, name) for name in given if name not in program.choices)
    code_of = code(plain, plain.body)
    outputs = plain.outputs[1:]
    states = tuple(
        ArrayOf(
            code_of.names[o.before],
            "" if o.live.is_always else c_condition(o.live),
            plain.keeps(o),
        )
        for o in outputs
        if o.domain is Domain.ELEMENT
    )
    draws = tuple(
        DrawOf(d.symbol.name, d.kind, d.number, "" if d.live.is_always else c_condition(d.live))
        for d in plain.drawn
    )
    declared = {"w", "grad", *(state.name for state in states), *scalars}
    declared |= {draw.name for draw in draws}
    lines = [f"real {name} = {source};" for name, source in code_of.aliases]
    declared |= {name for name, _ in code_of.aliases}
    lines += c_block(code_of.statements, CppPrinter(code_of.names), declared, "")
    stored = [o for o in plain.outputs if o.domain is Domain.ELEMENT]
    for output in stored:
        old, new = code_of.names[output.before], code_of.names[output.after]
        if old != new:
            lines.append(f"{old} = {new};")
    return Loop(states, draws, scalars, choices, canonical(plain, choices), tuple(lines))


def _plain(of: sympy.Symbol) -> str:
    return str(of.name).removesuffix("[t - 1]")


def _of_module(loops: Sequence[Loop]) -> Mapping[str, Any]:
    return {"draws": any(loop.draws for loop in loops)}


def _compile(program: Program, name: str) -> Loop:
    return loop(program)


TARGET = Target(
    name="cpp",
    title="C++",
    compile=_compile,
    text="_cpp/rule.cpp",
    files={"_cpp/module.cpp": "_cpp/{name}.cpp"},
    fixed=("_cpp/__init__.py", "_cpp/multi_tensor.h", "_cpp/random.h"),
    of_module=_of_module,
    needs=("numpy",),
    backend="cpp",
    product="loops",
    verifier="lucidgen.verify.steps:cpp",
)
