"""CUDA as a language: its expressions, the functions that it lacks, and the names that are taken.

Owns nothing of what kernels do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import sympy

from ..common import loops
from ..common.c_like import CPrinter
from ..common.gpu import Language
from ..common.names import KERNELS, words
from ..common.random_text import Spelling, functions

#: What CUDA's own functions do not do, or not for every type.
HELPERS = {
    "maximum": (
        "/// The larger number, or nan if one of them is nan; of two zeros the second.\n"
        "template <typename real>\n"
        "__device__ inline real maximum(real a, real b) {\n"
        "    return a > b || a != a ? a : b;\n"
        "}"
    ),
    "minimum": (
        "/// The smaller number, or nan if one of them is nan; of two zeros the second.\n"
        "template <typename real>\n"
        "__device__ inline real minimum(real a, real b) {\n"
        "    return a < b || a != a ? a : b;\n"
        "}"
    ),
    "sign": (
        "/// 1, 0 or -1; nan of nan.\n"
        "template <typename real>\n"
        "__device__ inline real sign(real a) {\n"
        "    return a != a ? a : real(a > 0) - real(a < 0);\n"
        "}"
    ),
}

#: What kernels have: what the compiler, MLX's preamble and the texts use besides.
WORDS = replace(
    KERNELS
    | words(
        """
abs real states scalars choices live step rule launch launched Launch inf cg cuda mlx
blockDim blockIdx dim3 gridDim threadIdx warpSize
of found margins shape terms threads Index Shape Of Element Elements Margins Reduction
reduced reduced_each OverElements OverMargins OverTensors Sum Sums bits
kept loads stores run reads_grad in_phases
        """,
        r"\w+_(rule|loop|margin|margins|sums)",
    ),
    languages=("cuda",),
)


class CudaPrinter(CPrinter):
    """CUDA expressions in the type `real`."""

    language: ClassVar[str] = "cuda"
    real: ClassVar[str] = "real"

    def number(self, number: sympy.Number) -> str:
        """A literal of the computing type."""
        return f"real({int(number) if number.is_Integer else repr(float(number))})"


#: The functions that end in _rn round by themselves; else a product and a sum are rounded as one.
RANDOM = functions(
    Spelling(
        function="__device__ inline",
        exact="",
        uint="unsigned",
        element="unsigned long long",
        above="unsigned(block >> 32)",
        words="make_uint4",
        high="__umulhi",
        bits="__float_as_uint",
        number="__uint_as_float",
        product="__fmul_rn(sum, x)",
        total="__fadd_rn(scaled, coefficient)",
        root="__fsqrt_rn",
    )
)

LANGUAGE = Language(CudaPrinter, "real& {}", HELPERS, WORDS.free, RANDOM, "unsigned long long")


class LoopPrinter(loops.TermPrinter, CudaPrinter):
    """Statements of a loop, whose choices are template parameters."""

    branch: ClassVar[str] = "if constexpr"


LOOPS = loops.Language(
    printer=LoopPrinter,
    terms=LoopPrinter,
    free=WORDS.free,
    given="of.",
    walk="for (Index i = threadIdx.x; i < {count}; i += threads) {{",
    walked=("__syncthreads();",),
    each_matrix=("reduced_each(Reduction::{kind}, {of}, {size}, {count}, {to});",),
)
