"""What the command line says about schedules, as text.

Owns the words and their layout, and how arguments are read from the command line.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import WrongUsage
from ..package.catalog import ScheduleEntry
from ..package.documentation import equation_block
from ..package.scheduler import CompiledSchedule
from ..spec.schedule import Schedule, value
from ..targets.common.plain import equation_lines, text_of


def row(entry: ScheduleEntry) -> tuple[str, ...]:
    """What `lucidgen list` says of a schedule, column by column."""
    spec = entry.spec
    right = text_of(spec.by_series[value].right, spec)
    return spec.name, right, entry.file.path.name, spec.paper


def overview(entry: ScheduleEntry) -> str:
    """A schedule in one page: what it is, its equations, its arguments, its code."""
    spec = entry.spec
    compiled = CompiledSchedule(spec)
    lines = [f"{spec.name} from {entry.file.path.name}"]
    lines += [text for text in (spec.summary, spec.paper, spec.notes) if text]
    lines.append("")
    width = len(f"({len(spec.equations)})")
    for equation in spec.equations:
        number = f"({spec.number(equation)})"
        for i, line in enumerate(equation_lines(equation, spec)):
            lines.append(f"  {number if i == 0 else '':>{width}}  {line}")
    arguments = [f"{a.name} = {a.default}" if a.default else a.name for a in compiled.arguments]
    lines += ["", "arguments  " + ("\n" + " " * 11).join(arguments)]
    if spec.example:
        lines.append(f"example    {spec.name}(optimizer, {spec.example})")
    return "\n".join(lines)


def latex_text(spec: Schedule) -> str:
    """The equations in LaTeX."""
    return "\n".join([r"\begin{aligned}", *equation_block(spec, spec.equations), r"\end{aligned}"])


def draw(spec: Schedule, path: Path, given: Sequence[str]) -> None:
    """Draw a schedule with arguments as typed."""
    from .plotting import plot

    plot(spec, path, arguments_of(given))


def arguments_of(given: Sequence[str]) -> dict[str, Any]:
    """Arguments as typed, `T_max=50`, by name; what is no Python value is a word."""
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise WrongUsage(f"{text!r} is no argument; write it as in --with T_max=50")
        try:
            found[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            found[name] = value
    return found
