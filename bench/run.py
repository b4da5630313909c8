"""A whole run: the cases there are, who takes part, and what comes out.

Owns how the parts are put together, and the progress that is shown.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import building
import contest
import machine
import results
import startup
from cases import DIALECTS, LARGE, OF_LARGE, QUICK, SETTINGS, SHAPES, Case
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from workers import Worker, workers

import lucidgen.optim
from lucidgen.package.catalog import catalog
from lucidgen.package.cost import traffic_of
from lucidgen.runtime.backends.loops import compiler

#: This part of the time may pass until a rival is ready for a case; some compile for minutes.
PATIENCE = 1 / 12


def run(given: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure what the command line asks for.

    Raises
    ------
    Failed
        If a Python that was named does not run.
    """
    os.environ.pop("LUCIDGEN_KERNEL", None)  # each of our rivals has its own
    seconds = 0 if given.quick else 60 * given.minutes
    start = time.monotonic()
    about = machine.described()
    cases = [case for case in all_cases(given.quick) if is_named(str(case), given.only)]
    compile_loops(cases, console)
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "workers.log").open("wb") as log:
        present = {
            name: worker
            for name, worker in workers(given.python, log).items()
            if is_named(name, given.rival)
        }
        left = seconds - (time.monotonic() - start)
        outcomes = contested(cases, present, left, given.rounds, console)
    libraries = {name: worker.version for name, worker in present.items()}
    return {
        "machine": about | {"load_after": machine.load()},
        "startup": startup.measured(1 if given.quick else startup.REPEATS),
        "building": building.measured(quick=given.quick),
        "minutes": round((time.monotonic() - start) / 60, 2),
        "cases": [results.of_case(outcome, libraries) for outcome in outcomes],
    }


def contested(
    cases: list[Case],
    present: dict[str, Worker],
    seconds: float,
    most: int,
    console: Console,
) -> list[contest.Outcome]:
    """The outcomes of the cases, with progress that is drawn between turns only: drawing takes time
    from who is measured."""
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total} {task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, auto_refresh=False) as progress:
        task = progress.add_task("", total=len(cases))

        def told(text: str) -> None:
            progress.update(task, description=text)
            progress.refresh()

        runner = contest.Contest(present, max(30, PATIENCE * seconds), told)
        try:
            return contest.run_all(runner, cases, seconds, most, lambda: progress.advance(task))
        finally:
            for worker in present.values():
                worker.end()


def is_named(text: str, wanted: list[str]) -> bool:
    """Whether a text has one of these in it; everything has, if there are none."""
    return not wanted or any(part in text for part in wanted)


def compile_loops(cases: list[Case], console: Console) -> None:
    """Compile our loops for these cases, so that nobody steps without them meanwhile."""
    try:
        for name in dict.fromkeys(case.optimizer for case in cases):
            rules = getattr(lucidgen.optim, name).rules
            rule = rules[DIALECTS.get(name, next(iter(rules)))]
            shares = [found.shares for found in rule.rounds if found.shares is not None]
            for part in (rule, *shares):
                compiler.demanded(part, "float32")
    except compiler.Unavailable as reason:
        console.print(f"no compiled loops: {reason}", markup=False)


def all_cases(quick: bool) -> list[Case]:
    """What is to be measured; the largest come last and take what time is left."""
    shapes = QUICK if quick else SHAPES
    found = []
    for optimizer in SETTINGS:
        if not hasattr(lucidgen.optim, optimizer) or (quick and optimizer not in OF_LARGE):
            continue
        for title, of_case in shapes.items():
            case = Case(title, optimizer, of_case, passes(optimizer))
            if case.size < LARGE or optimizer in OF_LARGE:
                found.append(case)
    return sorted(found, key=lambda case: case.size >= LARGE)


def passes(optimizer: str) -> tuple[tuple[int, int], ...]:
    """How many arrays each loop of a step reads and writes, as the compiler says."""
    main = catalog(None).find(optimizer).main
    spec = main.readings[DIALECTS[optimizer]] if optimizer in DIALECTS else main
    values = SETTINGS[optimizer]
    special = {h.name: h.special for h in spec.hypers if h.special is not None}
    on = {f"use_{name}": values[name] != value for name, value in special.items() if name in values}
    return tuple((len(loop.reads), len(loop.stores)) for loop in traffic_of(spec, on))
