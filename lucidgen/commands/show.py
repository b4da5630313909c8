"""`lucidgen show`: an optimizer or a schedule, as equations, code or picture.

Owns the options of the command and what it prints. The texts are made in `describe` and
`describe_schedules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import WrongUsage

if TYPE_CHECKING:
    from ..package.catalog import ScheduleEntry


class Stage(StrEnum):
    """What `show` can print."""

    equations = "equations"
    program = "program"
    numpy = "numpy"
    mlx = "mlx"
    metal = "metal"
    cuda = "cuda"


def show(
    name: Annotated[str, typer.Argument(help="A class, as in Adam or Adam:lucid2.")],
    dialect: Annotated[
        str | None, typer.Option("--dialect", metavar="NAME", help="Another reading of it.")
    ] = None,
    stage: Annotated[
        Stage, typer.Option("--stage", help="How far on the way from equations to code.")
    ] = Stage.equations,
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations in LaTeX.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw a schedule.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=VALUE", help="An argument of the schedule to draw."),
    ] = None,
    specs: Annotated[
        Path | None,
        typer.Option(
            "--specs", metavar="DIR", help="Folder of the spec files [default: built-in]."
        ),
    ] = None,
) -> None:
    """Show an optimizer or a schedule: its equations, or what the compiler makes of them."""
    from .console import console, reported

    with reported():
        if latex and stage is not Stage.equations:
            raise WrongUsage("--latex is for the equations; leave out --stage")
        from ..package.catalog import catalog
        from . import describe

        known = catalog(specs)
        schedule = known.find_schedule(name)
        if schedule is not None:
            if dialect or stage is not Stage.equations:
                raise WrongUsage(f"{name} is a schedule, which has neither dialects nor stages")
            _show_schedule(schedule, latex, plot, given or ())
            return
        entry = known.find(name, dialect)
        if plot or given:
            raise WrongUsage(f"--plot and --with are for schedules; {entry.name} is an optimizer")
        if latex:
            _print_code(describe.latex_text(entry.spec), "latex")
        elif stage is Stage.equations:
            console().print(describe.overview(entry))
        elif stage is Stage.program:
            console().print(describe.program_text(entry.spec))
        else:
            text = describe.code_text(entry, stage.value)
            _print_code(text, "python" if stage in (Stage.numpy, Stage.mlx) else "cpp")


def _show_schedule(
    entry: ScheduleEntry, latex: bool, plot: Path | None, given: Sequence[str]
) -> None:
    from . import describe_schedules as describe
    from .console import console

    if plot:
        describe.draw(entry.spec, plot, given)
        console().print(f"wrote {plot}")
    elif given:
        raise WrongUsage("--with gives arguments to --plot")
    elif latex:
        _print_code(describe.latex_text(entry.spec), "latex")
    else:
        console().print(describe.overview(entry))


def _print_code(text: str, language: str) -> None:
    """Print code in colours on a terminal, and as it is elsewhere."""
    from .console import console

    out = console()
    if out.is_terminal:
        from rich.syntax import Syntax

        out.print(Syntax(text, language, theme="ansi_dark", background_color="default"))
    else:
        out.print(text)


def attach(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(show)
