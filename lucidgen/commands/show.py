"""`lucidgen show`: an optimizer or a schedule, as equations, code or picture.

Owns the options of the command and what it prints. The texts are made in `describe` and
`describe_schedules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import WrongUsage, nearest
from ..targets import registry
from .console import Specs, console, reported

if TYPE_CHECKING:
    from ..package.catalog import ScheduleEntry


#: What `show` can print before there is a target.
STAGES = ("equations", "program", "host")


def show(
    name: Annotated[str, typer.Argument(help="A class, as in Adam or Adam:lucid2.")],
    dialect: Annotated[
        str | None, typer.Option("--dialect", metavar="NAME", help="Another reading of it.")
    ] = None,
    stage: Annotated[
        str,
        typer.Option(
            "--stage",
            metavar="STAGE",
            help="How far on the way from equations to code: equations, program, host (the "
            f"arithmetic on scalars), or a target: {', '.join(registry.BUILT_IN)}.",
        ),
    ] = "equations",
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations in LaTeX.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw a schedule.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=VALUE", help="An argument of the schedule to draw."),
    ] = None,
    specs: Specs = None,
) -> None:
    """Show an optimizer or a schedule: its equations, or what the compiler makes of them."""
    with reported():
        stages = (*STAGES, *registry.names())
        if stage not in stages:
            raise WrongUsage(
                f"there is no stage {stage!r}{nearest(stage, stages)}; there are "
                f"{', '.join(stages)}"
            )
        if latex and stage != "equations":
            raise WrongUsage("--latex is for the equations; leave out --stage")
        from ..package.catalog import catalog

        known = catalog(specs, named=[name])
        from . import describe  # SymPy is there now, see `catalog`

        schedule = known.find_schedule(name)
        if schedule is not None:
            if dialect or stage != "equations":
                raise WrongUsage(f"{name} is a schedule, which has neither dialects nor stages")
            _show_schedule(schedule, latex, plot, given or ())
            return
        entry = known.find(name, dialect)
        if plot or given:
            raise WrongUsage(f"--plot and --with are for schedules; {entry.name} is an optimizer")
        if latex:
            _print_code(describe.latex_text(entry.spec), "latex")
        elif stage == "equations":
            console().print(describe.overview(entry))
        elif stage == "program":
            console().print(describe.program_text(entry.spec))
        elif stage == "host":
            _print_code(describe.host_text(entry), "python")
        else:
            target = registry.load(stage)
            _print_code(describe.code_text(entry, target), target.language)


def _show_schedule(
    entry: ScheduleEntry, latex: bool, plot: Path | None, given: Sequence[str]
) -> None:
    from . import describe_schedules as describe

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
    out = console()
    if out.is_terminal:
        from rich.syntax import Syntax

        out.print(Syntax(text, language, theme="ansi_dark", background_color="default"))
    else:
        out.print(text)


def attach(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(show)
