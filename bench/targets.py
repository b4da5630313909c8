"""What a run must show on a machine with two cores, and whether it does.

Owns the numbers that are asked for. Ratios are of medians of one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rivals import (
    LUCID_MLX,
    LUCID_NUMPY,
    MLX_COMPILED,
    OPTAX,
    OURS_MLX,
    OURS_NUMPY,
    PROBE,
    PYTORCH_OPTIMIZER,
    TORCH_FOREACH,
    TORCH_FUSED,
)


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

#: The optimizer, ours, the peer, and the ratio of their times at most, for each of the shapes; None
#: where nothing is asked.
RATIOS: tuple[tuple[str, str, str, tuple[float | None, ...]], ...] = (
    ("AdamW", OURS_NUMPY, PROBE, (1.2, 1.4, 4)),
    ("AdamW", OURS_NUMPY, TORCH_FUSED, (1.0, 0.9, 0.3)),
    ("AdamW", OURS_MLX, MLX_COMPILED, (0.25, 0.8, 0.45)),
    ("AdamW", OURS_NUMPY, LUCID_NUMPY, (0.1, 0.1, 0.1)),
    ("AdamW", OURS_MLX, LUCID_MLX, (0.25, 0.15, 0.1)),
    *((name, OURS_NUMPY, PROBE, (1.3, 1.5, None)) for name in ("LAMB", "Adafactor", "LARS")),
    ("Adafactor", OURS_NUMPY, TORCH_FOREACH, (1, 1, 1)),
    *(
        (name, OURS_NUMPY, peer, (1, 1, 1))
        for name in ("LAMB", "Adafactor", "LARS", "Prodigy")
        for peer in (OPTAX, PYTORCH_OPTIMIZER)
    ),
)

#: Memory beyond parameters, gradients and state at the peak of a step, in parameters: for NumPy
#: none that grows with them, for MLX one set. The kernel counts pages, a few more than there are.
BEYOND = (
    ("AdamW", OURS_NUMPY, 0.05),
    ("AdamW", OURS_MLX, 1.05),
    *((name, OURS_NUMPY, 0.05) for name in ("LAMB", "Adafactor", "LARS", "Prodigy")),
)

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
        (case["optimizer"], case["shapes"], row["rival"]): row
        for case in results["cases"]
        for row in case["rivals"]
    }
    found = []
    for optimizer, ours, peer, asked in RATIOS:
        for shapes, limit in zip(SHAPES, asked, strict=True):
            if limit is not None:
                mine, theirs = (rows.get((optimizer, shapes, name)) for name in (ours, peer))
                seen = mine["median_ms"] / theirs["median_ms"] if mine and theirs else None
                what = f"{optimizer}: time of {ours} against {peer}"
                found.append(Verdict(what, shapes, limit, seen))
    for optimizer, ours, limit in BEYOND:
        mine = rows.get((optimizer, SHAPES[0], ours))
        seen = mine["peak_beyond"] if mine else None
        what = f"{optimizer}: memory of {ours}, in parameters"
        found.append(Verdict(what, SHAPES[0], limit, seen))
    for kind, limits in (("startup", STARTUP), ("building", BUILDING)):
        for what, limit in limits:
            found.append(Verdict(f"ms of {what}", "", limit, results.get(kind, {}).get(what)))
    for case in results["cases"]:
        for rival, off in case["disagree"].items():
            what = f"{case['optimizer']} of {rival} is another update"
            found.append(Verdict(what, case["shapes"], 0.0, off))
    return found
