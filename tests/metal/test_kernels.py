"""The kernels of every built-in optimizer and dialect, on this machine."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import pytest

from lucidgen.package.build import spec_paths
from lucidgen.paths import specs_folder
from lucidgen.spec.loader import load
from lucidgen.verify.emitted import pairwise
from lucidgen.verify.gpu.check import Checked, check
from lucidgen.verify.gpu.subjects import Subject
from lucidgen.verify.oracle import Setting

FILES = {path.stem: load(path) for path in spec_paths(specs_folder())}
CLASSES = [(stem, spec.name) for stem, file in FILES.items() for spec in file.specs]


@pytest.mark.parametrize(("stem", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_the_kernels_of_an_optimizer_pass_the_check(
    stem: str, name: str, emitted: Callable[[str], list[Subject]]
) -> None:
    # In half precision, which all texts treat alike, those of one class.
    types = (mx.float32, mx.bfloat16) if name == "AdamW" else (mx.float32,)
    reports = check(
        (s for s in emitted(stem) if s.main.name == name),
        steps=(1, 1000),
        types=types,
        among=sample,
    )
    assert_passed(reports)
    assert all(report.texts >= 2 * len(types) * report.choices for report in reports)


@pytest.mark.complete
@pytest.mark.parametrize(("stem", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_the_kernels_of_an_optimizer_pass_the_check_with_every_choice(
    stem: str, name: str, emitted: Callable[[str], list[Subject]]
) -> None:
    reports = check((s for s in emitted(stem) if s.main.name == name), steps=(1, 2, 1000))
    assert_passed(reports)
    assert all(report.texts >= 6 * report.choices for report in reports)


def sample(settings: list[Setting]) -> list[Setting]:
    """The choices of the first reading in pairs; of others, all they can do at once."""
    return settings[-1:] if settings[0].spec.is_dialect else pairwise(settings)


def assert_passed(reports: list[Checked]) -> None:
    assert [str(finding) for report in reports for finding in report.findings] == []
    assert reports
    assert all(report.passed for report in reports)
