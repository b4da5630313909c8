"""`lucidgen verify`: hold emitted code against the equations, and say what that showed.

Owns the options of the command and what it prints. What is checked is in `verify/`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import Failure

if TYPE_CHECKING:
    from .catalog import Entry
    from .verify.gpu.check import Report


class Target(StrEnum):
    """What can be verified from the command line."""

    metal = "metal"


def verify(
    name: Annotated[str, typer.Argument(help="A class, as in Adam or Adam:lucid2.")],
    target: Annotated[
        Target, typer.Option("--target", help="Whose code to verify.")
    ] = Target.metal,
    specs: Annotated[
        Path | None,
        typer.Option(
            "--specs", metavar="DIR", help="Folder of the spec files [default: built-in]."
        ),
    ] = None,
) -> None:
    """Hold an optimizer's emitted code against its equations, on this machine.

    For Metal: the texts that MLX assembles are read with Metal's address spaces, compiled for this
    machine, run over grids under sanitizers, and compared with the equations at 50 digits. All
    dialects and static choices are tried, in float32, float16 and bfloat16.
    """
    from .cli import console, reported

    with reported():
        from .catalog import catalog

        reports = _metal(catalog(specs).find(name))
        out = console()
        for report in reports:
            for line in _lines(report):
                out.print(line)
        failed = [report.title for report in reports if not report.passed]
        if failed:
            raise Failure(f"{', '.join(failed)}: the Metal kernels are not what they should be")
        out.print(
            "Shown on this machine's processor. Only a Mac can show that Apple's compiler accepts "
            "the texts, and how fast they are: `make test-metal` there."
        )


def _metal(entry: Entry) -> Sequence[Report]:
    try:
        from .verify.gpu.check import check
        from .verify.gpu.host import NoCompiler
        from .verify.gpu.rules import NoClang
        from .verify.gpu.subjects import subjects
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mlx"):
            raise
        raise Failure(
            "verifying Metal kernels needs MLX: python -m pip install 'lucidgen[verify]'"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        found = list(subjects([entry.main], Path(folder)))
        if entry.spec is not entry.main:
            found = [subject for subject in found if entry.spec.reading in subject.readings]
        if not found:
            raise Failure(
                f"{entry.name} has no Metal kernel: {_reason(entry)}. It takes the compiled MLX "
                "function on Metal"
            )
        try:
            return check(found)
        except (NoCompiler, NoClang) as error:
            raise Failure(str(error)) from None


def _reason(entry: Entry) -> str:
    """Why a reading has no kernel."""
    from .compiled import compile_file

    return next(r.without("metal") for r in compile_file(entry.file).rules if r.spec is entry.spec)


def _lines(report: Report) -> list[str]:
    """What a report says, in lines."""
    title = f"{report.title}: {report.choices} combinations of static choices, {report.texts} texts"
    if report.findings:
        shown = [f"  wrong: {finding}" for finding in report.findings[:10]]
        more = len(report.findings) - len(shown)
        return [title, *shown, *([f"  and {more} more"] if more > 0 else [])]
    return [
        title,
        "  read: address spaces, read-only memory, literals, names, number of buffers",
        f"  run: {report.calls} grids of 1 to 1000 elements, none left its buffers",
        "  equal: float16 and bfloat16 with float32, all sizes, many tensors in one call, and the "
        "complete .metal file",
        f"  equations: {report.compared} numbers within {report.worst:.3f} of their error bounds",
    ]


def attach(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)
