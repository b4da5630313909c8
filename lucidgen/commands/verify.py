"""`lucidgen verify`: hold emitted code against the equations, and say what that showed.

Owns the options of the command and what it prints. What is checked is the target's to say; the
checks are in `verify/`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Failure
from ..targets import registry
from .console import Specs, console, reported

if TYPE_CHECKING:
    from ..package.catalog import Entry
    from ..targets.common.target import Target
    from ..verify.report import Report

#: How many findings of one rule are printed.
MOST = 10


def verify(
    name: Annotated[str, typer.Argument(help="A class, as in Adam or Adam:lucid2.")],
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="NAME",
            help=f"Whose code to verify: {', '.join(registry.BUILT_IN)}.",
        ),
    ] = "metal",
    specs: Specs = None,
) -> None:
    """Hold an optimizer's emitted code against its equations, on this machine.

    All dialects and static choices are tried. Steps in NumPy, MLX and C++ are run, in float64 and
    float32, and compared with the equations at 50 digits. The texts that MLX makes of Metal or CUDA
    kernels are compiled for this machine, run over grids under sanitizers, and compared in the same
    way, in float32, float16 and bfloat16; so are the complete kernels, but for those of rules that
    reduce, whose steps are run in float64 and float32. Metal's texts are read with its address
    spaces as well.
    """
    with reported():
        from ..package.catalog import catalog

        registry.check([target])
        entry = catalog(specs, named=[name]).find(name)
        chosen = registry.load(target)
        out = console()
        failed, passed = [], 0
        for report in _reports(entry, chosen):
            for line in _lines(report):
                out.print(line)
            if report.passed:
                passed += 1
            else:
                failed.append(report.title.partition(":")[0])
        if failed:
            raise Failure(
                f"{', '.join(failed)}: the {chosen.title} {chosen.product} are not what they "
                "should be"
            )
        if not passed:
            raise Failure(_absence(entry, chosen))
        out.print(f"Shown on this machine's processor. {chosen.unshown}".strip())


def _reports(entry: Entry, target: Target) -> Iterator[Report]:
    if not target.verifier:
        raise Failure(
            f"the target {target.name} says no way to verify its {target.product}; `lucidgen show "
            f"{entry.name} --stage {target.name}` prints them"
        )
    module, _, function = target.verifier.partition(":")
    check: Any = getattr(importlib.import_module(module), function)
    found: Iterator[Report] = iter(check(entry))
    return found


def _absence(entry: Entry, target: Target) -> str:
    """What to say of an optimizer that a target does not serve."""
    from ..package.module import compile_file

    rules = compile_file(entry.file, ("numpy", target.name)).rules
    reason = next(r.without(target.name) for r in rules if r.spec is entry.spec)
    product = target.product.removesuffix("s")
    return f"{entry.name} has no {target.title} {product}: {reason}; another target serves it"


def _lines(report: Report) -> list[str]:
    """What a report says, in lines."""
    if not report.wrong:
        return [report.title, *report.shown]
    lines = [f"  wrong: {finding}" for finding in report.wrong[:MOST]]
    more = len(report.wrong) - len(lines)
    return [report.title, *lines, *([f"  and {more} more"] if more > 0 else [])]


def attach(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)
