"""The readings of the built-in optimizers, as parameters of tests: every one, or a sample.

A check that is quick is made of every reading. One that takes long (where a compiler runs) is made
of a few which show together all that it can go wrong on (`lucidgen.verify.cover`); the others are
marked `complete`. Readings of a class that compile to the same program count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any, TypeVar

import pytest

from lucidgen import optim
from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program
from lucidgen.package.catalog import Entry, catalog
from lucidgen.passes import optimize
from lucidgen.runtime.rules import Rule
from lucidgen.spec import OptimizerSpec
from lucidgen.verify.cover import cover, done_for, features
from lucidgen.verify.gpu.subjects import Subject, subjects_in

T = TypeVar("T")

#: The built-in optimizers in their default readings, and the schedules.
CATALOG = catalog(None)
READINGS = [
    Entry(entry.file, entry.main, spec)
    for entry in CATALOG.entries
    for spec in entry.main.readings.values()
]


#: States that are sums or averages of what is not negative, by their names in the equations.
NOT_NEGATIVE = {
    "a",
    "v",
    "v_max",
    "n",
    "s",
    "u",
    "r",
    "c",
    "b_squared",
    "m_squared",
    "b_g",
    "b_hat",
}
NOT_NEGATIVE |= {"r_res", "c_res", "v_row", "decay"}


@cache
def program_of(spec: OptimizerSpec) -> Program:
    """What the passes make of a reading."""
    return optimize(lower(spec))


def rule_of(reading: Entry) -> Rule:
    """The generated rule."""
    found: Rule = getattr(optim, reading.main.name).rules[reading.spec.reading]
    return found


def served(reading: Entry, target: str) -> bool:
    """Whether a target serves a reading; NumPy serves all."""
    return target == "numpy" or target in rule_of(reading).targets


@cache
def different(target: str = "numpy") -> tuple[Entry, ...]:
    """The readings that a target serves; of those that compute the same, the first of a class."""
    found: dict[Any, Entry] = {}
    for reading in READINGS:
        if served(reading, target):
            program = program_of(reading.spec)
            found.setdefault((reading.main.name, program.inputs, program.lets), reading)
    return tuple(found.values())


def shown(reading: Entry, target: str = "numpy") -> frozenset[Hashable]:
    """What a target can go wrong on; loops and kernels are given the numbers of the step."""
    found = features(reading.spec, program_of(reading.spec))
    if target in ("numpy", "mlx"):
        return found
    domains = ("tensor", "matrix", "row", "column", "element") if target == "cpp" else ("element",)
    return done_for(domains, found)


@cache
def covering(target: str = "numpy") -> tuple[Entry, ...]:
    """A few readings that show all that those do which a target serves."""
    return tuple(cover(different(target), lambda reading: shown(reading, target)))


def every(target: str = "numpy") -> list[Any]:
    """Parameters `reading`: all that a target serves, those that repeat others as `complete`."""
    return sampled([r for r in READINGS if served(r, target)], different(target))


def sample(target: str = "numpy") -> list[Any]:
    """Parameters `reading`: all that a target serves, but for a few of them as `complete`."""
    return sampled([r for r in READINGS if served(r, target)], covering(target))


def sampled(
    everything: Sequence[T], chosen: Sequence[T], name: Callable[[T], str] = lambda item: item.name
) -> list[Any]:
    """Parameters of a test: everything, of which `make test` takes what is chosen."""
    names = {name(item) for item in chosen}
    return [
        pytest.param(item, id=name(item), marks=() if name(item) in names else pytest.mark.complete)
        for item in everything
    ]


@cache
def subjects_of(language: str, name: str) -> list[Subject]:
    """The rules of a built-in spec file that have kernels in a language, as they are committed."""
    file = next(file for file in CATALOG.files if file.name == name)
    return list(subjects_in(optim, file.specs, language))


def subject_of(reading: Entry, emitted: Callable[[str], list[Subject]]) -> Subject:
    """What is emitted for a reading, and for those that compute the same."""
    (found,) = (
        subject
        for subject in emitted(reading.file.name)
        if subject.main.name == reading.main.name and reading.spec.reading in subject.readings
    )
    return found
