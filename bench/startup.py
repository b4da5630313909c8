"""What the first moments cost: importing the optimizers, and the first step.

Owns the measurement. Each number is the median of fresh processes. Of more than one the first does
not count: afterwards compiled loops and the files of the libraries are in the caches.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPEATS = 9

#: Milliseconds that importing takes once the array library is there.
IMPORT = """
import time
import {library}
start = time.perf_counter()
import lucidgen.optim
print(1e3 * (time.perf_counter() - start))
"""

#: Milliseconds that the first step takes beyond the second.
FIRST_STEP = """
import time
import numpy as np
import {library} as library
import lucidgen, lucidgen.optim
values = [np.full((25, 40), i, np.float32) for i in range(10)]
parameters = [lucidgen.Parameter(library.array(value)) for value in values]
optimizer = lucidgen.optim.AdamW(parameters, lr=1e-3)
spent = []
for _ in range(2):
    for parameter, value in zip(parameters, values):
        parameter.grad = library.array(value)
    start = time.perf_counter()
    optimizer.step()
    getattr(library, "eval", list)([parameter.data for parameter in parameters])
    spent.append(time.perf_counter() - start)
print(1e3 * (spent[0] - spent[1]))
"""


def measured(repeats: int = REPEATS) -> dict[str, float]:
    """Milliseconds by what took them, for each array library that is installed."""
    found = {}
    for name, library in (("NumPy", "numpy"), ("MLX", "mlx.core")):
        if find_spec(library.partition(".")[0]) is not None:
            found[f"import, {name}"] = median(IMPORT.format(library=library), repeats)
            found[f"first step, {name}"] = median(FIRST_STEP.format(library=library), repeats)
    return found


def median(program: str, repeats: int) -> float:
    """The median of the numbers that a program prints, run in processes of its own."""
    command = [sys.executable, "-c", program]
    # Whoever measures from a checkout means the code of that checkout.
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages are compiled
    numbers = [
        float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        for _ in range(repeats)
    ]
    return round(statistics.median(numbers[1:] or numbers), 2)
