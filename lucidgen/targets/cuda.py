"""The CUDA target: kernels for MLX, and complete ones for a `.cu` file.

Owns the functions that CUDA lacks, which names are taken there, and what a complete kernel needs
to know of a rule. It works in place on tables of tensors; its static choices, conditions of the
host among them, are template parameters. What MLX wraps (`mx.fast.cuda_kernel`) is put around the
same function by the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import sympy

from ..ir.program import Program
from ..spec.domains import Domain
from .common import gpu
from .common.c_like import CPrinter, c_condition
from .common.canonical import MAX_CHOICES, canonical
from .common.gpu import Language
from .common.names import KERNELS, words
from .common.random_text import Spelling, functions
from .common.target import Target

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
        """,
        r"\w+_rule",
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


@dataclass(frozen=True)
class Standalone:
    """What a complete kernel needs to know: all in the names of the text.

    `live` are the conditions under which the states are needed ("true" for always). `choices` are
    conditions and choices; `canonical` are these again, each switched off where it makes no
    difference, so that equal kernels are compiled once. `call` calls the function.
    """

    live: tuple[str, ...]
    choices: tuple[str, ...]
    canonical: tuple[str, ...]
    call: tuple[str, ...]


@dataclass(frozen=True)
class Kernel(gpu.Kernel):
    """The kernels of a rule, ready for a template.

    There is no complete one if the rule reduces, or has too many choices.
    """

    standalone: Standalone | None


def kernel(program: Program, name: str) -> Kernel:
    """The element part of a program in CUDA.

    Raises
    ------
    Unserved
        If there is none in any language: the compiled MLX function serves.
    """
    found = gpu.kernel(program, name, LANGUAGE)
    only_elements = {i.domain for i in program.inputs} <= {Domain.HOST, Domain.ELEMENT}
    are_few = len(found.conditions) + len(found.choices) <= MAX_CHOICES
    is_alone = only_elements and are_few and found.tensors is None
    complete = _standalone(found) if is_alone else None
    return Kernel(**vars(found), standalone=complete)


def _standalone(of: gpu.Kernel) -> Standalone:
    choices = (*of.conditions, *of.choices)
    live = (of.live[s] for s in of.states)
    return Standalone(
        live=tuple("true" if guard.is_always else c_condition(guard) for guard in live),
        choices=choices,
        canonical=canonical(of.program, choices),
        call=tuple(
            gpu.call(
                of.name,
                ["w", "grad", *(f"states[{k}]" for k in range(len(of.states)))],
                [f"scalars[{k}]" for k in range(len(of.scalars))],
                ["stream", "element"] if of.program.drawn else [],
                choices,
            )
        ),
    )


def _of_module(kernels: Sequence[Kernel]) -> Mapping[str, Any]:
    return {"helpers": gpu.helpers(kernels)}


TARGET = Target(
    name="cuda",
    title="CUDA",
    compile=kernel,
    text="_cuda/rule.cu",
    files={
        "_cuda/module_step.cuh": "_cuda/{name}_step.cuh",
        "_cuda/module.cu": "_cuda/{name}.cu",
    },
    fixed=("_cuda/__init__.py", "_cuda/multi_tensor.cuh"),
    of_module=_of_module,
    needs=("mlx",),
    backend="cuda",
    verifier="lucidgen.verify.gpu.command:cuda",
    unshown="Only an NVIDIA GPU can show what its own functions give, and how fast the kernels "
    "are: `python bench/cuda` there.",
)
