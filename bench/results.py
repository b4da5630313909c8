"""What a run has found, as it is kept: the content of the JSON file.

Owns its layout and the statistics in it.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from cases import OTHERWISE
from contest import Outcome
from rivals import OURS_MLX, OURS_NUMPY, PROBE

#: By how much the movement of a weight may differ between rivals, relative to the largest: float32
#: weights up to 4 hold a movement of 2e-3 to 2e-4, and equations that differ differ by 1e-2.
AGREE = 1e-3


def of_case(outcome: Outcome, about: dict[str, str]) -> dict[str, Any]:
    """A case: for each rival the median, the middle half, and ratios of medians."""
    case = outcome.case
    medians = {name: statistics.median(times) for name, times in outcome.times.items()}
    parameters = 4 * case.size
    rows = []
    for name, times in sorted(outcome.times.items(), key=lambda pair: medians[pair[0]]):
        low, high = np.percentile(times, [25, 75])
        extra = outcome.extra.get(name)
        rows.append(
            {
                "rival": name,
                "library": about[name],
                "median_ms": round(medians[name], 4),
                "quartiles_ms": [round(low, 4), round(high, 4)],
                "gb_per_s": round(case.traffic / medians[name] / 1e6, 2),
                "to_probe": ratio(medians, name, PROBE),
                "ours_numpy_to_it": ratio(medians, OURS_NUMPY, name),
                "ours_mlx_to_it": ratio(medians, OURS_MLX, name),
                "peak_beyond": None if extra is None else round(extra / parameters, 3),
                "times_ms": [round(time, 4) for time in times],
            }
        )
    return {
        "shapes": case.title,
        "optimizer": case.optimizer,
        "tensors": len(case.shapes),
        "numbers": case.size,
        "bytes_to_move": case.traffic,
        "rivals": rows,
        "left_out": outcome.left_out,
        "disagree": disagreeing(
            {
                name: moved
                for name, moved in outcome.moved.items()
                if (case.optimizer, name) not in OTHERWISE
            }
        ),
    }


def ratio(medians: dict[str, float], one: str, other: str) -> float | None:
    """How the medians of two rivals relate, if both took part."""
    if one not in medians or other not in medians:
        return None
    return round(medians[one] / medians[other], 4)


def disagreeing(moved: dict[str, list[float]]) -> dict[str, float]:
    """The rivals that compute something other than we do, and how far off they are."""
    ours = np.array(moved.get(OURS_NUMPY, []))
    found = {}
    for name, theirs in moved.items():
        if ours.size and theirs:
            off = float(np.max(np.abs(ours - theirs)) / np.max(np.abs(ours)))
            if not off <= AGREE:
                found[name] = off
    return found


def write(results: dict[str, Any], path: Path) -> None:
    """Write the file, with lists of numbers on one line each."""
    text = json.dumps(results, indent=1)
    text = re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """The content of a file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
