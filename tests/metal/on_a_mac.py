"""What only a Mac can show: Apple's compiler and an Apple GPU run the kernels. `make test-metal`.

Not collected by `make test`: it needs Metal. The recorded trajectories of torch hold the whole way
from the optimizer to the GPU; besides, each kernel is compared with the compiled MLX function in
all types, dialects and static choices.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from cases import CASES
from compare import FLOAT32
from recording import Recording
from replay import assert_same, mlx32, run

from lucidgen.package.build import spec_paths
from lucidgen.paths import specs_folder
from lucidgen.runtime.backends.gpu import trial
from lucidgen.spec.loader import load
from lucidgen.verify.gpu.inputs import SIZES, pool
from lucidgen.verify.gpu.subjects import Subject, Walk, subjects

ROOT = Path(__file__).parents[2]
TYPES = {mx.float32: 1e-5, mx.float16: 2e-3, mx.bfloat16: 1.6e-2}


def test_mlx_runs_on_metal() -> None:
    assert trial.is_available()


@pytest.mark.parametrize("path", sorted(ROOT.glob("generated/lucid/optim/_metal/*.metal")), ids=str)
def test_apples_compiler_accepts_the_complete_kernels(path: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "kernels.air")
    command = ["xcrun", "-sdk", "macosx", "metal", "-Wall", "-c", str(path), "-o", output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CASES)
def test_kernels_follow_torchs_recorded_trajectories(name: str) -> None:
    assert_same(run(CASES[name], mlx32, kernel="metal"), Recording("torch"), CASES[name], FLOAT32)


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    """The rules of every built-in optimizer."""
    found: list[Subject] = []
    for path in spec_paths(specs_folder()):
        found += subjects(load(path).specs, tmp_path_factory.mktemp(path.stem))
    return found


def assert_close(mine: Any, other: Any, tolerance: float, where: str) -> None:
    a, b = (np.array(x.astype(mx.float32)) for x in (mine, other))
    assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), where


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_kernels_agree_with_mlx_functions(dtype: Any, emitted: list[Subject]) -> None:
    for subject in emitted:
        for setting in subject.settings():
            compare(subject, setting, dtype)


def compare(subject: Subject, setting: Any, dtype: Any) -> None:
    """Two steps of a kernel next to the MLX function's, from the same values each time."""
    for size in SIZES:
        w = mx.array(np.resize(pool(0, tame=True)[0], size)).astype(dtype)
        walk = Walk(subject, setting, w)
        for t in (1, 2):
            grad = mx.array(np.resize(pool(t, tame=True)[1], size)).astype(dtype)
            old_w, step = walk.w.astype(mx.float32), walk.step(t, grad)
            expected = step.in_single_precision().reference(old_w)
            for name, new in step.take().items():
                where = f"{subject.title}, {setting}, {size} elements, step {t}: {name}"
                assert_close(new, expected[name].astype(dtype), TYPES[dtype], where)
