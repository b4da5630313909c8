"""Steps of the generated optimizers next to Lucid's own, interleaved in one run.

Owns the cases, the timing and the table. For each case two models with equal weights and gradients
are stepped in turn, one by Lucid's optimizer and one by ours; what is compared is the median time
of `step()`. Gradients are new arrays at every step, as a backward pass makes them.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import lucidgen.optim

warnings.filterwarnings("ignore", "Metal GPU acceleration is not supported")
import lucid.nn as nn  # noqa: E402
import lucid.optim  # noqa: E402

RESULTS = Path(__file__).resolve().parents[1] / "build" / "bench" / "lucid.json"

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "digits model (6 tensors, 26k)": [(128, 64), (128,), (128, 128), (128,), (10, 128), (10,)],
    "200 small tensors": [(32, 16)] * 200,
    "1M in 8 tensors": [(250, 500)] * 8,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3},
    "Adam": {"lr": 1e-3},
    "AdamW": {"lr": 1e-3},
    "NAdam": {"lr": 1e-3},
    "RAdam": {"lr": 1e-3},
}


@dataclass(frozen=True)
class Result:
    """Median milliseconds of one step, and how far the middle half of the steps spreads."""

    case: str
    device: str
    optimizer: str
    lucid: float
    ours: float
    lucid_spread: float
    ours_spread: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.lucid / self.ours


def parameters(shapes: list[tuple[int, ...]], device: str) -> list[Any]:
    """Lucid parameters with the same values at every call."""
    rng = np.random.default_rng(0)
    made = [nn.Parameter(rng.standard_normal(shape).astype(np.float32)) for shape in shapes]
    return [parameter.to(device) for parameter in made] if device == "gpu" else made


def gradients(shapes: list[tuple[int, ...]], device: str) -> Callable[[], list[Any]]:
    """A source of new gradient arrays with the same values."""
    rng = np.random.default_rng(1)
    values = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    if device == "cpu":
        return lambda: [value.copy() for value in values]
    import mlx.core as mx

    def fresh() -> list[Any]:
        made = [mx.array(value) for value in values]
        mx.eval(made)
        return made

    return fresh


def measure(case: str, device: str, name: str, rounds: int) -> Result:
    """One case: Lucid's step and ours in turn."""
    shapes = SHAPES[case]
    sides = []
    for library in (lucid.optim, lucidgen.optim):
        own = parameters(shapes, device)
        sides.append((own, getattr(library, name)(own, **SETTINGS[name])))
    fresh = gradients(shapes, device)
    times: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    for turn in range(rounds + 5):
        for (own, optimizer), spent in zip(sides, times, strict=True):
            for parameter, grad in zip(own, fresh(), strict=True):
                parameter.grad = grad
            start = time.perf_counter()
            optimizer.step()
            if turn >= 5:  # the first steps compile and allocate
                spent.append((time.perf_counter() - start) * 1e3)
    gc.enable()
    spreads = [np.subtract(*np.percentile(spent, [75, 25])) for spent in times]
    medians = [statistics.median(spent) for spent in times]
    return Result(case, device, name, *medians, *map(float, spreads))


def table(results: list[Result]) -> Table:
    """The results as a table."""
    shown = Table(title="Median ms per step (spread of the middle half)")
    for column in ("case", "parameters", "optimizer", "Lucid 2.9.0", "lucidgen", "faster by"):
        shown.add_column(column, justify="left" if column in ("case", "optimizer") else "right")
    for r in results:
        kind = "NumPy" if r.device == "cpu" else "MLX"
        theirs = f"{r.lucid:.3f} ({r.lucid_spread:.3f})"
        shown.add_row(r.case, kind, r.optimizer, theirs, f"{r.ours:.3f} ({r.ours_spread:.3f})",
                      f"{r.ratio:.2f}x")  # fmt: skip
    return shown


def main() -> None:
    """Measure everything, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="steps of each side per case")
    rounds = parser.parse_args().rounds
    console = Console()
    cases = [(c, d, n) for d in ("cpu", "gpu") for c in SHAPES for n in SETTINGS]
    results = [measure(*case, rounds) for case in track(cases, "measuring", console=console)]
    console.print(table(results))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": platform.machine(), "python": platform.python_version()}
    content = {"machine": machine, "results": [asdict(r) | {"ratio": r.ratio} for r in results]}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")
    console.print(f"Written: {os.path.relpath(RESULTS)}")


if __name__ == "__main__":
    main()
