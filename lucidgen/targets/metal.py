"""The Metal target: kernels for MLX, and complete ones for a `.metal` file.

Owns the functions that Metal lacks, and the complete kernels: they update in place, and static
choices are arguments like any other. What MLX wraps (`mx.fast.metal_kernel`: outputs are new
arrays, static choices are template arguments) is put around the same function by the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..ir.program import Program
from .common import gpu
from .common.c_like import CPrinter, c_condition
from .common.gpu import Language
from .common.names import safe
from .common.random_text import Spelling, functions
from .common.target import Target, Unserved

#: Metal gives a kernel no more buffers than this.
MAX_BUFFERS = 31

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


@dataclass(frozen=True)
class Standalone:
    """The complete kernel: its parameters with their buffers, and its lines."""

    buffers: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Kernel(gpu.Kernel):
    """The kernels of a rule, ready for a template."""

    standalone: Standalone


def kernel(program: Program, name: str) -> Kernel:
    """The element part of a program in Metal.

    Raises
    ------
    Unserved
        If there is none in any language, or if it would need more buffers than Metal has: the
        compiled MLX function serves.
    """
    found = gpu.kernel(program, name, LANGUAGE)
    standalone = _standalone(found)
    # MLX's: w, grad and the states, the new w and states, what is one number, and the size.
    most = 4 + 2 * found.most_live() + len(found.scalars) + len(found.conditions)
    most += bool(found.program.drawn)  # the stream
    most = max(most, len(standalone.buffers))
    if most > MAX_BUFFERS:
        raise Unserved(f"it would need {most} buffers, and Metal has {MAX_BUFFERS}")
    return Kernel(**vars(found), standalone=standalone)


def _standalone(of: gpu.Kernel) -> Standalone:
    """The kernel of a `.metal` file. Where a state is not live, its buffer is not touched."""
    truths = (*of.conditions, *of.choices)
    parameters = [
        "device T* w",
        "const device T* grad",
        *(f"device T* {state}" for state in of.states),
        *(f"constant float& {scalar}" for scalar in of.scalars),
        *(f"constant bool& {name}" for name in truths),
        *(["constant uint4& stream"] if of.program.drawn else []),
        "constant uint& size",
    ]
    where = {s: c_condition(of.live[s]) for s in of.states if not of.live[s].is_always}
    lines = ["if (i >= size) {", "    return;", "}", "float w_i = float(w[i]);"]
    for s in of.states:
        test = f"{_wrapped(where[s])} ? float({s}[i]) : 0.0f" if s in where else f"float({s}[i])"
        lines.append(f"float {s}_i = {test};")
    values = ["w_i", "float(grad[i])", *(f"{state}_i" for state in of.states)]
    drawn = ["stream", "i"] if of.program.drawn else []
    lines += gpu.call(of.name, values, of.scalars, drawn, truths)
    lines.append("w[i] = T(w_i);")
    for s in of.states:
        store = f"{s}[i] = T({s}_i);"
        lines += [f"if ({where[s]}) {{", f"    {store}", "}"] if s in where else [store]
    buffers = tuple(f"{text} [[buffer({i})]]" for i, text in enumerate(parameters))
    return Standalone(buffers, tuple(lines))


def _wrapped(condition: str) -> str:
    return f"({condition})" if " " in condition else condition


def _of_module(kernels: Sequence[Kernel]) -> Mapping[str, Any]:
    return {"helpers": gpu.helpers(kernel.helpers for kernel in kernels)}


TARGET = Target(
    name="metal",
    title="Metal",
    compile=kernel,
    text="_metal/rule.metal",
    files={
        "_metal/module_step.h": "_metal/{name}_step.h",
        "_metal/module.metal": "_metal/{name}.metal",
    },
    fixed=("_metal/__init__.py",),
    of_module=_of_module,
    needs=("mlx",),
    backend="metal",
    verifier="lucidgen.verify.gpu.command:metal",
    unshown="Only a Mac can show that Apple's compiler accepts the texts, and how fast they are: "
    "`make test-metal` there.",
)
