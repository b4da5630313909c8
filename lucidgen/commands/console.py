"""What all commands share: the console, and how failures are told.

Owns the wording around an error and the exit code of each kind. Does not own any command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Failure, WrongUsage

if TYPE_CHECKING:
    from rich.console import Console


Specs = Annotated[
    Path | None,
    typer.Option("--specs", metavar="DIR", help="Folder of the spec files [default: built-in]."),
]


def console(*, stderr: bool = False) -> Console:
    """A console that never breaks lines: paths and code stay whole when piped."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)


@contextmanager
def reported() -> Iterator[None]:
    """Say what went wrong in one message, and leave with the right exit code."""
    try:
        yield
        sys.stdout.flush()
    except typer.Exit:
        raise
    except (Failure, WrongUsage) as error:
        fail(str(error), 2 if isinstance(error, WrongUsage) else 1)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except OSError as error:
        where = f"{short_path(Path(str(error.filename)))}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}", 1)
    except Exception as error:
        if type(error).__name__ != "SpecError":
            fail(
                f"{type(error).__name__}: {error}\nThis is a bug in lucidgen; please report it.", 1
            )
        fail_spec(error)


def fail(message: str, code: int) -> None:
    """Print an error and leave."""
    out = console(stderr=True)
    out.print("error:", style="bold red", end=" ")
    out.print(message)
    raise typer.Exit(code)


def fail_spec(error: Exception) -> None:
    """Print everything that is wrong with spec files, each with place, equation and remedy."""
    from ..spec.errors import SpecError

    assert isinstance(error, SpecError)
    out = console(stderr=True)
    for problem in error.problems:
        out.print(f"{problem.location}:", style="bold", end=" ")
        out.print(problem.what)
        if problem.equation:
            out.print(f"    in  {problem.equation}", style="cyan")
        out.print(f"    {problem.remedy}", style="dim")
    number = len(error.problems)
    files = len({problem.location.file for problem in error.problems})
    out.print(
        f"error: {number} problem{'s' * (number != 1)} in {files} spec file{'s' * (files != 1)}",
        style="bold red",
    )
    raise typer.Exit(1)


def short_path(path: Path) -> str:
    """A path as seen from here, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
