"""Metal as a language: its expressions, the functions that it lacks, and the names that are taken.

Owns nothing of what kernels do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ..common import loops
from ..common.c_like import CPrinter
from ..common.gpu import Language
from ..common.names import KERNELS, safe, words
from ..common.random_text import Spelling, functions

#: What Metal's own functions do not do: those hide a nan (they prefer a number to it, and its sign
#: is 0), and there is no cube root.
HELPERS = {
    "maximum": (
        "/// The larger number, or nan if one of them is nan; of two zeros the second.\n"
        "inline float maximum(float a, float b) {\n"
        "    return metal::isnan(a) || a > b ? a : b;\n"
        "}"
    ),
    "minimum": (
        "/// The smaller number, or nan if one of them is nan; of two zeros the second.\n"
        "inline float minimum(float a, float b) {\n"
        "    return metal::isnan(a) || a < b ? a : b;\n"
        "}"
    ),
    "cbrt": (
        "/// The cube root, which has the sign of the number.\n"
        "inline float cube_root(float a) {\n"
        "    const float root = metal::precise::pow(metal::abs(a), 1.0f / 3.0f);\n"
        "    return metal::copysign(root, a);\n"
        "}"
    ),
    "sign": (
        "/// 1, 0 or -1; nan of nan.\n"
        "inline float sign(float a) {\n"
        "    return metal::isnan(a) ? a : float(a > 0.0f) - float(a < 0.0f);\n"
        "}"
    ),
}


class MetalPrinter(CPrinter):
    """Metal expressions."""

    language: ClassVar[str] = "metal"
    unset: ClassVar[str] = "0.0f"


#: Without the pragma Metal rounds a product and a sum as one (Metal Shading Language, 1.6.3).
RANDOM = functions(
    Spelling(
        function="inline",
        exact="#pragma METAL fp contract(off)",
        uint="uint",
        element="uint",
        above="0u",
        words="uint4",
        high="metal::mulhi",
        bits="as_type<uint>",
        number="as_type<float>",
        product="sum * x",
        total="scaled + coefficient",
        root="metal::precise::sqrt",
    )
)

LANGUAGE = Language(MetalPrinter, "thread float& {}", HELPERS, safe, RANDOM, "uint")

#: What kernels that wait for each other have besides.
WORDS = replace(
    KERNELS
    | words(
        """
of given arrays room group groups thread_index shared threads matrices rows columns Phase
Shape Of Sum NoSums Margin Element Whole Thread Total Tensor Tiling Reduction Arguments
OverElements OverMargins OverTensors Finish Begin End bits reduced reduced_each joined finished
nothing join over_line over_group
        """,
        r"\w+_(rule|loop|margin|margins|sums|arguments)|\w+_(loop|margins|phase)_\d+",
    ),
    languages=("metal",),
)


class LoopPrinter(loops.TermPrinter, MetalPrinter):
    """Statements of a loop."""


LOOPS = loops.Language(
    printer=LoopPrinter,
    terms=LoopPrinter,
    free=WORDS.free,
    given="of.",
    walk="for (uint i = of.at.i; i < {count}; i += threads) {{",
    walked=("metal::threadgroup_barrier(metal::mem_flags::mem_device);",),
    reduced="reduced(Reduction::{kind}, {of}, {size}, of.at)",
    each_matrix=("reduced_each(Reduction::{kind}, {of}, {size}, {count}, {to}, of.at);",),
)
