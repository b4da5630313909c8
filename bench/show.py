"""Results for the eye: tables, and a picture.

Owns what is shown, not what is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rivals import PROBE
from targets import Verdict

#: Everything fits into 80 columns.
LOOK: dict[str, Any] = {"box": box.SIMPLE, "pad_edge": False, "collapse_padding": True}


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """A table for each case.

    "NumPy /" and "MLX /" are our best steps on such arrays, relative to the rival. Memory is the
    most beyond parameters, gradients and state, in sizes of the parameters.
    """
    for case in results["cases"]:
        title = f"{case['optimizer']} on {case['shapes']}: ms for one step, float32"
        shown = Table(title=title, caption=caption(case), caption_justify="left", **LOOK)
        shown.add_column("rival", no_wrap=True)
        for heading in ("median", "middle half", "/ probe", "NumPy /", "MLX /", "memory"):
            shown.add_column(heading, justify="right", no_wrap=True)
        for row in case["rivals"]:
            low, high = row["quartiles_ms"]
            ratios = ("to_probe", "ours_numpy_to_it", "ours_mlx_to_it", "peak_beyond")
            shown.add_row(
                row["rival"],
                short(row["median_ms"]),
                f"{short(low)}-{short(high)}",
                *("" if row[key] is None else short(row[key]) for key in ratios),
                style="bold" if row["rival"].startswith("lucidgen") else "",
            )
        yield shown


def short(number: float) -> str:
    """A number with the digits that matter."""
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"


def caption(case: dict[str, Any]) -> str:
    """Who is missing, and why."""
    lines = [f"left out: {name} ({reason})" for name, reason in case["left_out"].items()]
    lines += [
        f"{name} computes another update: off by {off:.1e}"
        for name, off in case["disagree"].items()
    ]
    return "\n".join(lines)


def judged(verdicts: list[Verdict]) -> Table:
    """What is asked for, what was seen."""
    shown = Table(title="What is asked for, and what was seen", **LOOK)
    for heading in ("what", "where", "at most", "seen", ""):
        shown.add_column(heading, justify="right" if heading in ("at most", "seen") else "left")
    for verdict in verdicts:
        seen = "not measured" if verdict.seen is None else f"{verdict.seen:.3g}"
        mark = "[green]pass[/]" if verdict.passes else "[red]fail[/]"
        shown.add_row(verdict.what, verdict.where, f"{verdict.asked:g}", seen, mark)
    return shown


def draw(results: dict[str, Any], path: Path) -> None:
    """Bars of medians with their middle halves: a row of panels for each optimizer."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    optimizers = list(dict.fromkeys(case["optimizer"] for case in results["cases"]))
    shapes = list(dict.fromkeys(case["shapes"] for case in results["cases"]))
    size = (4.2 * len(shapes), 3.4 * len(optimizers))
    figure, axes = pyplot.subplots(len(optimizers), len(shapes), figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for case in results["cases"]:
        axis = axes[optimizers.index(case["optimizer"])][shapes.index(case["shapes"])]
        axis.set_visible(True)
        panel(axis, case)
    figure.suptitle(f"One step, float32, ms: {results['machine']['processor']}")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def panel(axis: Any, case: dict[str, Any]) -> None:
    """One case: the quickest on top, the probe as a line through all."""
    rows = case["rivals"][::-1]
    medians = [row["median_ms"] for row in rows]
    spread = [
        [m - row["quartiles_ms"][0] for m, row in zip(medians, rows, strict=True)],
        [row["quartiles_ms"][1] - m for m, row in zip(medians, rows, strict=True)],
    ]
    ours = [row["rival"].startswith("lucidgen") for row in rows]
    colors = ["tab:orange" if own else "tab:gray" for own in ours]
    axis.barh([row["rival"] for row in rows], medians, xerr=spread, color=colors)
    for row in rows:
        if row["rival"] == PROBE:
            axis.axvline(row["median_ms"], color="black", linewidth=0.8)
    axis.set(title=f"{case['optimizer']} on {case['shapes']}", xscale="log")
    axis.tick_params(labelsize=7)
