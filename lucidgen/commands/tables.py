"""What `lucidgen list` prints: a table of optimizers and one of schedules.

Owns columns and layout; what a row says of an optimizer is `describe`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from ..package.catalog import Catalog, ScheduleEntry
from ..spec.schedule import value
from ..targets.common.plain import text_of
from .describe import row

OPTIMIZERS = ("class", "file", "dialects", "state", "cost per element", "paper")
SCHEDULES = ("schedule", "file", "value[t]", "paper")


def print_tables(found: Catalog) -> None:
    """Print what there is; where the output is piped, lines stay whole."""
    optimizers = [
        (line.name, line.file, line.dialects, line.states, line.cost, line.paper)
        for line in map(row, found.entries)
    ]
    tables = [_table(OPTIMIZERS, optimizers)] if optimizers else []
    schedules = [_schedule_row(entry) for entry in found.schedules]
    tables += [_table(SCHEDULES, schedules)] if schedules else []
    out = Console()
    width = out.width if out.is_terminal else 400
    out = Console(highlight=False, markup=False, emoji=False, width=width)
    for i, table in enumerate(tables):
        out.print(*(("\n", table) if i else (table,)), sep="")


def _schedule_row(entry: ScheduleEntry) -> tuple[str, ...]:
    spec = entry.spec
    right = text_of(spec.by_series[value].right, spec)
    return spec.name, entry.file.path.name, right, spec.paper


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold")
    for line in rows:
        table.add_row(*line)
    return table
