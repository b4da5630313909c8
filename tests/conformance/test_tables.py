"""The tables in the README and in docs/ are what the specs and the recordings say."""

from __future__ import annotations

import pytest
from compare import FLOAT64
from tables import CONFORMANCE, README, bound_text, claimed, conformance_page, readme, stated

STALE = "run tests/conformance/tables.py"


def test_the_table_of_optimizers_is_what_the_compiler_says() -> None:
    assert readme() == README.read_text(encoding="utf-8"), STALE


def test_the_conformance_page_is_what_specs_and_recordings_say() -> None:
    """But for its bounds: replays in the other files here are held to those."""
    found = conformance_page(lambda optimizer, dialect, _: stated().get((optimizer, dialect), ""))
    assert found == CONFORMANCE.read_text(encoding="utf-8"), STALE


@pytest.mark.complete
def test_the_bounds_of_the_conformance_page_are_as_narrow_as_can_be() -> None:
    assert conformance_page() == CONFORMANCE.read_text(encoding="utf-8"), STALE


def test_replays_are_held_to_the_bounds_that_the_page_states() -> None:
    assert {bound.removeprefix("< ") for bound in stated().values()} >= {"1e-14", "1e-13"}
    assert claimed("SGD", "torch").relative == pytest.approx(1e-14 / 3)
    assert claimed("SGD", "nobody's") == FLOAT64


def test_a_difference_is_said_with_room() -> None:
    assert bound_text(1e-15) == "< 1e-14"
    assert bound_text(5e-15) == "< 1e-13"
    with pytest.raises(StopIteration):
        bound_text(4e-12)
