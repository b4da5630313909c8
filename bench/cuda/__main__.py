"""Emitted CUDA kernels next to torch's fused AdamW and to a copy on the device.

`python bench/cuda` on a machine with an NVIDIA GPU, nvcc, and torch for CUDA. It compares the
weights after some steps, then times rivals in turn by the GPU's own clock, prints a table and
writes `bench/results/<machine>.json`. What is missing is said. Owns the measurement.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
sys.path.insert(0, str(Path(__file__).parent))

from cases import SHAPES  # noqa: E402
from kernels import NVCC, DoesNotCompile, Step, library  # noqa: E402

RESULTS = Path(__file__).parents[1] / "results"
OPTIONS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}
TYPES = ("float32", "bfloat16")

#: Reads of w, gradient and two moments, writes of all but the gradient.
PASSES = 7


def missing() -> str | None:
    """What this machine lacks; None if nothing."""
    if shutil.which("nvcc") is None:
        return "nvcc is not on the PATH: install the CUDA toolkit"
    try:
        import torch
    except ImportError:
        return "torch is not installed: install its build for CUDA"
    return None if torch.cuda.is_available() else "torch sees no NVIDIA GPU"


def main() -> int:
    """Run everything; 1 if something is missing or wrong."""
    parser = argparse.ArgumentParser(prog="bench/cuda", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, help="steps of each rival")
    given = parser.parse_args()
    found = missing()
    if found is not None:
        print(f"error: {found}", file=sys.stderr)
        return 1
    import torch

    name = torch.cuda.get_device_name()
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in TYPES:
            try:
                function = library(
                    Path(folder) / f"{kind}.so", (*NVCC, "-arch=native"), "adamw", kind, "adam.cu"
                )
            except DoesNotCompile as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            for title, shapes in SHAPES.items():
                case = measured(function, kind, list(shapes), given.rounds)
                cases.append({"shapes": title, "type": kind, **case})
                print(f"{title:>14} {kind:>9} {shown(case)}", flush=True)
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    text = json.dumps({"gpu": name, "versions": versions, "cases": cases}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return 0 if all(case["worst_difference"] <= case["tolerance"] for case in cases) else 1


def measured(function: Any, kind: str, shapes: list[Any], rounds: int) -> dict[str, Any]:
    """One case: how far the weights lie apart after five steps, and the times of each rival."""
    import torch

    dtype = getattr(torch, kind)
    torch.manual_seed(0)
    start = [torch.randn(shape, device="cuda").to(dtype) for shape in shapes]
    grads = [torch.randn_like(w) for w in start]
    ours, theirs = ([w.clone() for w in start] for _ in range(2))
    states = [[torch.zeros_like(w) for w in start] for _ in range(2)]
    columns = zip(ours, *states, strict=True)
    arrays = [[*(array.data_ptr() for array in row), 0] for row in columns]
    step = Step(function, "AdamW", OPTIONS, [w.numel() for w in start], arrays)
    for w, grad in zip(theirs, grads, strict=True):
        w.grad = grad
    fused = torch.optim.AdamW(theirs, fused=True, **OPTIONS)
    pointers = [grad.data_ptr() for grad in grads]
    for t in range(1, 6):
        step.run(t, pointers, torch.cuda.current_stream().cuda_stream)
        fused.step()
    pairs = list(zip(ours, theirs, strict=True))
    worst = max((a.float() - b.float()).abs().max().item() for a, b in pairs)
    large = max(w.float().abs().max().item() for w in start)
    flat = torch.empty(sum(w.numel() for w in start), dtype=dtype, device="cuda")
    other = torch.empty_like(flat)
    stream = torch.cuda.current_stream().cuda_stream
    rivals: dict[str, Callable[[], Any]] = {
        "ours": lambda: step.run(6, pointers, stream),
        "torch fused": fused.step,
        "copy": lambda: other.copy_(flat),
    }
    times = timed(rivals, rounds)
    moved = flat.numel() * flat.element_size()
    medians = {name: statistics.median(found) for name, found in times.items()}
    passes = {name: 2 if name == "copy" else PASSES for name in rivals}
    return {
        "numbers": flat.numel(),
        "tensors": len(shapes),
        "worst_difference": worst,
        # A unit in the last place of the largest weight for each step.
        "tolerance": 5 * large * torch.finfo(dtype).eps,
        "median_ms": medians,
        "gb_per_s": {n: passes[n] * moved / ms / 1e6 for n, ms in medians.items()},
        "times_ms": times,
    }


def timed(rivals: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """The times of each rival in milliseconds, measured in turn after five rounds unmeasured."""
    import torch

    times: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(5 + rounds):
        for name, run in rivals.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            run()
            end.record()
            torch.cuda.synchronize()
            if number >= 5:
                times[name].append(begin.elapsed_time(end))
    return times


def shown(case: dict[str, Any]) -> str:
    """A case in a line."""
    rates = case["gb_per_s"]
    parts = [
        f"{name} {ms:.3f} ms, {rates[name]:.0f} GB/s" for name, ms in case["median_ms"].items()
    ]
    agrees = case["worst_difference"] <= case["tolerance"]
    return "; ".join([*parts, "agrees" if agrees else "DISAGREES"])


if __name__ == "__main__":
    sys.exit(main())
