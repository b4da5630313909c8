"""Our optimizers do what torch 2.13's do: recorded trajectories, and saved runs resumed."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from cases import CASES, RESUME_AT, Array, fingerprint
from compare import FLOAT32, FLOAT64
from recording import Recording
from replay import assert_same, mlx32, numpy32, numpy64, resume, run, saved_dict
from sampling import a_few, one_of_each
from tables import claimed

TORCH = Recording("torch")
TORCH_CASES = {name: CASES[name] for name in TORCH.cases}
A_FEW = a_few(TORCH_CASES, lambda case: "torch")
CLASSES = (
    "SGD-nesterov",
    "Adam-amsgrad",
    "AdamW",
    "NAdam-weight_decay=0.1",
    "RAdam",
    "ASGD",
    "Rprop",
)


def test_recorded_from_these_cases() -> None:
    assert TORCH.about == {
        "library": "torch",
        "version": "2.13.0",
        "cases": fingerprint({n: CASES[n] for n in TORCH.cases}),
    }
    assert {case.optimizer for case in CASES.values()} == {CASES[n].optimizer for n in TORCH.cases}


@pytest.mark.parametrize("name", TORCH.cases)
def test_numpy_float64(name: str) -> None:
    case = CASES[name]
    assert_same(run(case, numpy64, kernel="numpy"), TORCH, case, claimed(case.optimizer, "torch"))


@pytest.mark.parametrize("name", A_FEW)
def test_loops_in_float64(name: str) -> None:
    assert_same(run(CASES[name], numpy64, kernel="cpp"), TORCH, CASES[name], FLOAT64)


@pytest.mark.parametrize("name", A_FEW)
def test_numpy_float32(name: str) -> None:
    assert_same(run(CASES[name], numpy32, kernel="numpy"), TORCH, CASES[name], FLOAT32)


@pytest.mark.parametrize("name", A_FEW)
def test_mlx_not_compiled(name: str, uncompiled: None) -> None:
    assert_same(run(CASES[name], mlx32, kernel="mlx"), TORCH, CASES[name], FLOAT32)


@pytest.mark.parametrize("name", CLASSES)
def test_mlx_compiled(name: str) -> None:
    assert_same(run(CASES[name], mlx32, kernel="mlx"), TORCH, CASES[name], FLOAT32)


@pytest.mark.parametrize("name", A_FEW)
def test_mlx_with_loops(name: str) -> None:
    assert_same(run(CASES[name], mlx32, kernel="cpp"), TORCH, CASES[name], FLOAT32)


@pytest.mark.parametrize("name", one_of_each(TORCH_CASES))
def test_resumes_a_saved_run(name: str) -> None:
    case = CASES[name]
    held = TORCH.states(name, RESUME_AT)
    resumed = resume(case, numpy64, held, saved_dict(TORCH, case), kernel="numpy")
    assert_same(resumed, TORCH, case, FLOAT64, since=RESUME_AT)


@pytest.mark.parametrize("kernel", ["mlx", "cpp"])
@pytest.mark.parametrize("name", CLASSES)
def test_resumes_a_saved_run_in_mlx(name: str, kernel: str, uncompiled: None) -> None:
    case = CASES[name]
    held = TORCH.states(name, RESUME_AT)
    resumed = resume(case, mlx32, held, saved_dict(TORCH, case), kernel=kernel)
    assert_same(resumed, TORCH, case, FLOAT32, since=RESUME_AT)


class Tensor:
    """Like torch's: no ndarray, but NumPy can make one of it."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values, dtype=np.float64)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._values, dtype=dtype)


@pytest.mark.parametrize("name", CLASSES)
def test_resumes_from_tensors(name: str) -> None:
    case = CASES[name]
    saved = saved_dict(TORCH, case)
    saved["state"] = {
        index: {key: Tensor(value) for key, value in state.items()}
        for index, state in saved["state"].items()
    }
    resumed = resume(case, numpy64, TORCH.states(name, RESUME_AT), saved)
    assert_same(resumed, TORCH, case, FLOAT64, since=RESUME_AT)


def test_uncompiled_is_uncompiled(uncompiled: None) -> None:
    """The fixture does what it says: a function under compile runs each time it is called."""
    calls: list[int] = []

    def counted(x: mx.array) -> mx.array:
        calls.append(1)
        return x + 1

    compiled = mx.compile(counted)
    mx.eval(compiled(mx.array(1.0)), compiled(mx.array(2.0)))
    assert len(calls) == 2
