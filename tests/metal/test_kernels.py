"""Every kernel of every built-in optimizer, dialect and static choice, on this machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lucidgen.paths import specs_folder
from lucidgen.verify.metal.check import check
from lucidgen.verify.metal.subjects import Subject

NAMES = sorted(path.stem for path in specs_folder().glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_of_a_spec_file_pass_the_check(
    name: str, emitted: Callable[[str], list[Subject]]
) -> None:
    reports = check(emitted(name), steps=(1, 2, 1000))
    assert [str(finding) for report in reports for finding in report.findings] == []
    assert all(report.passed for report in reports)
    assert all(report.texts >= 6 * report.choices for report in reports)
