"""What `lucidgen verify --target metal` and `cuda` do, and what they say.

Owns the words. The check is in `check`, which needs MLX and is imported when it is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import Failure
from ...package.catalog import Entry
from .. import steps
from ..report import Report

if TYPE_CHECKING:
    from .check import Checked

_READ = "  read: address spaces, read-only memory, literals, names, number of buffers"


def metal(entry: Entry) -> Iterator[Report]:
    """Check the Metal kernels of a reading, or of all readings of a class."""
    for found in _checked(entry, "metal", "Metal"):
        yield _report(found, (_READ,), ".metal")
    yield from _phases(entry, "metal", ".metal")


def cuda(entry: Entry) -> Iterator[Report]:
    """Check the CUDA kernels of a reading, or of all readings of a class."""
    for found in _checked(entry, "cuda", "CUDA"):
        yield _report(found, (), ".cu")
    yield from _phases(entry, "cuda", ".cu")


def _phases(entry: Entry, target: str, ending: str) -> Iterator[Report]:
    """Check the complete kernels of what reduces."""
    from .host import Fault, NoCompiler
    from .phases import CUDA, METAL, Kernels
    from .rules import NoClang

    kernels = Kernels({"cuda": CUDA, "metal": METAL}[target])
    with kernels.installed():
        try:
            for report in steps.reports(entry, target, kernels.collect):
                read = (_READ,) if report.shown and target == "metal" else ()
                title = f"{report.title}, in the phases of the {ending} file"
                yield replace(report, title=title, shown=(*read, *report.shown))
        except Fault as fault:
            yield Report(f"{entry.name}: the phases of the {ending} file", wrong=(str(fault),))
        except (NoCompiler, NoClang) as error:
            raise Failure(str(error)) from None


def _checked(entry: Entry, target: str, title: str) -> list[Checked]:
    try:
        from .check import check
        from .host import NoCompiler
        from .rules import NoClang
        from .subjects import subjects
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
        try:
            return check(found) if found else []
        except (NoCompiler, NoClang) as error:
            raise Failure(str(error)) from None


def _report(found: Checked, read: tuple[str, ...], complete: str) -> Report:
    title = f"{found.title}: {found.choices} combinations of static choices, {found.texts} texts"
    equal = ["float16 and bfloat16 with float32", "all sizes", "many tensors in one call"]
    equal += [f"the complete {complete} file"] if found.is_complete else []
    shown = (
        *read,
        f"  run: {found.calls} grids of 1 to 1000 elements, none left its buffers",
        f"  equal: {', '.join(equal[:-1])}, and {equal[-1]}",
        f"  equations: {found.compared} numbers within {found.worst:.3f} of their error bounds",
    )
    return Report(title, shown if found.compared else (), tuple(map(str, found.findings)))
