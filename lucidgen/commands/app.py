"""The command line: `lucidgen build | list | show | diff | new | verify`.

Owns the options, what is printed, and the exit code: 1 for a failure, 2 for wrong usage. The work
is done elsewhere, and imported only by the command that needs it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from ..errors import Failure, WrongUsage
from ..paths import optim_folder, spec_folders, specs_folder
from ..targets import registry
from . import show, verify
from .console import Specs, console, reported, short_path

if TYPE_CHECKING:
    from ..package.build import Difference, Job

app = typer.Typer(
    name="lucidgen",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Optimizers for Lucid, MLX and NumPy, compiled from the equations of their papers.",
)


#: How many lines of each file's difference `build --check` shows.
DIFF_LINES = 40


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Set up nothing; only `--version` is answered here."""
    if version:
        console().print(f"lucidgen {__version__}")
        raise typer.Exit


@app.command()
def build(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Spec files or classes [default: all]."),
    ] = None,
    specs: Specs = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The package to write [default: lucid.optim]."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="DIR", help="Write a package that brings the runtime along."
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Remove Python files there that are not ours, as Lucid's."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; show what a build would change.")
    ] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="NAME[,NAME]...",
            help="Build for these targets only, as in numpy,mlx [default: all].",
        ),
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="Compile the C++ loops for this machine as well.")
    ] = False,
) -> None:
    """Compile specs to an importable package."""
    with reported():
        from ..package.build import Job
        from ..package.build import build as run

        if out is not None and into is not None:
            raise WrongUsage("--out and --into exclude each other")
        if check and native:
            raise WrongUsage("--check writes nothing, so there is nothing to compile for --native")
        if specs is not None and out is None and into is None:
            raise WrongUsage(
                "your own specs need a folder of their own to be written to; "
                f"for example: lucidgen build --specs {specs} --out my_optim"
            )
        folder = (into or out or optim_folder()).absolute()
        source = (specs or specs_folder()).absolute()
        targets = registry.chosen(target) if target else None
        if native and targets and "cpp" not in targets:
            raise WrongUsage("--native compiles C++ loops, which --target leaves out: add cpp")
        job = Job(source, folder, tuple(names or ()), into is not None, replace, targets)
        if check:
            _check(job, _command(names, specs, out, into, target))
        outcome = run(job)
        shown = short_path(folder)
        if not outcome.written and not outcome.removed:
            console().print(f"{shown} is up to date")
        for path in outcome.removed:
            console().print(f"removed {shown}/{path}")
        number = len(outcome.written)
        classes = f": {', '.join(outcome.classes)}" if outcome.classes else ""
        if number:
            console().print(f"wrote {number} file{'s' * (number != 1)} to {shown}{classes}")
        if native:
            _compile_loops(folder)


def _compile_loops(folder: Path) -> None:
    """Compile what would be compiled at the first steps of the optimizers of a package."""
    from ..runtime.backends.loops import cache, compiler

    try:
        with console(stderr=True).status("compiling C++ loops"):
            made = compiler.compile_ahead(folder)
    except (compiler.Unavailable, OSError) as error:
        raise Failure(f"no C++ loops were compiled: {error}") from None
    found = f"compiled {len(made)} C++ loops" if made else "all C++ loops are compiled already"
    console().print(f"{found}; they are kept in {cache.cache_folder()}")


def _command(
    names: Sequence[str] | None,
    specs: Path | None,
    out: Path | None,
    into: Path | None,
    target: Sequence[str] | None,
) -> str:
    targets = ",".join(target or ())
    options = {"--specs": specs, "--out": out, "--into": into, "--target": targets}
    given = [part for name, path in options.items() if path for part in (name, str(path))]
    return shlex.join(["lucidgen", "build", *(names or ()), *given])


def _check(job: Job, command: str) -> None:
    from ..package.build import check as compare

    found = compare(job)
    if not found:
        console().print(f"{short_path(job.out)} is up to date")
        raise typer.Exit(0)
    for difference in found:
        if difference.kind == "stale":
            _print_difference(difference, f"{short_path(job.out)}/{difference.path}")
    out = console()
    out.print(
        f"{len(found)} file{'s' * (len(found) != 1)} in {short_path(job.out)} not up to date:"
    )
    for difference in found:
        out.print(f"  {difference.kind:<8} {difference.path}")
    out.print("Run this, and commit what it changes:", style="bold")
    out.print(f"  {command}")
    raise typer.Exit(1)


def _print_difference(difference: Difference, path: str) -> None:
    from difflib import unified_diff

    before, after = difference.before.splitlines(), difference.after.splitlines()
    names = f"{path} (on disk)", f"{path} (built)"
    lines = list(unified_diff(before, after, *names, lineterm=""))
    styles = {"+": "green", "-": "red", "@": "cyan"}
    out = console()
    for line in lines[:DIFF_LINES]:
        out.print(line, style=styles.get(line[:1], ""))
    if len(lines) > DIFF_LINES:
        out.print(f"... {len(lines) - DIFF_LINES} more lines", style="dim")
    out.print()


@app.command(name="list")
def list_(specs: Specs = None) -> None:
    """List optimizers, by what they need, and schedules: where they are, dialects, state, cost."""
    with reported():
        from .listing import listing
        from .tables import print_tables

        found, error = listing(specs)
        print_tables(found)
        if error is not None:
            raise error


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A class, as in Adam or Adam:lucid2.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    specs: Specs = None,
) -> None:
    """Show the equations, state and defaults in which two optimizers differ."""
    with reported():
        from ..package.catalog import catalog

        known = catalog(specs, named=[a, b])
        left, right = known.find(a), known.find(b)
        from .describe import differences  # SymPy is there now, see `catalog`

        found = differences(left, right)
        out = console()
        if not found:
            out.print(f"{left.name} and {right.name} are the same: equations, state and defaults")
            return
        out.print(f"--- {left.name}", style="red")
        out.print(f"+++ {right.name}", style="green")
        for kind, changes in found.items():
            out.print(f"{kind}:", style="bold")
            for change in changes:
                for line in change.left:
                    out.print(f"- {line}", style="red")
                for line in change.right:
                    out.print(f"+ {line}", style="green")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The class, as in MyAdam.")],
    base: Annotated[
        str | None, typer.Option("--from", metavar="CLASS", help="The optimizer to start from.")
    ] = None,
    specs: Annotated[
        Path, typer.Option("--specs", metavar="DIR", help="The folder to write to.")
    ] = Path("specs"),
) -> None:
    """Write a short spec file to start from; it builds at once."""
    with reported():
        from ..package.catalog import catalog
        from ..package.writing import replace_files
        from .scaffold import check_name, file_name, new_spec

        check_name(name)
        if specs.exists() and not specs.is_dir():
            raise WrongUsage(f"{specs} is a file, where a folder is to be written")
        path = specs / file_name(name)
        if path.exists():
            raise Failure(f"{path} exists already; remove it, or choose another name")
        text = new_spec(name, catalog(None, named=[base]).find(base) if base else None)
        replace_files(specs, {path.name: text})
        built_in = specs.resolve() in spec_folders(specs_folder())
        folder = "" if built_in else f" --specs {shlex.quote(str(specs))}"
        package = "lucidgen.optim" if built_in else "my_optim"
        console().print(
            f"wrote {path}; edit it, and then\n\n"
            f"  lucidgen show {name}{folder}\n"
            f"  lucidgen build{folder}{'' if built_in else f' --out {package}'}\n"
            f'  python -c "from {package} import {name}; help({name})"'
        )


show.attach(app)
verify.attach(app)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()


if __name__ == "__main__":
    main()
