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

from ..errors import Failure

if TYPE_CHECKING:
    from ..package.catalog import Entry
    from ..verify.gpu.check import Report


class Target(StrEnum):
    """What can be verified from the command line."""

    metal = "metal"
    cuda = "cuda"


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

    The texts that MLX makes of Metal or CUDA kernels are compiled for this machine, run over grids
    under sanitizers, and compared with the equations at 50 digits; so are the complete kernels.
    All dialects and static choices are tried, in float32, float16 and bfloat16. Metal's texts are
    read with its address spaces as well.
    """
    from .console import console, reported

    with reported():
        from ..package.catalog import catalog

        reports = _reports(catalog(specs).find(name), target.value)
        out = console()
        for report in reports:
            for line in _lines(report, target.value):
                out.print(line)
        failed = [report.title for report in reports if not report.passed]
        if failed:
            title = _TITLES[target.value]
            raise Failure(f"{', '.join(failed)}: the {title} kernels are not what they should be")
        out.print(f"Shown on this machine's processor. {_BEYOND[target.value]}")


_TITLES = {"metal": "Metal", "cuda": "CUDA"}

#: What is not shown here.
_BEYOND = {
    "metal": "Only a Mac can show that Apple's compiler accepts the texts, and how fast they are: "
    "`make test-metal` there.",
    "cuda": "Only an NVIDIA GPU can show what its own functions give, and how fast the kernels "
    "are: `python bench/cuda` there.",
}


def _reports(entry: Entry, target: str) -> Sequence[Report]:
    title = _TITLES[target]
    try:
        from ..verify.gpu.check import check
        from ..verify.gpu.host import NoCompiler
        from ..verify.gpu.rules import NoClang
        from ..verify.gpu.subjects import subjects
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mlx"):
            raise
        raise Failure(
            f"verifying {title} kernels needs MLX: python -m pip install 'lucidgen[verify]'"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        found = list(subjects([entry.main], Path(folder), target))
        if entry.spec is not entry.main:
            found = [subject for subject in found if entry.spec.reading in subject.readings]
        if not found:
            raise Failure(
                f"{entry.name} has no {title} kernel: {_reason(entry, target)}. It takes the "
                f"compiled MLX function on {title}"
            )
        try:
            return check(found)
        except (NoCompiler, NoClang) as error:
            raise Failure(str(error)) from None


def _reason(entry: Entry, target: str) -> str:
    """Why a reading has no kernel."""
    from ..package.module import compile_file

    return next(r.without(target) for r in compile_file(entry.file).rules if r.spec is entry.spec)


_READ = "  read: address spaces, read-only memory, literals, names, number of buffers"


def _lines(report: Report, target: str) -> list[str]:
    """What a report says, in lines."""
    title = f"{report.title}: {report.choices} combinations of static choices, {report.texts} texts"
    if report.findings:
        shown = [f"  wrong: {finding}" for finding in report.findings[:10]]
        more = len(report.findings) - len(shown)
        return [title, *shown, *([f"  and {more} more"] if more > 0 else [])]
    return [
        title,
        *([_READ] if target == "metal" else []),
        f"  run: {report.calls} grids of 1 to 1000 elements, none left its buffers",
        "  equal: float16 and bfloat16 with float32, all sizes, many tensors in one call, and the "
        f"complete {'.metal' if target == 'metal' else '.cu'} file",
        f"  equations: {report.compared} numbers within {report.worst:.3f} of their error bounds",
    ]


def attach(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)
