"""How long imports and first steps take, in fresh interpreters: `python bench/imports.py`.

Prints medians in milliseconds. tests/imports/test_imports.py holds exactly what is imported at all;
here is only what it costs on this machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from importlib.util import find_spec

RUNS = 9

IMPORTS = {
    "import lucidgen.optim, beyond numpy": ("import numpy", "import lucidgen.optim"),
    "from lucidgen.optim import AdamW, beyond numpy": (
        "import numpy",
        "from lucidgen.optim import AdamW",
    ),
    "every optimizer, beyond numpy": ("import numpy", "from lucidgen.optim import *"),
    "from lucidgen.optim import AdamW, beyond mlx": (
        "import mlx.core",
        "from lucidgen.optim import AdamW",
    ),
}
STEP = """
from lucidgen import Parameter
from lucidgen.optim import AdamW
{setup}
parameters = [Parameter(ones((20, 20))) for _ in range(10)]
for parameter in parameters:
    parameter.grad = ones((20, 20))
optimizer = AdamW(parameters, kernel="{kernel}")
def step():
    optimizer.step()
    {wait}
"""
NUMPY = "import numpy as np\ndef ones(shape): return np.ones(shape, np.float32)"
MLX = "import mlx.core as mx\nones = mx.ones"
STEPS = {
    "first step beyond the second, numpy": (
        "numpy",
        STEP.format(setup=NUMPY, kernel="numpy", wait=""),
    ),
    "first step beyond the second, cpp": ("numpy", STEP.format(setup=NUMPY, kernel="cpp", wait="")),
    "first step beyond the second, mlx": (
        "mlx",
        STEP.format(setup=MLX, kernel="mlx", wait="mx.eval([p.data for p in parameters])"),
    ),
}
TIMED = """
import time
{before}
def timed(text):
    start = time.perf_counter()
    exec(text, globals())
    return 1e3 * (time.perf_counter() - start)
print({result})
"""


def median(before: str, result: str) -> tuple[float, float, float]:
    """The median of what fresh interpreters print, with the least and the greatest."""
    code = TIMED.format(before=before, result=result)
    # Without it Python compiles our modules again in every process; installed ones are compiled.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    found = sorted(
        float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        for _ in range(RUNS)
    )
    return statistics.median(found), found[0], found[-1]


def main() -> None:
    """Measure and print; what is not installed is left out."""
    rows = [(title, before, f"timed({then!r})") for title, (before, then) in IMPORTS.items()]
    rows += [
        (title, f"import {package}\n{before}", "timed('step()') - timed('step()')")
        for title, (package, before) in STEPS.items()
    ]
    for title, before, result in rows:
        if "mlx" in before and not find_spec("mlx"):
            continue
        middle, least, greatest = median(before, result)
        print(f"{title:50} {middle:7.1f} ms   ({least:.1f} to {greatest:.1f})")


if __name__ == "__main__":
    main()
