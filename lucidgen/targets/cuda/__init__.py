"""The CUDA target: kernels for MLX, and complete ones for a `.cu` file.

`language` is CUDA's, `elements` has the complete kernels of rules whose elements are each by
themselves, `phases` those of rules that reduce. What MLX wraps (`mx.fast.cuda_kernel`) is put by
the runtime around the function for one element (`common.gpu`), where there is one.
"""

from __future__ import annotations

from ...ir.program import Program
from ..common import gpu
from ..common.kernels import Kernels, of_module
from ..common.kernels import kernels as found_kernels
from ..common.target import Target
from .elements import standalone
from .language import HELPERS, LANGUAGE, WORDS, CudaPrinter
from .phases import phases

__all__ = ["HELPERS", "TARGET", "WORDS", "CudaPrinter", "kernels"]


def kernels(program: Program, name: str) -> Kernels:
    """The kernels of a program in CUDA.

    Raises
    ------
    Unserved
        If there are none at all: the compiled MLX function serves.
    """

    def step(of: Program) -> gpu.Kernel:
        return gpu.kernel(of, name, LANGUAGE)

    return found_kernels(program, step, standalone, phases)


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
    of_module=of_module,
    needs=("mlx",),
    backend="cuda",
    runs=lambda found: found.step is not None,
    verifier="lucidgen.verify.gpu.command:cuda",
    unshown="Only an NVIDIA GPU can show what its own functions give, and how fast the kernels "
    "are: `python bench/cuda` there.",
)
