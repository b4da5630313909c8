"""Which recorded cases `make test` runs: all on NumPy in float64, few on each other machine.

The steps of all machines come from one program, and are compared with each other and with the
equations elsewhere (tests/verify, tests/native). So another machine runs a few cases that show
together all that programs can show, and every argument. Loops, which take a second to compile, run
those of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from cases import Case
from readings import READINGS, program_of, sampled

from lucidgen.verify.cover import cover, features


def a_few(cases: Mapping[str, Case], reading: Callable[[Case], str]) -> list[Any]:
    """Parameters `name`: the cases, but for a few that show all as `complete`.

    `reading` is the dialect in which a case is run.
    """
    specs = {(entry.main.name, entry.spec.reading): entry.spec for entry in READINGS}

    def shows(name: str) -> set[Hashable]:
        spec = specs[cases[name].optimizer, reading(cases[name])]
        return {*features(spec, program_of(spec)), *_settings(cases[name])}

    return sampled(list(cases), cover(list(cases), shows), str)


def one_of_each(cases: Mapping[str, Case]) -> list[Any]:
    """Parameters `name`: the cases, but for a few as `complete`: each argument of each optimizer.

    These are what checkpoints differ by.
    """

    def shows(name: str) -> set[Hashable]:
        optimizer = cases[name].optimizer
        return {optimizer, *((optimizer, setting) for setting in _settings(cases[name]))}

    return sampled(list(cases), cover(list(cases), shows), str)


def _settings(case: Case) -> set[Hashable]:
    """The arguments of a case, and what changes on the way."""
    changed = {key for values in case.changes.values() for key in values}
    return {*case.arguments, *(("changed", key) for key in changed)}
