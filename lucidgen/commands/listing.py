"""What `lucidgen list` says of each spec; of the built-in ones it is kept in the user's cache.

Owns the rows, and their record: to read and compile all built-in specs takes seconds. What is kept
was made by this compiler of these specs, or it is made anew. An author's own specs are always read.
Importing this module is cheap. Layout is `tables`'s.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..package.build import spec_paths
from ..package.catalog import Catalog, catalog
from ..package.manifest import inputs_digests, keep, record
from ..paths import specs_folder

if TYPE_CHECKING:
    from ..spec.errors import SpecError

#: The columns of each table.
OPTIMIZERS = (
    "class",
    "needs",
    "dialects",
    "state",
    "bytes",
    "cost per element",
    "file",
    "paper",
)
SCHEDULES = ("schedule", "value[t]", "file", "paper")


@dataclass(frozen=True)
class Listing:
    """The rows of both tables."""

    optimizers: list[list[str]]
    schedules: list[list[str]]


def listing(specs: Path | None) -> tuple[Listing, SpecError | None]:
    """What there is in an author's folder, or built in; and what is wrong with the rest."""
    at = None if specs else _record()
    kept = at and _kept(at)
    if kept:
        return kept, None
    found = catalog(specs, built_in=False)
    made = _made(found)
    if at and found.error is None:
        keep(at, json.dumps(asdict(made)))
    return made, found.error


def _made(found: Catalog) -> Listing:
    from . import describe_schedules, summary  # SymPy is there now, see `catalog`

    return Listing(
        [
            [
                entry.main.name,
                need.value,
                ", ".join(entry.main.readings),
                ", ".join(series.name for series in entry.main.states) or "none",
                summary.state_bytes(entry.main),
                summary.cost_by_pass(entry.main),
                entry.file.path.name,
                entry.main.paper,
            ]
            for need, entries in summary.grouped(found.entries).items()
            for entry in entries
        ],
        [list(describe_schedules.row(entry)) for entry in found.schedules],
    )


def _record() -> Path:
    """Where the rows of the built-in specs, as they are now, are kept."""
    folder = specs_folder()
    inputs = inputs_digests(folder, spec_paths(folder))
    return record("lists", "\n".join(sorted(inputs.values())))


def _kept(at: Path) -> Listing | None:
    """The rows in a record; None if there are none that could be shown."""
    try:
        found = json.loads(at.read_text(encoding="utf-8"))
        rows = [found["optimizers"], found["schedules"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    widths = len(OPTIMIZERS), len(SCHEDULES)
    if not all(_are_rows(*pair) for pair in zip(rows, widths, strict=True)):
        return None
    return Listing(*rows)


def _are_rows(rows: object, width: int) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == width and all(isinstance(cell, str) for cell in row)
        for row in rows
    )
