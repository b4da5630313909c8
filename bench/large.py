"""Steps on NumPy parameters next to the memory's speed, torch and Lucid, interleaved in one run.

Owns the rivals, the timing and the table. In every round each rival takes one step, in random
order, with gradients that are new arrays and with caches swept in between; what counts is the
median. The probe moves the bytes that a step must move, in one array, and computes nothing to
speak of: nobody can be much faster. torch runs in a process of its own, under the Python that
TORCH_PYTHON names; without it, torch is left out, and so is Lucid where it is not installed.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import lucidgen
import lucidgen.optim
from lucidgen.runtime import native

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "build" / "bench" / "large.json"

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "1 x 10M": [(10_000_000,)],
    "200 x 50k": [(200, 250)] * 200,
    "2000 x 1k": [(25, 40)] * 2000,
}
OPTIMIZERS = ("AdamW", "SGD")

#: A rival: takes a step and returns its milliseconds.
Step = Callable[[], float]


def timed(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1e3


class Arrays:
    """The starting values of a case, and a large array that sweeps the caches."""

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        rng = np.random.default_rng(0)
        self.shapes = shapes
        self.values = [rng.standard_normal(shape, np.float32) for shape in shapes]
        self.scrub = np.zeros(32 * 2**20, np.float32)

    def give(self, parameters: list[Any]) -> None:
        """New gradients, in cold caches."""
        for parameter, value in zip(parameters, self.values, strict=True):
            parameter.grad = value.copy()
        self.scrub += 1


def ours(arrays: Arrays, name: str, kernel: str) -> Step:
    parameters = [lucidgen.Parameter(value) for value in arrays.values]
    optimizer = getattr(lucidgen.optim, name)(parameters, lr=1e-3, kernel=kernel)

    def step() -> float:
        arrays.give(parameters)
        return timed(optimizer.step)

    return step


def lucid(arrays: Arrays, name: str) -> Step:
    import lucid.nn
    import lucid.optim

    parameters = [lucid.nn.Parameter(value.copy()) for value in arrays.values]
    optimizer = getattr(lucid.optim, name)(parameters, lr=1e-3)

    def step() -> float:
        arrays.give(parameters)
        return timed(optimizer.step)

    return step


def probe(arrays: Arrays, name: str, library: Any) -> Step:
    size = sum(value.size for value in arrays.values)
    w, *states = (np.zeros(size, np.float32) for _ in range(3 if name == "AdamW" else 1))

    def step() -> float:
        grad = np.ones(size, np.float32)
        arrays.scrub += 1
        pointers = [*(array.ctypes.data for array in (w, grad, *states)), None, None]
        given = [ctypes.c_longlong(size), *map(ctypes.c_void_p, pointers[:4])]
        return timed(lambda: library.probe(*given))

    return step


def probe_library(folder: str) -> Any:
    target = Path(folder) / "probe.so"
    flags = ["-O3", "-march=native", "-fopenmp", "-fPIC", "-shared", str(HERE / "probe.cpp")]
    subprocess.run([*native.compiler(), *flags, "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


class Torch:
    """torch's optimizers in a process of their own."""

    def __init__(self, python: str) -> None:
        command = [python, str(HERE / "torch_worker.py")]
        self.process = subprocess.Popen(
            command, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = json.loads(self.answer())

    def answer(self, question: str = "") -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if question:
            self.process.stdin.write(question + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the process of torch has ended; its message is above")
        return line

    def rival(self, arrays: Arrays, name: str, mode: str) -> Step:
        self.answer(f"case {mode} {name} {json.dumps(arrays.shapes)}")
        return lambda: float(self.answer("step"))


def rivals(arrays: Arrays, name: str, library: Any, torches: dict[str, Torch]) -> dict[str, Step]:
    found = {
        "probe": probe(arrays, name, library),
        "lucidgen": ours(arrays, name, "cpp"),
        "lucidgen, NumPy": ours(arrays, name, "numpy"),
    }
    if find_spec("lucid.nn"):
        found["Lucid 2.9.0"] = lucid(arrays, name)
    for mode, torch in torches.items():
        found[f"torch {mode}"] = torch.rival(arrays, name, mode)
    return found


def measure(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each rival's steps, the first few of which do not count."""
    times: dict[str, list[float]] = {label: [] for label in steps}
    gc.disable()
    for turn in range(rounds + 3):
        for label in random.Random(turn).sample(sorted(steps), len(steps)):
            spent = steps[label]()
            if turn >= 3:
                times[label].append(spent)
    gc.enable()
    return times


def summary(times: dict[str, list[float]]) -> Iterator[dict[str, Any]]:
    medians = {label: float(np.median(spent)) for label, spent in times.items()}
    for label, spent in times.items():
        low, high = np.percentile(spent, [25, 75])
        yield {
            "rival": label,
            "median": medians[label],
            "spread": float(high - low),
            "to probe": medians[label] / medians["probe"],
            "ours to it": medians["lucidgen"] / medians[label],
        }


def table(results: list[dict[str, Any]]) -> Table:
    shown = Table(title="One step, float32, median ms (spread of the middle half)")
    for column in ("case", "optimizer", "rival", "ms", "/ probe", "ours / it"):
        justify = "left" if column in ("case", "optimizer", "rival") else "right"
        shown.add_column(column, justify=justify, no_wrap=True)
    before = None
    for r in results:
        case = (r["case"], r["optimizer"])
        if before not in (None, case):
            shown.add_section()
        before = case
        shown.add_row(*case, r["rival"], f"{r['median']:.2f} ({r['spread']:.2f})",
                      f"{r['to probe']:.2f}", f"{r['ours to it']:.2f}")  # fmt: skip
    return shown


def main() -> None:
    """Measure everything, print the table, write the JSON."""
    # Threads that spin while they wait would take the processors from the next rival.
    os.environ["OMP_WAIT_POLICY"] = "passive"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="steps of each rival per case")
    parser.add_argument("--torch", nargs="*", default=["fused", "foreach"], help="modes of torch")
    given = parser.parse_args()
    console = Console()
    python = os.environ.get("TORCH_PYTHON") or (sys.executable if find_spec("torch") else "")
    torches = {mode: Torch(python) for mode in given.torch} if python else {}
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        library = probe_library(stack.enter_context(tempfile.TemporaryDirectory()))
        cases = [(case, name) for case in SHAPES for name in OPTIMIZERS]
        for case, name in track(cases, "measuring", console=console):
            steps = rivals(Arrays(SHAPES[case]), name, library, torches)
            found = summary(measure(steps, given.rounds))
            results += [{"case": case, "optimizer": name, **row} for row in found]
    console.print(table(results))
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": {mode: torch.about for mode, torch in torches.items()},
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
