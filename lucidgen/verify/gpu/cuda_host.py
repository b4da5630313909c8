"""Complete CUDA kernels (`.cu` files), compiled for this machine and run there.

Owns the program around a file: it reads tensors and writes them back, every array in memory that
ends where it ends, at any distance from a multiple of 16 bytes, under the address and the
undefined-behaviour sanitizers. The headers in `cuda/` stand for NVIDIA's. What the numbers should
be is not its business.
"""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .host import Fault, compiler, complaint

FLAGS = (
    "-std=c++17",
    "-O0",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-ftrivial-auto-var-init=pattern",
    "-ffp-contract=off",
    "-Wno-unknown-pragmas",
)

TYPES = ("float32", "float64", "float16", "bfloat16")

_DRIVER = """
#include <cstdio>
#include <cstdlib>
#include <vector>

static lucidgen::Launch* const launches[] = {%s};

template <typename T>
static std::vector<T> read(std::size_t count) {
    std::vector<T> found(count);
    if (count && std::fread(found.data(), sizeof(T), count, stdin) != count) {
        std::exit(2);
    }
    return found;
}

int main() {
    const auto head = read<long long>(5);
    const long long count = head[1], each = head[2];
    const auto scalars = read<double>(head[3]);
    const auto sizes = read<lucidgen::Index>(count);
    const auto shapes = read<lucidgen::Index>(3 * count);
    const auto streams = read<unsigned>(head[4]);
    const auto shifts = read<long long>(count * each), bytes = read<long long>(count * each);
    std::vector<char*> memory;
    std::vector<void*> all, arrays;
    std::vector<const void*> grads;
    for (long long i = 0; i < count * each; ++i) {
        const std::size_t room = bytes[i] < 0 ? 0 : shifts[i] + bytes[i];
        memory.push_back(static_cast<char*>(std::malloc(room)));
        all.push_back(bytes[i] < 0 ? nullptr : memory.back() + shifts[i]);
        if (bytes[i] > 0 && std::fread(all.back(), 1, bytes[i], stdin) != std::size_t(bytes[i])) {
            return 2;
        }
        if (i %% each == 1) {
            grads.push_back(all.back());
        } else {
            arrays.push_back(all.back());
        }
    }
    const lucidgen::Table table{count, sizes.data(), arrays.data(), grads.data(),
                                streams.data(), shapes.data()};
    const cudaError_t error = launches[head[0]](table, scalars.data(), nullptr);
    if (error != cudaSuccess) {
        return 3;
    }
    for (long long i = 0; i < count * each; ++i) {
        if (bytes[i] > 0) {
            std::fwrite(all[i], 1, bytes[i], stdout);
        }
        std::free(memory[i]);
    }
    return 0;
}
"""

#: A tensor: the memory of w, of its gradient and of each state; None for a state not needed.
Tensor = Sequence[bytes | None]


#: A tensor as matrices, rows and columns.
Shape = tuple[int, int, int]

#: A kernel: the rule, the type, the choices.
Case = tuple[str, str, tuple[bool, ...]]


class Program:
    """Some kernels of a `.cu` file, compiled. Use it as a context manager.

    Parameters
    ----------
    source : Path
        The file, beside `multi_tensor.cuh`.
    cases : sequence of Case
        What is compiled of it.
    flags : sequence of str, optional
        Further ones for the compiler.

    Raises
    ------
    NoCompiler
        If there is no C++ compiler.
    ValueError
        If the compiler refuses the file; the message is its own.
    """

    def __init__(self, source: Path, cases: Sequence[Case], flags: Sequence[str] = ()) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lucidgen-cuda-")
        self.index = {case: number for number, case in enumerate(dict.fromkeys(cases))}
        self.binary = Path(self.folder.name) / "program"
        text = Path(self.folder.name) / "program.cpp"
        text.write_text(
            '#include "multi_tensor.cuh"\n#undef LUCIDGEN_STEPS\n#define LUCIDGEN_STEPS(rule)\n'
            f'#include "{source.name}"\n' + _DRIVER % ", ".join(map(_launch, self.index)),
            encoding="utf-8",
        )
        folders = (f"-I{Path(__file__).parent / 'cuda'}", f"-I{source.parent}")
        command = [compiler(), *FLAGS, *flags, *folders, str(text), "-o", str(self.binary)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            self.close()
            first = (line for line in done.stderr.splitlines() if "error" in line)
            raise ValueError(next(first, done.stderr[-300:]))

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the program."""
        self.folder.cleanup()

    def run(
        self,
        case: Case,
        shapes: Sequence[Shape],
        tensors: Sequence[Tensor],
        scalars: Sequence[float],
        shifts: Sequence[Sequence[int]] | None = None,
        streams: Sequence[int] = (),
    ) -> list[list[bytes]]:
        """What the arrays hold after one call, gradients included; empty where they were None.

        `shapes` are the matrices, rows and columns of each tensor, `shifts` the distances in bytes
        of each array of each tensor from a multiple of 16, `streams` the words of all tensors'
        streams, where the rule draws random numbers.

        Raises
        ------
        Fault
            If a sanitizer found something, or a gradient was written to.
        """
        arrays = [array for tensor in tensors for array in tensor]
        each = len(tensors[0])
        away = [s for row in shifts or [[0] * each] * len(tensors) for s in row]
        lengths = [-1 if array is None else len(array) for array in arrays]
        data = struct.pack("<4q", self.index[case], len(tensors), each, len(scalars))
        data += struct.pack("<q", len(streams))
        data += struct.pack(f"<{len(scalars)}d", *scalars)
        data += struct.pack(f"<{len(shapes)}q", *(m * r * c for m, r, c in shapes))
        data += struct.pack(f"<{3 * len(shapes)}q", *(extent for of in shapes for extent in of))
        data += struct.pack(f"<{len(streams)}I", *streams)
        data += struct.pack(f"<{len(away)}q", *away) + struct.pack(f"<{len(lengths)}q", *lengths)
        data += b"".join(array for array in arrays if array)
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:color=never"}
        done = subprocess.run([self.binary], input=data, capture_output=True, env=environment)
        if done.returncode or len(done.stdout) != sum(n for n in lengths if n > 0):
            raise Fault(complaint(done.stderr.decode(errors="replace")))
        found, at = [], 0
        for length in lengths:
            found.append(done.stdout[at : at + max(length, 0)])
            at += max(length, 0)
        rows = [found[i : i + each] for i in range(0, len(found), each)]
        if any(row[1] != tensor[1] for row, tensor in zip(rows, tensors, strict=True)):
            raise Fault("it wrote to a gradient")
        return rows


def _launch(case: Case) -> str:
    rule, kind, choices = case
    arguments = ", ".join([f"lucidgen::{kind}", *(str(on).lower() for on in choices)])
    return f"lucidgen::{rule}_rule::launch<{arguments}>"
