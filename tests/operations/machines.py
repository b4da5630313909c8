"""What the table's operations are tried at, and the machines that compute them.

Owns the points, the texts of operations on symbols, and one compiled program for each language of
the C family. What the numbers should be is the tests' business.
"""

from __future__ import annotations

import inspect
import math
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import sympy

from lucidgen import optim
from lucidgen.ir.lower import lower
from lucidgen.ir.scaled_gradient import BOUND, FACTOR, GRAD, scaled_gradient
from lucidgen.operations import OPERATIONS, Operation, called_in
from lucidgen.operations.bounds import FLOAT32, Format
from lucidgen.operations.reals import Value, real
from lucidgen.runtime.rules import mlx_functions, numpy_functions
from lucidgen.spec.domains import Domain
from lucidgen.specs.sgd import SGD
from lucidgen.targets.common.c_like import CPrinter
from lucidgen.targets.common.host import HostPrinter
from lucidgen.targets.common.printer import Printer
from lucidgen.targets.common.trees import Node, Op, tree_of
from lucidgen.targets.cpp import CppPrinter
from lucidgen.targets.cuda import HELPERS as CUDA_HELPERS
from lucidgen.targets.cuda import CudaPrinter
from lucidgen.targets.metal import HELPERS as METAL_HELPERS
from lucidgen.targets.metal import MetalPrinter
from lucidgen.verify.gpu import host

PROGRAM = lower(SGD)
ROWS = list(OPERATIONS.values())
NAMES = ("x", "y", "z")
SYMBOLS = [sympy.Symbol(name, real=True) for name in NAMES]

#: What joins conditions, and what takes one first.
OF_TRUTHS = {"and": 2, "or": 2, "not": 1, "where": 1}

Points = list[tuple[float, ...]]

#: Numbers of both signs that single precision holds, and zero.
POINTS = [float(np.float32(x)) for x in (-30.0, -2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5, 7.0, 30.0)]

#: What is special of every format, and some numbers beside it.
SPECIAL = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0)

#: How steps clip gradients (x) by value, as every language has it; z is -1 where they maximize.
CLIP = tree_of(
    scaled_gradient().xreplace(dict(zip((GRAD, BOUND, FACTOR), SYMBOLS, strict=True))),
    lambda e: Domain.ELEMENT if SYMBOLS[0] in e.free_symbols else Domain.HOST,
)
#: A bound of 0 is given as -0.
CLIPPED: Points = list(product(SPECIAL, (-0.0, 0.5, math.inf), (1.0, -1.0)))

#: What Python texts of arrays call.
NUMPY: Mapping[str, Any] = {"np": np} | {
    name: getattr(numpy_functions, name) for name in called_in("numpy")
}
MLX: Mapping[str, Any] = {"mx": mx} | {
    name: getattr(mlx_functions, name) for name in called_in("mlx")
}


def printed(language: type[Printer], node: Node) -> str:
    """The text of a tree."""
    return (HostPrinter({}, PROGRAM) if language is HostPrinter else language({})).print(node)


def rows_of(language: type[Printer]) -> list[Operation]:
    """The rows that a language has to print: `group` is gone from every tree."""
    return [row for row in ROWS if row.where & language.places and row.name != "group"]


def tree(row: Operation) -> Op:
    """The operation on symbols, on their signs where it takes conditions."""
    truths = OF_TRUTHS.get(row.name, 0)
    operands = [
        Op("gt", (symbol, sympy.S.Zero)) if i < truths else symbol
        for i, symbol in enumerate(SYMBOLS[: row.operands])
    ]
    return Op(row.name, tuple(operands))


def points(row: Operation) -> Points:
    """Ordinary points for an operation."""
    return list(product(POINTS, repeat=row.operands))


def special(row: Operation, kind: Format = FLOAT32) -> Points:
    """Nan, infinities, zeros of both signs and the ends of a format, in all combinations."""
    info = np.finfo(kind.dtype)
    ends = [float(x) for x in (info.smallest_subnormal, info.tiny, info.max)]
    values = (*SPECIAL, *ends, *(-x for x in ends))
    if row.operands < 3:
        return list(product(values, repeat=row.operands))
    return list(product((math.nan, 1.0, -1.0), SPECIAL, SPECIAL))


def exact(row: Operation, point: tuple[float, ...]) -> list[Value]:
    """What the operation is given at a point, to 50 digits."""
    truths = OF_TRUTHS.get(row.name, 0)
    return [x > 0 if i < truths else real(x) for i, x in enumerate(point)]


C_FAMILY = {
    CppPrinter: '#include "multi_tensor.h"\nnamespace lucidgen {',
    MetalPrinter: '#include "metal.h"\nnamespace lucidgen {\n' + "\n".join(METAL_HELPERS.values()),
    CudaPrinter: '#include "cuda/cuda_runtime.h"\nnamespace lucidgen {\n'
    + "\n".join(CUDA_HELPERS.values()),
}


@cache
def compiled(language: type[CPrinter]) -> dict[str, list[float]]:
    """What the operations of a language are at their points and then at their special points.

    All in one program; Metal's and CUDA's functions are those that `verify` has for them.
    """
    rows = rows_of(language)
    tried = {row.name: (tree(row), [*points(row), *special(row)]) for row in rows}
    tried["clip"] = CLIP, CLIPPED
    functions, loops = [], []
    for n, (what, at) in enumerate(tried.values()):
        text = printed(language, what)
        functions.append(f"float f{n}(float x, float y, float z) {{ return float({text}); }}")
        loops.append(f"static const float at{n}[][3] = {{{{{'}, {'.join(_given(at))}}}}};")
        loops.append(
            f'for (auto& p : at{n}) std::printf("%a\\n", lucidgen::f{n}(p[0], p[1], p[2]));'
        )
    headers = (Path(host.__file__).parent, Path(inspect.getfile(optim.Adam)).parent / "_cpp")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "operations.cpp", Path(folder) / "operations"
        source.write_text(
            "#include <cmath>\n#include <cstdio>\n"
            + C_FAMILY[language]
            + "\ntypedef float real;\n"
            + "\n".join([*functions, "}", "int main() {", *loops, "}"])
        )
        command = [host.compiler(), "-std=c++17", "-O0", "-w", "-ffp-contract=off"]
        command += [*(f"-I{folder}" for folder in headers), str(source), "-o", str(program)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said = subprocess.run([program], capture_output=True, text=True).stdout.split()
    numbers = map(float.fromhex, said)
    return {name: [next(numbers) for _ in at] for name, (_, at) in tried.items()}


def _given(at: Iterable[tuple[float, ...]]) -> Iterable[str]:
    words = {"nan": "NAN", "inf": "INFINITY", "-inf": "-INFINITY"}
    for point in at:
        yield ", ".join(words.get(repr(x)) or f"{x.hex()}f" for x in (*point, 0.0, 0.0)[:3])
