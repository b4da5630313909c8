"""The tables in the README and in docs/ are what the specs and the recordings say."""

from __future__ import annotations

import pytest
from tables import CONFORMANCE, README, bound_text, conformance_page, readme

STALE = "run tests/conformance/tables.py"


def test_the_table_of_optimizers_is_what_the_compiler_says() -> None:
    assert readme() == README.read_text(encoding="utf-8"), STALE


def test_the_conformance_table_is_what_the_recordings_say() -> None:
    assert conformance_page() == CONFORMANCE.read_text(encoding="utf-8"), STALE


def test_a_difference_is_said_with_room() -> None:
    assert bound_text(1e-15) == "< 1e-14"
    assert bound_text(5e-15) == "< 1e-13"
    with pytest.raises(StopIteration):
        bound_text(4e-13)
