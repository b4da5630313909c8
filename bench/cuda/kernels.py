"""Emitted CUDA kernels as a shared library, called on memory wherever it lies.

Owns the compiling and the table that a call is given. It knows neither torch nor a GPU: with
another compiler and headers the same calls run on a processor.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lucidgen.optim
from lucidgen import Parameter
from lucidgen.runtime.backends.gpu.kernel import kernel_of
from lucidgen.runtime.groups.bucket import Bucket

FOLDER = Path(__file__).parents[2] / "generated" / "lucid" / "optim" / "_cuda"

#: How NVIDIA compiles a shared library.
NVCC = ("nvcc", "-O3", "-std=c++17", "-shared", "-Xcompiler", "-fPIC")


class _Table(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("arrays", ctypes.c_void_p),
        ("grads", ctypes.c_void_p),
        ("streams", ctypes.c_void_p),
        ("shapes", ctypes.c_void_p),
    )


class DoesNotCompile(RuntimeError):
    """The compiler is missing or refuses the kernels; the message is its own."""


def library(target: Path, command: Sequence[str], rule: str, kind: str, file: str) -> Any:
    """The function `{rule}_step_{kind}` of an emitted file, compiled to `target` and loaded.

    Parameters
    ----------
    target : Path
        The shared library to write.
    command : sequence of str
        The compiler with its options.
    rule, kind, file : str
        As in "adamw", "float32", "adam.cu".

    Raises
    ------
    DoesNotCompile
        If it does not.
    """
    named = [f"-DLUCIDGEN_RULE={rule}", f"-DLUCIDGEN_TYPE={kind}"]
    try:
        done = subprocess.run(
            [*command, *named, f"-I{FOLDER}", str(FOLDER / file), "-o", str(target)],
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise DoesNotCompile(f"{command[0]} does not run: {error}") from None
    if done.returncode:
        raise DoesNotCompile(done.stderr.strip()[-2000:])
    function = getattr(ctypes.CDLL(str(target)), f"{rule}_step_{kind}")
    function.argtypes = (ctypes.c_void_p,) * 4
    function.restype = ctypes.c_int
    return function


class Step:
    """One step of an optimizer on tables of pointers.

    Parameters
    ----------
    function : callable
        What `library` gives.
    name : str
        The class, as in "AdamW".
    options : mapping
        The constructor's arguments.
    sizes : sequence of int
        The number of elements of each tensor.
    arrays : sequence of sequence of int
        For each tensor the addresses of w and of each state, 0 for a state not needed.
    """

    def __init__(
        self,
        function: Any,
        name: str,
        options: Mapping[str, Any],
        sizes: Sequence[int],
        arrays: Sequence[Sequence[int]],
    ) -> None:
        self.function = function
        optimizer = getattr(lucidgen.optim, name)([Parameter(np.zeros(1))], **options)
        self.rule = optimizer.rules[optimizer.dialect]
        self.settled = optimizer.param_groups[0].settings
        self.kernel = kernel_of(self.rule, "cuda")
        self.sizes = np.array(sizes, dtype=np.int64)
        self.arrays = np.array(arrays, dtype=np.uint64)

    def run(self, t: int, grads: Sequence[int], stream: int = 0) -> None:
        """Step t with gradients at these addresses; it waits for nothing.

        Raises
        ------
        RuntimeError
            If the CUDA runtime reports an error.
        """
        values = Bucket(self.settled, t, (), ()).values
        kernel, given = self.kernel, np.array(grads, dtype=np.uint64)
        scalars = np.array([values[name] for name in kernel.scalars], dtype=np.float64)
        on = [int(values[name]) for name in (*kernel.conditions, *kernel.choices)]
        choices = np.array(on, dtype=np.int32)
        table = _Table(
            *(len(self.sizes), self.sizes.ctypes.data, self.arrays.ctypes.data, given.ctypes.data),
            *(None, None),
        )
        pointers = ctypes.addressof(table), scalars.ctypes.data, choices.ctypes.data
        error = self.function(*pointers, stream or None)
        if error:
            raise RuntimeError(f"the CUDA runtime reports error {error} of a launch")
