"""Loops in C++: their language, and how they are called.

Owns the printer, what loops do with the terms of sums, and their parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import sympy

from ...ir.program import Program
from ..common.c_like import CPrinter
from ..common.fitting import LINE_LENGTH
from ..common.loops import Between, Language, Loop, Loops, Sum
from ..common.loops import loops as written
from ..common.names import CPP, words
from ..common.trees import Node

#: What a loop's own text uses.
WORDS = CPP | words(
    """
std lucidgen real T i size at arrays scalars found sums part Index Table Layout Loop Share
Arithmetic Computed float16 float32 float64 bfloat16 states choices loop largest elements
drawn_at_most piece row column matrix shape margins Of Shape Piece Margin Reduction reduced
    """,
    r"\w+_(array|rule|loop|margin|sums)",
)


class CppPrinter(CPrinter):
    """C++ expressions in the type `real`."""

    language: ClassVar[str] = "cpp"
    real: ClassVar[str] = "real"
    branch: ClassVar[str] = "if constexpr"

    def number(self, number: sympy.Number) -> str:
        """A literal of the computing type."""
        return f"real({int(number) if number.is_Integer else repr(float(number))})"


class LoopPrinter(CppPrinter):
    """Statements of a loop: what is a term of a sum is added to it."""

    def __init__(self, names: Mapping[sympy.Symbol, str], sums: Sequence[Sum]) -> None:
        super().__init__(names)
        self.sums = {made.name: made for made in sums}

    def assigned(self, name: str, value: Node) -> str:
        """What a statement does to a variable."""
        if name not in self.sums:
            return super().assigned(name, value)
        made, term = self.sums[name], self.print(value)
        if made.is_of_columns:
            name, term = f"{made.array}[column]", f"double({term})"
        if made.kind == "largest":
            return f"{name} = lucidgen::maximum({name}, {term})"
        return f"{name} += {term}"


LANGUAGE = Language(CppPrinter, LoopPrinter, WORDS.free)


@dataclass(frozen=True)
class CppLoop(Loop):
    """A loop with the parameters of its function."""

    parameters: tuple[str, ...]

    @property
    def pragma(self) -> str:
        """What the compiler is told of the loop: its sums may be taken in several lanes."""
        within = [made for made in self.sums if not made.is_of_columns]
        signs = {made.name: "largest" if made.kind == "largest" else "+" for made in within}
        clauses = [f"reduction({sign} : {name})" for name, sign in signs.items()]
        line = " ".join(("#pragma omp simd", *clauses))
        return (
            line if len(line) <= LINE_LENGTH else line.replace(" reduction", " \\\n    reduction")
        )


@dataclass(frozen=True)
class CppBetween(Between):
    """What is done between loops, with the parameters of its function."""

    parameters: tuple[str, ...]


def loops(program: Program) -> Loops:
    """The loops of a program.

    Raises
    ------
    Unserved
        If the program has too many choices: the NumPy step serves.
    """
    found = written(program, LANGUAGE)
    return replace(
        found,
        loops=tuple(_loop(found, loop) for loop in found.loops),
        numbers=found.numbers and _loop(found, found.numbers),
        between=tuple(of and _between(of) for of in found.between),
    )


def _loop(of: Loops, loop: Loop) -> CppLoop:
    shared = [
        _parameter("void* const*", "arrays", (*loop.arrays, *loop.numbers, *loop.draws)),
        _parameter("const T*", "grad_array", loop.reads_grad),
        _parameter("const double*", "scalars", loop.scalars),
    ]
    if of.margins:
        parameters = (
            _parameter("const Piece&", "piece", loop.lines),
            *shared,
            _parameter("const Computed<T>*", "found", loop.found),
            _parameter("Computed<T>* const*", "margins", loop.margins),
            _parameter("double* const*", "sums", loop.sums),
        )
        return CppLoop(**vars(loop), parameters=parameters)
    own = [_parameter("Index", "size", loop.lines), _parameter("Index", "at", loop.arrays)]
    if of.reductions:
        shared.append(_parameter("const Computed<T>*", "found", loop.found))
        shared.append(_parameter("double*", "sums", loop.sums))
    return CppLoop(**vars(loop), parameters=(*own, *shared))


def _between(of: Between) -> CppBetween:
    parameters = (
        _parameter("const Shape&", "shape", of.lines),
        _parameter("void* const*", "arrays", of.numbers),
        _parameter("const double*", "scalars", of.scalars),
        _parameter("Computed<T>*", "found", of.found or of.finds),
        _parameter("Computed<T>* const*", "margins", of.arrays),
    )
    return CppBetween(**vars(of), parameters=parameters)


def _parameter(kind: str, name: str, used: object) -> str:
    """A parameter, whose name is left out where nothing uses it."""
    return f"{kind} {name}" if used else kind
