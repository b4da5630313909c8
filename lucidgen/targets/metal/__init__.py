"""The Metal target: kernels for MLX, and complete ones for a `.metal` file.

`language` is Metal's, `elements` has the complete kernels of rules whose elements are each by
themselves, `phases` those of rules that reduce: they update in place, and static choices are
arguments like any other. What MLX wraps (`mx.fast.metal_kernel`: outputs are new arrays, static
choices are template arguments) is put by the runtime around the function for one element
(`common.gpu`), where there is one.
"""

from __future__ import annotations

from ...ir.program import Program
from ..common import gpu
from ..common.kernels import Kernels, of_module
from ..common.kernels import kernels as found_kernels
from ..common.target import Target, Unserved
from .elements import standalone
from .language import HELPERS, LANGUAGE, WORDS, MetalPrinter
from .phases import MAX_BUFFERS, phases

__all__ = ["HELPERS", "MAX_BUFFERS", "TARGET", "WORDS", "MetalPrinter", "kernels"]


def kernels(program: Program, name: str) -> Kernels:
    """The kernels of a program in Metal.

    Raises
    ------
    Unserved
        If there are none at all: the compiled MLX function serves.
    """

    def step(of: Program) -> gpu.Kernel:
        found = gpu.kernel(of, name, LANGUAGE)
        # MLX's: w, grad and the states, the new w and states, what is one number, and the size.
        most = 4 + 2 * found.most_live() + len(found.scalars) + len(found.conditions)
        most += bool(found.program.drawn)  # the stream
        alone = standalone(found)
        most = max(most, len(alone.buffers) if alone else 0)
        if most > MAX_BUFFERS:
            raise Unserved(f"it would need {most} buffers, and Metal has {MAX_BUFFERS}")
        return found

    return found_kernels(program, step, standalone, phases)


TARGET = Target(
    name="metal",
    title="Metal",
    compile=kernels,
    text="_metal/rule.metal",
    files={
        "_metal/module_step.h": "_metal/{name}_step.h",
        "_metal/module.metal": "_metal/{name}.metal",
    },
    fixed=("_metal/__init__.py", "_metal/phases.h"),
    of_module=of_module,
    needs=("mlx",),
    backend="metal",
    runs=lambda found: found.step is not None,
    verifier="lucidgen.verify.gpu.command:metal",
    unshown="Only a Mac can show that Apple's compiler accepts the texts, and how fast they are: "
    "`make test-metal` there.",
)
