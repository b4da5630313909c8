"""The CUDA target: kernels for MLX, and complete ones for a `.cu` file.

`language` is CUDA's, `elements` has the complete kernels of rules whose elements are each by
themselves, `phases` those of rules that reduce. What MLX wraps (`mx.fast.cuda_kernel`) is put by
the runtime around the function for one element (`common.gpu`), where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir.program import Program
from ..common import gpu
from ..common.target import Target, Unserved
from .elements import Standalone, standalone
from .language import HELPERS, LANGUAGE, WORDS, CudaPrinter
from .phases import Phases, phases

__all__ = ["HELPERS", "TARGET", "WORDS", "CudaPrinter", "Kernels", "kernels"]


@dataclass(frozen=True)
class Kernels:
    """The kernels of a rule, ready for a template.

    `step` is the function for one element, which kernels for MLX call, or `without` says why there
    is none. Complete ones call that function, too (`standalone`), or run loops that wait for each
    other (`phases`), or `incomplete` says why there are none.
    """

    step: gpu.Kernel | None
    without: str
    standalone: Standalone | None
    phases: Phases | None
    incomplete: str

    @property
    def helpers(self) -> tuple[str, ...]:
        """The functions of ours that they call."""
        own = self.step.helpers if self.step else ()
        return (*own, *(self.phases.helpers if self.phases else ()))

    @property
    def is_complete(self) -> bool:
        """Whether there are complete kernels."""
        return bool(self.standalone or self.phases)


def kernels(program: Program, name: str) -> Kernels:
    """The kernels of a program in CUDA.

    Raises
    ------
    Unserved
        If there are none at all: the compiled MLX function serves.
    """
    step, without = None, ""
    try:
        step = gpu.kernel(program, name, LANGUAGE)
    except Unserved as reason:
        without = str(reason)
    alone = None if step is None else standalone(step)
    reducing, incomplete = None, ""
    if alone is None:
        try:
            reducing = phases(program)
        except Unserved as reason:
            incomplete = str(reason)
            if step is None:
                raise Unserved(f"{without}, and {incomplete}") from None
    return Kernels(step, without, alone, reducing, incomplete)


def _of_module(found: Sequence[Kernels]) -> Mapping[str, Any]:
    return {
        "helpers": gpu.helpers(kernels.helpers for kernels in found),
        "has_elements": any(kernels.standalone for kernels in found),
        "has_phases": any(kernels.phases for kernels in found),
    }


TARGET = Target(
    name="cuda",
    title="CUDA",
    compile=kernels,
    text="_cuda/rule.cu",
    files={
        "_cuda/module_step.cuh": "_cuda/{name}_step.cuh",
        "_cuda/module.cu": "_cuda/{name}.cu",
    },
    fixed=("_cuda/__init__.py", "_cuda/multi_tensor.cuh", "_cuda/phases.cuh"),
    of_module=_of_module,
    needs=("mlx",),
    backend="cuda",
    runs=lambda found: found.step is not None,
    verifier="lucidgen.verify.gpu.command:cuda",
    unshown="Only an NVIDIA GPU can show what its own functions give, and how fast the kernels "
    "are: `python bench/cuda` there.",
)
