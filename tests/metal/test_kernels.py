"""Every kernel of every built-in optimizer, dialect and static choice, on this machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lucidgen.paths import specs_folder
from lucidgen.spec.loader import load
from lucidgen.verify.gpu.check import check
from lucidgen.verify.gpu.subjects import Subject

FILES = {path.stem: load(path) for path in sorted(specs_folder().glob("[a-z]*.py"))}
CLASSES = [(stem, spec.name) for stem, file in FILES.items() for spec in file.specs]


@pytest.mark.parametrize(("stem", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_the_kernels_of_an_optimizer_pass_the_check(
    stem: str, name: str, emitted: Callable[[str], list[Subject]]
) -> None:
    reports = check((s for s in emitted(stem) if s.main.name == name), steps=(1, 2, 1000))
    assert [str(finding) for report in reports for finding in report.findings] == []
    assert reports
    assert all(report.passed for report in reports)
    assert all(report.texts >= 6 * report.choices for report in reports)
