"""Complete kernels of rules that reduce, next to NumPy's steps: what tests of each language share.

The runtime drives them, in the place of loops in C++ (`lucidgen.verify.gpu.phases`).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from readings import rule_of, sample

from lucidgen import Parameter, optim
from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.runtime.rules.calling import file_of
from lucidgen.spec import SpecError
from lucidgen.spec.check import check
from lucidgen.verify.emitted import build
from lucidgen.verify.gpu.phases import Kernels, Language
from lucidgen.verify.random_specs import VALUES, random_spec
from lucidgen.verify.replay import Run
from lucidgen.verify.setting import Setting

#: The readings with phases; a few of them in `make test`.
CHOSEN = ("Adafactor", "LAMB", "Prodigy")
READINGS = [
    pytest.param(*p.values, id=p.id, marks=() if p.id in CHOSEN else pytest.mark.complete)
    for p in sample("cpp")
    if not rule_of(*p.values).elementwise or rule_of(*p.values).rounds
]

#: Single rows, and narrow, wide and many matrices: parts of several blocks, and empty ones.
SHAPES = [(), (1,), (0, 3), (3, 0), (300, 0), (9_001,), (130, 70), (1_100, 3), (2, 5, 33), (1, 40)]

Arrays = list[np.ndarray[Any, Any]]


def trained(
    name: str, kernel: str, dtype: Any, shapes: Sequence[tuple[int, ...]] = SHAPES, **chosen: Any
) -> Arrays:
    """Weights and states after two steps."""
    rng = np.random.default_rng(3)
    starts = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    parameters = [Parameter(start.astype(dtype)) for start in starts]
    optimizer = getattr(optim, name)(parameters, kernel=kernel, **chosen)
    with np.errstate(all="ignore"):  # means of nothing
        for _ in range(2):
            for parameter, shape in zip(parameters, shapes, strict=True):
                grad = rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 0)
                parameter.grad = np.asarray(grad).astype(dtype)
            optimizer.step(loss=0.5)
    states = [optimizer.state[parameter] for parameter in parameters]
    found = [p.data for p in parameters] + [np.asarray(v) for s in states for v in s.values()]
    return found + [np.asarray(v) for v in optimizer.param_groups[0].values() if type(v) is float]


def assert_as_numpy(language: Language, name: str, dtype: Any, *shapes: Any, **chosen: Any) -> None:
    """As far apart as sums may be that are added in another order.

    A thread adds at most 16 floats in a row. In CUDA doubles are added from there on; in Metal,
    floats by twos in a group of 256, and again over the groups of 9,001 elements: 33 in a row.
    NumPy's functions add 16 in each lane and then by twos, 26 in a row of 9,100. Two steps are 118
    roundings of half a unit, 59 units; 64 are allowed, for what is computed of the sums. Halves are
    rounded once a step.
    """
    kernels = Kernels(language)
    with kernels.installed():
        ours = trained(name, "cpp", dtype, *shapes, **chosen)
    assert kernels.calls
    error = (2 if dtype is np.float16 else 64) * np.finfo(dtype).eps
    for mine, other in zip(ours, trained(name, "numpy", dtype, *shapes, **chosen), strict=True):
        assert mine.dtype == other.dtype
        wide = other.astype(np.float64)
        largest = np.abs(wide[np.isfinite(wide)]).max(initial=0)
        np.testing.assert_allclose(mine.astype(np.float64), wide, rtol=error, atol=error * largest)


def assert_halves_are_widened(language: Language) -> None:
    """A second moment that a half cannot hold."""
    found = []
    for kernel in ("cpp", "numpy"):
        with Kernels(language).installed():
            parameter = Parameter(np.array([1, 2, 3, 4], np.float16))
            optimizer = optim.LAMB([parameter], kernel=kernel)
            parameter.grad = np.array([1, 1, 1, 5e-3], np.float16)
            optimizer.step()
        found.append(parameter.data)
    assert np.all(np.abs(found[0] - found[1]) <= 2.0**-10 * np.abs(found[1]))


def random_runs(language: Language, dtypes: Sequence[Any], folder: Path) -> Iterator[Run]:
    """Random specs that have phases in a language, with random arguments, and some gradients."""
    found = 0
    for seed in range(1_000):
        chance = random.Random(seed)
        try:
            spec = random_spec(chance.choice)
            check(spec)
            cls = build([spec], folder).Random
        except (SpecError, ValueError):
            continue
        (rule, *_) = cls.rules.values()
        if "cpp" not in rule.targets or language.source_of(rule) is None:
            continue
        hypers = {name: chance.choice(values) for name, values in VALUES.items()}
        flags = {name: chance.random() < 0.5 for name in ("early", "late")}
        setting = Setting(spec, hypers, flags, chance.random() < 0.5)
        rng, dtype = np.random.default_rng(seed), dtypes[found % len(dtypes)]
        start, *grads = (rng.standard_normal((2, 3, 2)).astype(dtype) for _ in range(3))
        found += 1
        yield Run(cls, setting, optimize(lower(spec)), start, grads, {})


def spoil(
    language: Language,
    header: str,
    wrong: tuple[str, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let kernels of a language be compiled with a header that has something else in one place."""
    copy = folder / f"_{language.name}"
    shutil.copytree(Path(optim.__path__[0]) / copy.name, copy)
    text = (copy / header).read_text()
    assert wrong[0] in text
    (copy / header).write_text(text.replace(*wrong))

    def source_of(_: Language, rule: Any) -> Path:
        stem = file_of(rule.targets["cpp"], ".cpp").stem
        return copy / f"{stem}{language.ending}"

    monkeypatch.setattr(Language, "source_of", source_of)
