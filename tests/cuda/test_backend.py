"""The runtime where MLX runs on CUDA, as far as it can be tried without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import lucidgen
import lucidgen.optim
from lucidgen.runtime.backends.gpu import languages
from lucidgen.verify.gpu.machine import Machine

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))

from cases import CASES
from compare import FLOAT32
from recording import Recording
from replay import assert_same, mlx32, run


def parameters(count: int) -> list[Any]:
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        p = lucidgen.Parameter(mx.array(random.standard_normal(9).astype(np.float32)))
        p.grad = mx.array(random.standard_normal(9).astype(np.float32))
        found.append(p)
    return found


@pytest.mark.parametrize("name", ["Adam-amsgrad", "NAdam-weight_decay=0.1"])
def test_kernels_follow_torchs_trajectories_on_this_machine(name: str) -> None:
    machine = Machine(at_once=True, language=languages.CUDA)
    with machine.installed():
        found = run(CASES[name], mlx32, kernel="cuda")
        assert_same(found, Recording("torch"), CASES[name], FLOAT32)
    machine.close()
    assert all("__global__" in text for text in machine.texts.values())
    assert machine.texts


def test_a_step_is_as_many_calls_as_kernels_have_arguments_for() -> None:
    machine = Machine(at_once=True, language=languages.CUDA)
    params, others = parameters(20), parameters(20)
    with machine.installed():
        lucidgen.optim.AdamW(params).step()
    machine.close()
    lucidgen.optim.AdamW(others, kernel="mlx").step()
    for p, q in zip(params, others, strict=True):
        assert np.allclose(np.array(p.data), np.array(q.data), rtol=1e-6)
    assert any("w_15" in text for text in machine.texts.values())
    assert not any("w_16" in text for text in machine.texts.values())


def test_cuda_where_there_is_none_is_refused_at_once() -> None:
    with pytest.raises(RuntimeError, match=r'Adam: kernel="cuda", but MLX runs on CUDA only in'):
        lucidgen.optim.Adam(parameters(1), kernel="cuda")


def test_one_gpu_is_not_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "running", lambda: languages.CUDA)
    with pytest.raises(RuntimeError, match='kernel="metal", but MLX runs on Metal only on a Mac'):
        lucidgen.optim.Adam(parameters(1), kernel="metal")
