"""Complete kernels of rules that reduce: the runtime drives them, in the place of loops in C++."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_phases import READINGS, assert_as_numpy, assert_halves_are_widened, random_runs, spoil
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, norm, series, t, w, when
from lucidgen.verify.emitted import build
from lucidgen.verify.gpu.cuda_host import Program
from lucidgen.verify.gpu.host import Fault
from lucidgen.verify.gpu.phases import CUDA, Kernels
from lucidgen.verify.replay import replay


@pytest.mark.parametrize("reading", READINGS)
def test_steps_are_those_of_numpy(reading: Any) -> None:
    name, chosen = reading.main.name, {"dialect": reading.spec.reading}
    dtype = {"LAMB": np.float16, "NovoGrad": np.float64}.get(reading.name, np.float32)
    assert_as_numpy(CUDA, name, dtype, **chosen)


def test_more_tensors_than_one_launch_has_room_for() -> None:
    assert_as_numpy(CUDA, "LAMB", np.float32, [(k % 5,) for k in range(80)])


def test_a_second_moment_that_a_half_cannot_hold() -> None:
    assert_halves_are_widened(CUDA)


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
    source = CUDA.source_of(package.Flags.rules["own"])
    assert source is not None
    Program(source, [("flags", "float32", (True,) * len(names) + (False,))]).close()


@pytest.mark.parametrize("count", [1, pytest.param(25, marks=pytest.mark.complete)])
def test_random_specs_lie_within_the_bounds_of_the_equations(count: int, tmp_path: Path) -> None:
    checked = 0
    for run in random_runs(CUDA, (np.float32, np.float64), tmp_path):
        kernels = Kernels(CUDA)
        with kernels.installed():
            for finding in replay(run, ("cuda",)):
                assert finding.comparison.worst <= 1, f"{run.setting}: {finding}"
        checked += bool(kernels.calls)
        if checked == count:
            return
    raise AssertionError(f"{checked} specs")


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
    spoil(CUDA, "phases.cuh", wrong, tmp_path, monkeypatch)
    with pytest.raises((AssertionError, Fault)):
        assert_as_numpy(CUDA, "Adafactor", np.float32, [(5_000,), (130, 70)])
