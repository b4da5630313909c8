"""SparseAdam does what torch's does with sparse gradients, and goes on with its states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import PARAMETERS, RESUME_AT, fingerprint, gradients
from compare import FLOAT32, FLOAT64
from recording import Recording
from replay import assert_same, mlx32, numpy32, numpy64, resume, run, saved_dict
from sparse_cases import SPARSE_CASES

TORCH = Recording("sparse")


def test_recorded_from_these_cases() -> None:
    about = {"library": "torch", "version": "2.13.0", "cases": fingerprint(SPARSE_CASES)}
    assert TORCH.about == about
    assert sorted(TORCH.cases) == sorted(SPARSE_CASES)


def test_gradients_lack_rows_and_elements() -> None:
    matrices = [i for i, p in enumerate(PARAMETERS) if len(p.shape) > 1]
    without = [
        not np.any(row) for grads in gradients(sparse=True) for i in matrices for row in grads[i]
    ]
    assert 0.2 < np.mean(without) < 0.5


@pytest.mark.parametrize("name", SPARSE_CASES)
def test_numpy_float64(name: str) -> None:
    case = SPARSE_CASES[name]
    assert_same(run(case, numpy64, kernel="numpy"), TORCH, case, FLOAT64)


@pytest.mark.parametrize("make", [numpy32, mlx32])
@pytest.mark.parametrize("name", SPARSE_CASES)
def test_single_precision(name: str, make: Any, uncompiled: None) -> None:
    case = SPARSE_CASES[name]
    assert_same(run(case, make), TORCH, case, FLOAT32)


@pytest.mark.parametrize("name", SPARSE_CASES)
def test_resumes_a_saved_run_of_torch(name: str) -> None:
    case = SPARSE_CASES[name]
    resumed = resume(case, numpy64, TORCH.states(name, RESUME_AT), saved_dict(TORCH, case))
    assert_same(resumed, TORCH, case, FLOAT64, since=RESUME_AT)
