"""The C++ target: for each rule loops over elements, in place.

Static choices are template parameters, so that a loop asks nothing about them. A rule that reduces
has a loop for each time that its elements wait for a reduction (`ir.loops`). What there is for each
row, column or matrix, a margin, is computed between the loops.

`common.loops` writes them; `text` says how in C++. Does not own what calls them: that is in the
headers among the templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ir.program import Program
from ..common.loops import Loops
from ..common.target import Target
from .text import WORDS, CppPrinter, loops

__all__ = ["TARGET", "WORDS", "CppPrinter", "loops"]


def _of_module(found: Sequence[Loops]) -> Mapping[str, Any]:
    return {
        "draws": any(loops.draws for loops in found),
        "has_phases": any(loops.has_phases for loops in found),
    }


def _compile(program: Program, name: str) -> Loops:
    return loops(program)


TARGET = Target(
    name="cpp",
    title="C++",
    compile=_compile,
    text="_cpp/rule.cpp",
    files={"_cpp/module.cpp": "_cpp/{name}.cpp"},
    fixed=("_cpp/__init__.py", "_cpp/multi_tensor.h", "_cpp/phases.h", "_cpp/random.h"),
    of_module=_of_module,
    needs=("numpy",),
    backend="cpp",
    product="loops",
    verifier="lucidgen.verify.steps:cpp",
)
