"""Optimizers that the project does not ship compile, and compute what their equations say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.package import render
from lucidgen.package.module import compile_file
from lucidgen.spec.loader import SpecFile, load
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.setting import Setting

STEPS = 5
FILE: SpecFile = load(Path(__file__).with_name("papers.py"))
NAMES = [spec.name for spec in FILE.specs]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The optimizers of papers.py as a package."""
    root = tmp_path_factory.mktemp("papers")
    for path, text in render.package([render.rendered(compile_file(FILE))]).files.items():
        (root / "made_from_papers" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "made_from_papers" / path).write_text(text)
    sys.path.insert(0, str(root))
    yield importlib.import_module("made_from_papers")
    sys.path.remove(str(root))


def run(cls: Any, start: Any, gradients: list[Any]) -> tuple[Any, dict[str, Any]]:
    """The parameter after all gradients, and its states."""
    parameter = Parameter(start)
    optimizer = cls([parameter])
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return parameter.data, optimizer.state[parameter]


def data() -> tuple[np.ndarray, list[np.ndarray]]:
    """A start and gradients, exact in float32, each gradient of another scale."""
    rng = np.random.default_rng(5)
    draws = [rng.standard_normal((3, 4)).astype(np.float32) for _ in range(STEPS + 1)]
    scales = [1, 1e-2, 10, 1e-3, 1]
    return draws[0], [np.float32(s) * d for s, d in zip(scales, draws[1:], strict=True)]


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> tuple[str, Trajectory]:
    """An optimizer's name, and its trajectory in exact arithmetic."""
    spec = next(spec for spec in FILE.specs if spec.name == request.param)
    start, gradients = data()
    exact = Trajectory(Setting(spec), start.astype(np.float64))
    for gradient in gradients:
        exact.step(gradient.astype(np.float64))
    return spec.name, exact


def assert_near(found: Any, exact: Any, relative: float, rounding: Any = 0.0) -> None:
    """Equal up to a part of the largest element, and the rounding of what is added to."""
    found = np.asarray(found, dtype=np.float64)
    exact = np.asarray(exact, dtype=np.float64).reshape(found.shape)
    assert np.all(np.abs(found - exact) <= relative * np.abs(exact).max() + rounding)


def assert_states_near(states: dict[str, Any], exact: Trajectory, unit: float) -> None:
    """Every state is near; a compensation, exactly 0, is what the sums with w lost in rounding."""
    lost = 2 * unit * np.abs(np.asarray(exact.w, dtype=np.float64)).max()
    for state, value in exact.states.items():
        rounding = lost if state == "k" else 0.0
        assert_near(states[state], value, 40 * STEPS * unit, rounding)


# u per operation; no update here has more than 40 of them, and each of the 5 steps adds its own.
@pytest.mark.parametrize("unit", [2.0**-53, 2.0**-24], ids=["float64", "float32"])
def test_numpy_steps_compute_the_equations(
    unit: float, case: tuple[str, Trajectory], package: ModuleType
) -> None:
    name, exact = case
    kind = np.float64 if unit < 1e-10 else np.float32
    start, gradients = data()
    w, states = run(getattr(package, name), start.astype(kind), [x.astype(kind) for x in gradients])
    assert w.dtype == kind
    assert_near(w, exact.w, 40 * STEPS * unit)
    assert_states_near(states, exact, unit)


def test_mlx_steps_compute_the_equations(case: tuple[str, Trajectory], package: ModuleType) -> None:
    name, exact = case
    start, gradients = data()
    mx.disable_compile()
    try:
        w, states = run(getattr(package, name), mx.array(start), [mx.array(x) for x in gradients])
    finally:
        mx.enable_compile()
    assert_near(np.array(w), exact.w, 40 * STEPS * 2.0**-24)
    assert_states_near({key: np.array(value) for key, value in states.items()}, exact, 2.0**-24)


def test_a_kahan_sum_keeps_what_plain_addition_loses(package: ModuleType) -> None:
    start, tiny = np.ones(1, np.float32), np.full(1, 1e-8, np.float32)
    w, _ = run(lambda p: package.KahanSGD(p, lr=1.0), start, [tiny] * 100)
    assert w[0] == np.float32(1 - 100 * 1e-8)
