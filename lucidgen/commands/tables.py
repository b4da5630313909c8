"""What `lucidgen list` prints: a table of optimizers and one of schedules.

Owns layout; what the rows are is `listing`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .listing import OPTIMIZERS, SCHEDULES, Listing

#: The columns that a narrow terminal does without, the first one first.
DISPENSABLE = ("paper", "file", "bytes")

#: The column by which rows are grouped.
GROUPED_BY = "needs"


def print_tables(found: Listing) -> None:
    """Print what there is: as wide as the terminal, or where the output is piped a line a row."""
    both = ((OPTIMIZERS, found.optimizers), (SCHEDULES, found.schedules))
    tables = [table for table in both if table[1]]
    out = Console(highlight=False, markup=False, emoji=False, soft_wrap=not Console().is_terminal)
    is_narrow = False
    for number, (titles, rows) in enumerate(tables):
        if number:
            out.print()
        if out.is_terminal:
            shown = _fitting(titles, rows, out.width)
            is_narrow = is_narrow or len(shown) < len(titles)
            out.print(_table(titles, rows, shown))
        else:
            _print_lines(out, titles, rows)
    if is_narrow:
        out.print("\nA wider terminal shows more, as does `lucidgen show NAME`.", style="dim")


def _fitting(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that are shown: all if they fit side by side, else without the dispensable."""
    needed = [max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True)]
    shown = list(range(len(titles)))
    for title in (title for title in DISPENSABLE if title in titles):
        if sum(needed[i] for i in shown) - 2 > width:
            shown.remove(titles.index(title))
    return shown


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> Table:
    """A table of some columns; cells that are too long for the terminal go on below."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for i in shown:
        table.add_column(titles[i], overflow="fold", no_wrap=i == 0)
    group = titles.index(GROUPED_BY) if GROUPED_BY in titles else None
    for line, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(*(line[i] for i in shown))
        if group is not None and following is not None and line[group] != following[group]:
            table.add_row()
    return table


def _print_lines(out: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One line for each row, no longer than what it says: for grep and its kin."""
    width = max(len(line[0]) for line in (titles, *rows))
    for first, *rest in (titles, *rows):
        out.print("  ".join([f"{first:<{width}}", *filter(None, rest)]))
