"""Writes the tables that are made and not typed: the README's, and docs/conformance.md.

Run it after a change of specs or recordings; the tests run it and compare.  The numbers of the
conformance table are replays of the recorded runs on NumPy in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from adafactor_cases import CASES as ADAFACTOR
from cases import CASES, CHECKPOINTS, Case, starts
from compare import FLOAT64, Tolerance, moved, scaled
from element_cases import DIALECTS, ELEMENT_CASES, KERAS_CASES
from group_cases import DIALECTS as OF_GROUPS
from group_cases import GROUP_CASES, OPTAX_DIALECTS
from group_cases import OPTAX_CASES as GROUPS_OF_OPTAX
from more_cases import MORE_CASES, PYTORCH_OPTIMIZER
from recording import Recording, repeated
from replay import numpy64, run
from sparse_cases import SPARSE_CASES

from lucidgen.commands.describe import differences
from lucidgen.commands.summary import (
    HEADINGS,
    cost_by_pass,
    default_choices,
    grouped,
    state_bytes,
)
from lucidgen.package.catalog import Entry, catalog

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
CONFORMANCE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- optimizers: tests/conformance/tables.py -->", "<!-- end of optimizers -->"

# What lies below a bound by this factor lies below it on other machines too.
HEADROOM = 3
# The last one is for VSGD, of which the library squares differences term by term, which cancel, and
# for DAdaptAdam, whose distance is a sum of terms that cancel.
BOUNDS = (1e-14, 1e-13, 1e-12, 1e-11)
LIBRARIES = ("torch", "lucid2", "keras", "optax", "mlx", "pytorch_optimizer", "elements")
LIBRARIES += (
    "groups",
    "groups_optax",
    "more_keras",
    "sparse",
    *(f"adafactor_{library}" for library in ADAFACTOR),
)
#: The cases and dialects of recordings that do not have those of torch.
OF: dict[str, tuple[Mapping[str, Case], Mapping[str, str]]] = {
    "pytorch_optimizer": (MORE_CASES, PYTORCH_OPTIMIZER),
    "elements": (ELEMENT_CASES, DIALECTS),
    "groups": (GROUP_CASES, OF_GROUPS),
    "groups_optax": (GROUPS_OF_OPTAX, OPTAX_DIALECTS),
    "more_keras": (KERAS_CASES, {"FTRL": "keras"}),
    "sparse": (SPARSE_CASES, {"SparseAdam": "torch"}),
    **{f"adafactor_{name}": (of, {"Adafactor": name}) for name, of in ADAFACTOR.items()},
}
PACKAGES = {"lucid2": "lucid-dl"}
# States that a library saves and never writes to, and counts that it keeps elsewhere.
IGNORED = {
    "lucid2": ("step_size", "max_exp_avg_sq"),
    "pytorch_optimizer": ("step",),
    "more_keras": ("step",),
}


def optimizer_table() -> str:
    """A table for each need, with a line for each optimizer: state, operations, dialects."""
    lines = []
    for need, entries in grouped(catalog(None).entries).items():
        lines += [
            f"{HEADINGS[need]}:",
            "",
            "| optimizer | state, bytes per element (with all options) | per element | dialects |",
            "|---|---|---|---|",
        ]
        for entry in entries:
            spec = entry.main
            cost, readings = cost_by_pass(spec, default_choices(spec)), ", ".join(spec.readings)
            lines.append(f"| {spec.name} | {state_bytes(spec)} | {cost} | {readings} |")
        lines.append("")
    return "\n".join(lines).rstrip()


@dataclass
class Row:
    """What the recordings say of one reading: the cases, and a bound of their differences."""

    library: str = ""
    cases: int = 0
    bound: str = ""


Bound = Callable[[str, str, list[tuple[Case, Recording, str]]], str]
"""Takes an optimizer, a dialect and the recorded cases to what all differences are below."""


def conformance_rows(bound: Bound) -> dict[tuple[str, str], Row]:
    """The recorded readings, by class and dialect."""
    recorded: dict[tuple[str, str], list[tuple[Case, Recording, str]]] = {}
    for library in LIBRARIES:
        recording = Recording(library)
        cases, dialects = OF.get(library, (CASES, {}))
        for name in recording.cases:
            case = cases[name]
            dialect = dialects.get(case.optimizer, library)
            runs = recorded.setdefault((case.optimizer, dialect), [])
            runs.append((case, recording, library))
    rows = {}
    for key, runs in recorded.items():
        _, recording, library = runs[-1]
        package = PACKAGES.get(library) or recording.about["library"]
        rows[key] = Row(f"{package} {recording.about['version']}", len(runs), bound(*key, runs))
    return rows


def measured(optimizer: str, dialect: str, runs: list[tuple[Case, Recording, str]]) -> str:
    """The bound that replays of all cases keep."""
    return bound_text(max(largest_difference(case, dialect, *rest) for case, *rest in runs))


@cache
def stated() -> dict[tuple[str, str], str]:
    """The bounds that the page states, by class and dialect."""
    cells = (line.split("|") for line in CONFORMANCE.read_text(encoding="utf-8").splitlines())
    return {(row[1].strip(), row[2].strip()): row[5].strip() for row in cells if len(row) == 7}


def claimed(optimizer: str, dialect: str) -> Tolerance:
    """What a replay on NumPy in float64 may differ by, so that the page states the truth."""
    bound = stated().get((optimizer, dialect), "").removeprefix("<")
    return Tolerance(float(bound) / HEADROOM, FLOAT64.unit) if bound else FLOAT64


def largest_difference(case: Case, dialect: str, recording: Recording, library: str) -> float:
    """The largest relative difference of a replay: of each state and of `w - w0`, by array."""
    held = recording.states(case.name, CHECKPOINTS[-1])
    which = [index for index, state in enumerate(held) if state]
    begins = starts()
    worst = 0.0
    for step, states in run(case, numpy64, which, dialect=dialect, kernel="numpy"):
        expected = recording.states(case.name, step)
        for index, ours in zip(which, states, strict=True):
            theirs, begin, ours = expected[index], begins[index], repeated(ours)
            for key in theirs.keys() - set(IGNORED.get(library, ())):
                same = moved(ours["w"], theirs["w"], begin, step, FLOAT64.unit)
                worst = max(worst, same if key == "w" else scaled(ours[key], theirs[key]))
    return worst


def bound_text(value: float) -> str:
    """A bound that the value keeps on any machine."""
    return next(f"< {bound:.0e}" for bound in BOUNDS if value * HEADROOM < bound)


def conformance_page(bound: Bound = measured) -> str:
    """The page: the table, and the differences between all readings of each optimizer."""
    rows = conformance_rows(bound)
    lines = [
        "# What the readings compute, and how they differ",
        "",
        "Written by `tests/conformance/tables.py` from specs and recorded runs; do not edit.",
        "",
        "The largest relative difference is that of any state, and of the way that the parameter",
        "has moved (beyond the rounding of the parameter itself), at any checkpoint of 50 steps of",
        f"any recorded case, in float64; it is below the bound by a factor {HEADROOM}, so that",
        "other machines agree. Readings without a library are those of texts; their equations are",
        "below.",
        "",
    ]
    entries = catalog(None).entries
    for need, own in grouped(entries).items():
        lines += [
            f"{HEADINGS[need]}:",
            "",
            "| optimizer | dialect | recorded from | cases | largest difference |",
            "|---|---|---|---|---|",
        ]
        for entry in own:
            for reading in entry.main.readings:
                row = rows.get((entry.main.name, reading))
                found = f"{row.library} | {row.cases} | {row.bound}" if row else "| |"
                lines.append(f"| {entry.main.name} | {reading} | {found} |")
        lines.append("")
    lines.pop()
    for entry in entries:
        lines += _pairs(entry)
    return "\n".join(lines) + "\n"


def _pairs(entry: Entry) -> Iterator[str]:
    readings = [Entry(entry.file, entry.main, spec) for spec in entry.main.readings.values()]
    if len(readings) > 1:
        yield from ("", f"## {entry.main.name}")
    for left, right in combinations(readings, 2):
        names = f"{left.spec.reading} and {right.spec.reading}"
        found: dict[str, Any] = differences(left, right)
        if not found:
            yield from ("", f"**{names}** compute the same.")
            continue
        yield from ("", f"**{names}**", "", "```diff")
        for changes in found.values():
            for change in changes:
                yield from (f"- {line}" for line in change.left)
                yield from (f"+ {line}" for line in change.right)
        yield "```"


def readme() -> str:
    """The README with its table as it should be."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{optimizer_table()}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write both."""
    CONFORMANCE.parent.mkdir(exist_ok=True)
    for path, text in ((README, readme()), (CONFORMANCE, conformance_page())):
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
