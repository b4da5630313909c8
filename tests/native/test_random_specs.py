"""Random specs as compiled loops: within the oracle's bound, and what the NumPy step gives.

Operations that C and NumPy both round correctly give the same bits. Powers, exponentials and the
like may differ in the last one, so there the bound alone decides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.runtime import Parameter
from lucidgen.runtime.backends.loops import compiler
from lucidgen.spec import OptimizerSpec, SpecError
from lucidgen.spec.check import check
from lucidgen.verify.emitted import arguments, build
from lucidgen.verify.random_specs import VALUES, random_spec
from lucidgen.verify.replay import Run, replay
from lucidgen.verify.setting import Setting


def legal(seeds: Iterator[int]) -> Iterator[OptimizerSpec]:
    for seed in seeds:
        try:
            spec = random_spec(random.Random(seed).choice)
            check(spec)
        except (SpecError, ValueError):  # SymPy knows no Max of a constant and norm(0)
            continue
        yield spec


def is_exact(source: str) -> bool:
    """Whether a loop gives NumPy's bits: not where functions are the machine's, nor of sums."""
    inexact = ("std::cbrt", "std::pow", "std::exp", "std::log", "std::tanh", "sums", "reduced(")
    return not any(text in source for text in inexact)


def trained(cls: Any, setting: Setting, kernel: str, dtype: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    parameter = Parameter(rng.standard_normal((7, 37)).astype(dtype))
    optimizer = cls([parameter], kernel=kernel, **arguments(setting))
    for _ in range(4):
        parameter.grad = rng.standard_normal((7, 37)).astype(dtype)
        optimizer.step(loss=0.75)
    return [parameter.data, *optimizer.state[parameter].values()]


@pytest.mark.parametrize("count", [2, pytest.param(40, marks=pytest.mark.complete)])
def test_random_loops_agree_with_the_oracle_and_with_numpy(count: int, tmp_path: Path) -> None:
    found = exact = 0
    for seed, spec in enumerate(legal(iter(range(1000)))):
        chance = random.Random(seed)
        try:
            package = build([spec], tmp_path)
        except SpecError:  # a Metal kernel has a limited number of buffers
            continue
        cls = package.Random
        if "cpp" not in next(iter(cls.rules.values())).targets:
            continue
        source = Path(str(package.__file__)).parent / "_cpp" / f"{package.__name__}.cpp"
        gives_the_same = is_exact(source.read_text())
        if found >= count and not gives_the_same:
            continue
        hypers = {name: chance.choice(values) for name, values in VALUES.items()}
        flags = {name: chance.random() < 0.5 for name in ("early", "late")}
        setting = Setting(spec, hypers, flags, chance.random() < 0.5)
        dtype = (np.float32, np.float64)[found % 2]
        rng = np.random.default_rng(seed)
        start, *grads = (rng.standard_normal((2, 3, 2)).astype(dtype) for _ in range(3))
        run = Run(cls, setting, optimize(lower(spec)), start, grads, {})
        for finding in replay(run, ("cpp",)):
            assert finding.comparison.worst <= 1, f"{seed}: {finding}"
        if gives_the_same:
            exact += 1
            ours, theirs = (trained(cls, setting, kernel, dtype) for kernel in ("cpp", "numpy"))
            for mine, other in zip(ours, theirs, strict=True):
                assert np.array_equal(mine, other, equal_nan=True), seed
        found += 1
        if found >= count and exact >= max(1, count // 4):
            break
    assert found >= count
    assert exact >= max(1, count // 4)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of these specs need not be kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert compiler.compiler()
