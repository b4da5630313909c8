"""The kernels of the built-in optimizers and dialects, on this machine."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import pytest
from readings import every, sample, subject_of

from lucidgen.package.catalog import Entry
from lucidgen.verify.emitted import pairwise
from lucidgen.verify.gpu.check import Checked, check
from lucidgen.verify.gpu.subjects import Subject
from lucidgen.verify.setting import Setting


@pytest.mark.parametrize("reading", sample("metal"))
def test_the_kernels_of_an_optimizer_pass_the_check(
    reading: Entry, emitted: Callable[[str], list[Subject]]
) -> None:
    # In half precision, which all texts treat alike, those of one class.
    types = (mx.float32, mx.bfloat16) if reading.main.name == "AdamW" else (mx.float32,)
    (report,) = check([subject_of(reading, emitted)], steps=(1, 1000), types=types, among=a_few)
    assert_passed(report)
    assert report.texts >= 2 * len(types) * report.choices


@pytest.mark.complete
@pytest.mark.parametrize("reading", every("metal"))
def test_the_kernels_of_an_optimizer_pass_the_check_with_every_choice(
    reading: Entry, emitted: Callable[[str], list[Subject]]
) -> None:
    (report,) = check([subject_of(reading, emitted)], steps=(1, 2, 1000))
    assert_passed(report)
    assert report.texts >= 6 * report.choices


def a_few(settings: list[Setting]) -> list[Setting]:
    """The choices of a default reading in pairs; of a dialect, all that it can do at once."""
    return settings[-1:] if settings[0].spec.is_dialect else pairwise(settings)


def assert_passed(report: Checked) -> None:
    assert [str(finding) for finding in report.findings] == []
    assert report.passed
