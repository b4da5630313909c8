"""The comparison itself: right updates pass it and wrong ones do not, however well hidden."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, RESUME_AT
from compare import FLOAT32, FLOAT64, differences, moved, scaled
from recording import Recording
from reference import DEFAULTS, Library
from replay import assert_same, numpy32, numpy64, resume, run, saved_dict

TORCH = Recording("torch")
BY_HAND = [name for name in TORCH.cases if CASES[name].optimizer in DEFAULTS]


@pytest.mark.parametrize("name", BY_HAND)
def test_right_updates_pass(name: str) -> None:
    case = CASES[name]
    assert_same(run(case, numpy64, library=Library()), TORCH, case, FLOAT64)
    assert_same(run(case, numpy32, library=Library()), TORCH, case, FLOAT32)


@pytest.mark.parametrize("name", BY_HAND)
def test_right_updates_resume(name: str) -> None:
    case, held = CASES[name], TORCH.states(name, RESUME_AT)
    resumed = resume(case, numpy64, held, saved_dict(TORCH, case), library=Library())
    assert_same(resumed, TORCH, case, FLOAT64, since=RESUME_AT)


WRONG = {
    "SGD": ("stale lr",),
    "SGD-maximize": ("minimizes",),
    "SGD-momentum=0.9-weight_decay=0.1": ("first buffer without decay",),
    "SGD-momentum=0.9-dampening=0.3": ("first buffer dampened",),
    "SGD-momentum_on_at_10-dampening=0.3-maximize": ("first buffer dampened",),
    "Adam": ("stale lr", "no bias correction", "eps before correction", "eps inside root"),
    "Adam-maximize": ("minimizes",),
    "Adam-amsgrad": ("maximum not kept",),
    "Adam-large_eps": ("eps before correction", "eps inside root"),
    "AdamW-defaults": ("stale lr", "no bias correction", "eps before correction"),
    "NAdam": ("stale lr", "no schedule of mu", "eps before correction"),
    "NAdam-beta1=0": ("eps inside root",),
    "RAdam": ("stale lr", "rectified from 4"),
}


@pytest.mark.parametrize(("name", "defect"), [(n, d) for n, ds in WRONG.items() for d in ds])
def test_wrong_updates_are_found(name: str, defect: str) -> None:
    case = CASES[name]
    for make, tolerance in ((numpy64, FLOAT64), (numpy32, FLOAT32)):
        with pytest.raises(AssertionError, match="differs by"):
            assert_same(run(case, make, library=Library(defect)), TORCH, case, tolerance)


def test_wrong_update_behind_a_large_weight() -> None:
    begin = np.full(3, 1000.0)
    right, wrong = begin - 1e-4, begin - 1.001e-4
    assert scaled(wrong, right) < 1e-9
    assert moved(wrong, right, begin, 50, FLOAT64.unit) > 1e-4
    found = differences([{"w": wrong}], [{"w": right}], [begin], 50, FLOAT64)
    assert found == ["parameter 0: w - w0 differs by 1.0e-03, 1e-12 is allowed"]


def test_wrong_small_state_beside_a_large_one() -> None:
    right = [{"w": np.ones(1), "m": np.array([1e9])}, {"w": np.ones(1), "m": np.array([1e-9])}]
    wrong = [right[0], {"w": np.ones(1), "m": np.array([1.1e-9])}]
    found = differences(wrong, right, [np.ones(1)] * 2, 50, FLOAT64)
    assert found == ["parameter 1: m differs by 1.0e-01, 1e-12 is allowed"]


def test_rounding_of_w_is_allowed_and_no_more() -> None:
    begin = np.array([1.0, 100.0])
    right = begin + 1e-10
    rounding = 50 * FLOAT64.unit * begin
    assert moved(right + 2 * rounding, right, begin, 50, FLOAT64.unit) == 0
    assert moved(right + 4 * rounding, right, begin, 50, FLOAT64.unit) > 1e-6


def test_what_is_not_a_number_never_passes() -> None:
    nan, one = np.array([np.nan]), np.array([1.0])
    assert scaled(nan, one) == scaled(one, nan) == scaled(one, 0 * one) == np.inf
    assert moved(nan, one, one, 1, FLOAT64.unit) == np.inf
    assert moved(one + 1, one, one, 1, FLOAT64.unit) == np.inf
    assert scaled(0 * one, 0 * one) == 0


def test_keys_and_shapes_count() -> None:
    one = np.ones(2)
    found = differences([{"w": one}], [{"w": one, "m": one}], [one], 1, FLOAT64)
    assert found == ["parameter 0: keys ['w'], expected ['m', 'w']"]
    found = differences([{"w": np.ones((2, 1))}], [{"w": one}], [one], 1, FLOAT64)
    assert found == ["parameter 0: w has shape (2, 1)"]
