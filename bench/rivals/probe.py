"""The memory's speed: the traffic of a step, in one array, and next to no arithmetic."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case

SOURCE = Path(__file__).with_name("probe.cpp")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-fPIC", "-shared")


def library(reads: int, writes: int) -> Any:
    """The compiled probe; the compiler is the one that CXX names, or c++."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "probe.so"
        compiler = shlex.split(os.environ.get("CXX", "c++"))
        defines = [f"-DREADS={reads}", f"-DWRITES={writes}"]
        subprocess.run([*compiler, *FLAGS, *defines, str(SOURCE), "-o", str(target)], check=True)
        return ctypes.CDLL(str(target))


class Steps:
    def __init__(self, case: Case) -> None:
        if any(writes > reads for reads, writes in case.passes):
            raise ValueError("what a probe writes it also reads")
        self.size = case.size
        self.calls = [(library(*pair).probe, pair[0]) for pair in case.passes]
        self.kept = [np.zeros(self.size, np.float32) for _ in range(case.arrays - 2)]
        self.grad: Any = None

    def give(self, gradients: Iterable[Any]) -> None:
        self.grad = np.ones(self.size, np.float32)

    def step(self) -> None:
        # The gradient comes last: a loop changes the first arrays that it reads.
        arrays = [*self.kept, self.grad]
        for call, reads in self.calls:
            used = arrays[-reads:]
            call(
                ctypes.c_longlong(self.size),
                (ctypes.c_void_p * reads)(*(a.ctypes.data for a in used)),
            )

    def drop(self) -> None:
        self.grad = None

    def weights(self) -> list[Any]:
        return []


def steps(case: Case, weights: list[Any]) -> Steps:
    return Steps(case)
