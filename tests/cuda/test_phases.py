"""Complete kernels of rules that reduce: the runtime drives them, in the place of loops in C++."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from readings import rule_of, sample
from typer.testing import CliRunner

from lucidgen import Parameter, optim
from lucidgen.commands.app import app
from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.spec import Eq, OptimizerSpec, SpecError, flag, grad, hyper, norm, series, t, w, when
from lucidgen.spec.check import check
from lucidgen.verify.emitted import build
from lucidgen.verify.gpu import cuda_phases
from lucidgen.verify.gpu.cuda_host import Program
from lucidgen.verify.gpu.cuda_phases import Kernels
from lucidgen.verify.gpu.host import Fault
from lucidgen.verify.random_specs import VALUES, random_spec
from lucidgen.verify.replay import Run, replay
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
            optimizer.step()
    states = [optimizer.state[parameter] for parameter in parameters]
    found = [p.data for p in parameters] + [np.asarray(v) for s in states for v in s.values()]
    return found + [np.asarray(v) for v in optimizer.param_groups[0].values() if type(v) is float]


def assert_as_numpy(name: str, dtype: Any, *shapes: Any, **chosen: Any) -> None:
    """As far apart as sums may be that are added in another order.

    These add at most 16 floats in a row and then doubles; NumPy's functions add 16 in each lane and
    then by twos, 26 in a row of 9,100. Two steps are 84 roundings of half a unit, 42 units; 64 are
    allowed, for what is computed of the sums. Halves are rounded once a step.
    """
    kernels = Kernels()
    with kernels.installed():
        ours = trained(name, "cpp", dtype, *shapes, **chosen)
    assert kernels.calls
    error = (2 if dtype is np.float16 else 64) * np.finfo(dtype).eps
    for mine, other in zip(ours, trained(name, "numpy", dtype, *shapes, **chosen), strict=True):
        assert mine.dtype == other.dtype
        wide = other.astype(np.float64)
        largest = np.abs(wide[np.isfinite(wide)]).max(initial=0)
        np.testing.assert_allclose(mine.astype(np.float64), wide, rtol=error, atol=error * largest)


@pytest.mark.parametrize("reading", READINGS)
def test_steps_are_those_of_numpy(reading: Any) -> None:
    name, chosen = reading.main.name, {"dialect": reading.spec.reading}
    dtype = {"LAMB": np.float16, "NovoGrad": np.float64}.get(reading.name, np.float32)
    assert_as_numpy(name, dtype, **chosen)


def test_more_tensors_than_one_launch_has_room_for() -> None:
    assert_as_numpy("LAMB", np.float32, [(k % 5,) for k in range(80)])


def test_a_second_moment_that_a_half_cannot_hold() -> None:
    found = []
    for kernel in ("cpp", "numpy"):
        with Kernels().installed():
            parameter = Parameter(np.array([1, 2, 3, 4], np.float16))
            optimizer = optim.LAMB([parameter], kernel=kernel)
            parameter.grad = np.array([1, 1, 1, 5e-3], np.float16)
            optimizer.step()
        found.append(parameter.data)
    assert np.all(np.abs(found[0] - found[1]) <= 2.0**-10 * np.abs(found[1]))


SPEC = '''"""Mine, whose elements wait for their columns."""
from lucidgen.spec import Eq, OptimizerSpec, column_mean, grad, hyper, series, sqrt, t, w

lr, c = hyper("lr", 1e-2, at_least=0), series("c")

Mine = OptimizerSpec(
    "Mine",
    arguments=(lr,),
    equations=(
        Eq(c[t], c[t - 1] / 2 + column_mean(grad[t] ** 2)),
        Eq(w[t], w[t - 1] - lr * grad[t] / (sqrt(c[t]) + 1)),
    ),
)
'''


def test_verify_holds_them_against_the_equations(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SPEC)
    arguments = ["verify", "Mine", "--specs", str(tmp_path), "--target", "cuda"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    said = "Mine (own): 2 combinations of static choices, in the phases of the .cu file"
    assert said in " ".join(result.output.split())
    found = re.search(r"equations: (\d+) numbers within 0\.\d{3} of their error", result.output)
    assert found is not None
    assert int(found[1]) > 100


def test_choices_may_be_called_like_what_the_kernels_have(tmp_path: Path) -> None:
    names = ("kept", "loads", "stores", "run", "reads_grad", "in_phases")
    x, lr = series("x"), hyper("lr", 0.1)
    flags = [flag(name, True) for name in names]
    terms = sum(when(on, w[t - 1] ** n, 0) for n, on in enumerate(flags, start=1))
    equations = (Eq(x[t], x[t - 1] + terms), Eq(w[t], w[t - 1] - lr * grad[t] / norm(x[t])))
    package = build([OptimizerSpec("Flags", (lr, *flags), equations)], tmp_path)
    source = cuda_phases.source_of(package.Flags.rules["own"])
    assert source is not None
    Program(source, [("flags", "float32", (True,) * len(names) + (False,))]).close()


@pytest.mark.parametrize("count", [1, pytest.param(25, marks=pytest.mark.complete)])
def test_random_specs_lie_within_the_bounds_of_the_equations(count: int, tmp_path: Path) -> None:
    found = 0
    for seed in range(1_000):
        chance, kernels = random.Random(seed), Kernels()
        try:
            spec = random_spec(chance.choice)
            check(spec)
            cls = build([spec], tmp_path).Random
        except (SpecError, ValueError):
            continue
        (rule, *_) = cls.rules.values()
        if "cpp" not in rule.targets or cuda_phases.source_of(rule) is None:
            continue
        hypers = {name: chance.choice(values) for name, values in VALUES.items()}
        flags = {name: chance.random() < 0.5 for name in ("early", "late")}
        setting = Setting(spec, hypers, flags, chance.random() < 0.5)
        dtype = (np.float32, np.float64)[found % 2]
        rng = np.random.default_rng(seed)
        start, *grads = (rng.standard_normal((2, 3, 2)).astype(dtype) for _ in range(3))
        run = Run(cls, setting, optimize(lower(spec)), start, grads, {})
        with kernels.installed():
            for finding in replay(run, ("cuda",)):
                assert finding.comparison.worst <= 1, f"{seed}: {finding}"
        found += bool(kernels.calls)
        if found == count:
            return
    raise AssertionError(f"{found} specs")


#: What would be wrong in the header: what stands there, and what would stand there instead.
WRONG = {
    "a barrier is missing": (
        "        __syncthreads();\n        if (i < half) {",
        "        if (i < half) {",
    ),
    "some threads do not come to a barrier": (
        "    numbers[threadIdx.x] = number;\n    join(kind, numbers, threadIdx",
        "    if (threadIdx.x) return 0;\n    join(kind, numbers, threadIdx",
    ),
    "half of a block is not added": (
        "for (unsigned half = count / 2; half",
        "for (unsigned half = count / 4; half",
    ),
    "a mean is a total": ("? real(sum) / real(size)", "? real(sum)"),
    "a mean is of the columns": ("is_row ? shape.columns : shape.rows;\n        ", "shape.rows;"),
    "the last band is left out": ("shape.rows + height() - 1", "shape.rows"),
    "the last tile is left out": ("shape.columns + width() - 1", "shape.columns"),
    "elements beyond the columns": (
        "if (row < shape.rows && column < shape.columns) {",
        "if (row < shape.rows) {",
    ),
    "sums of columns are laid one beside the other": (
        "(matrix * bands + band) * shape.columns + first_column] = sum",
        "matrix * shape.columns + first_column] = sum",
    ),
    "sums of rows begin too early": ("* tiles + tile] = sum", "* tiles] = sum"),
    "margins begin as anything": ("error = launch.margins(false);", "error = cudaSuccess;"),
    "margins are not stored": ("? launch.margins(true) : error", "? cudaSuccess : error"),
    "room for sums is missing": (
        "Index room = tensor.sums_at();\n            ((room",
        "Index room = tensor.sums_at();\n            if (false) ((room",
    ),
    "found numbers lie among margins": ("Index at = Rule::found;", "Index at = 0;"),
}

IN_MAKE_TEST = ("a barrier is missing",)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(wrong, id=what, marks=() if what in IN_MAKE_TEST else pytest.mark.complete)
        for what, wrong in WRONG.items()
    ],
)
def test_a_wrong_header_is_found(
    wrong: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(rule: Any) -> Path | None:
        source = cuda_phases.file_of(rule.targets["cpp"], ".cpp")
        folder = source.parents[1] / "_cuda"
        if not (tmp_path / "_cuda").exists():
            shutil.copytree(folder, tmp_path / "_cuda")
            header = tmp_path / "_cuda" / "phases.cuh"
            text = header.read_text()
            assert wrong[0] in text
            header.write_text(text.replace(*wrong))
        return tmp_path / "_cuda" / f"{source.stem}.cu"

    monkeypatch.setattr(cuda_phases, "source_of", spoiled)
    with pytest.raises((AssertionError, Fault)):
        assert_as_numpy("Adafactor", np.float32, [(5_000,), (130, 70)])
