"""Loops over elements in a language of the C family, and what is done between them.

Owns how a program that was cut into loops (`ir.loops`) becomes functions: `writer` writes the
loops, `margins` what is between them, `known` has what they know of each other, and `data` is what
templates are given; `phases` has what kernels are given beside that. A target says what its
language is (`Language`) and how loops are called.
"""

from .data import Between, Loop, Loops, Sum
from .language import Language, TermPrinter
from .phases import MadeSum, NoPhases, Phases, is_in, phases
from .writer import loops

__all__ = [
    "Between",
    "Language",
    "Loop",
    "Loops",
    "MadeSum",
    "NoPhases",
    "Phases",
    "Sum",
    "TermPrinter",
    "is_in",
    "loops",
    "phases",
]
