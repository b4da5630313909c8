"""What a run must show on a machine with two cores, and whether it does.

Owns the numbers that are asked for. Ratios are of medians of one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rivals import LUCID_MLX, LUCID_NUMPY, MLX_COMPILED, OURS_MLX, OURS_NUMPY, PROBE, TORCH_FUSED


@dataclass(frozen=True)
class Verdict:
    """Something that is asked for, as a number that may not be exceeded, and what was seen."""

    what: str
    where: str
    asked: float
    seen: float | None

    @property
    def passes(self) -> bool:
        """Whether it was seen, and is no more than was asked."""
        return self.seen is not None and self.seen <= self.asked


SHAPES = ("1 x 10M", "200 x 50k", "2000 x 1k")

#: AdamW: ours, the peer, and the ratio of their times at most, for each of the shapes.
RATIOS = (
    (OURS_NUMPY, PROBE, (1.2, 1.4, 4)),
    (OURS_NUMPY, TORCH_FUSED, (1.0, 0.9, 0.3)),
    (OURS_MLX, MLX_COMPILED, (0.25, 0.8, 0.45)),
    (OURS_NUMPY, LUCID_NUMPY, (0.1, 0.1, 0.1)),
    (OURS_MLX, LUCID_MLX, (0.25, 0.15, 0.1)),
)

#: Memory beyond parameters, gradients and state at the peak of a step, in parameters: for NumPy
#: none that grows with them, for MLX one set. The kernel counts pages, a few more than there are.
BEYOND = ((OURS_NUMPY, 0.05), (OURS_MLX, 1.05))

#: Milliseconds.
STARTUP = (
    ("import, NumPy", 30),
    ("import, MLX", 30),
    ("first step, NumPy", 50),
    ("first step, MLX", 50),
)

#: Milliseconds, with all built-in specs.
BUILDING = (
    ("cold build", 6000),
    ("rebuild of one spec", 3000),
    ("check of nothing changed", 1000),
)


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    """Everything that is asked for, in order; what was not measured does not pass."""
    rows = {
        (case["shapes"], row["rival"]): row
        for case in results["cases"]
        for row in case["rivals"]
        if case["optimizer"] == "AdamW"
    }
    found = []
    for ours, peer, limits in RATIOS:
        for shapes, limit in zip(SHAPES, limits, strict=True):
            mine, theirs = rows.get((shapes, ours)), rows.get((shapes, peer))
            seen = mine["median_ms"] / theirs["median_ms"] if mine and theirs else None
            found.append(Verdict(f"time of {ours} against {peer}", shapes, limit, seen))
    for ours, limit in BEYOND:
        mine = rows.get((SHAPES[0], ours))
        seen = mine["peak_beyond"] if mine else None
        found.append(Verdict(f"memory of {ours}, in parameters", SHAPES[0], limit, seen))
    for kind, limits in (("startup", STARTUP), ("building", BUILDING)):
        for what, limit in limits:
            found.append(Verdict(f"ms of {what}", "", limit, results.get(kind, {}).get(what)))
    for case in results["cases"]:
        for rival, off in case["disagree"].items():
            what = f"{case['optimizer']} of {rival} is another update"
            found.append(Verdict(what, case["shapes"], 0.0, off))
    return found
