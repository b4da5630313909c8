"""Complete kernels of rules that reduce: the runtime drives them, in the place of loops in C++."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_phases import (
    READINGS,
    assert_as_numpy,
    assert_halves_are_widened,
    random_runs,
    spoil,
    trained,
)
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, norm, series, t, w, when
from lucidgen.verify.emitted import build
from lucidgen.verify.gpu import metal_phases
from lucidgen.verify.gpu.host import Fault
from lucidgen.verify.gpu.metal_phases import Program
from lucidgen.verify.gpu.phases import METAL, Kernels
from lucidgen.verify.replay import replay


@pytest.mark.parametrize("reading", READINGS)
def test_steps_are_those_of_numpy(reading: Any) -> None:
    name, chosen = reading.main.name, {"dialect": reading.spec.reading}
    dtype = np.float16 if reading.name == "LAMB" else np.float32
    assert_as_numpy(METAL, name, dtype, **chosen)


def test_a_second_moment_that_a_half_cannot_hold() -> None:
    assert_halves_are_widened(METAL)


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
    arguments = ["verify", "Mine", "--specs", str(tmp_path), "--target", "metal"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    said = "Mine (own): 2 combinations of static choices, in the phases of the .metal file"
    assert said in " ".join(result.output.split())
    found = re.search(r"equations: (\d+) numbers within 0\.\d{3} of their error", result.output)
    assert found is not None
    assert int(found[1]) > 100


@pytest.mark.parametrize(
    "names",
    [
        ("given", "room", "group", "shared", "at", "live"),
        ("i", "sums", "Phase", "size", "Tensor", "arrays"),
    ],
)
def test_choices_may_be_called_like_what_the_kernels_have(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    x, lr = series("x"), hyper("lr", 0.1)
    flags = [flag(name, True) for name in names]
    terms = sum(when(on, w[t - 1] ** n, 0) for n, on in enumerate(flags, start=1))
    equations = (Eq(x[t], x[t - 1] + terms), Eq(w[t], w[t - 1] - lr * grad[t] / norm(x[t])))
    package = build([OptimizerSpec("Flags", (lr, *flags), equations)], tmp_path)
    source = METAL.source_of(package.Flags.rules["own"])
    assert source is not None
    Program(source, [("flags", "float32", ())]).close()


@pytest.mark.parametrize("count", [1, pytest.param(25, marks=pytest.mark.complete)])
def test_random_specs_lie_within_the_bounds_of_the_equations(count: int, tmp_path: Path) -> None:
    checked = 0
    for run in random_runs(METAL, (np.float32,), tmp_path):
        kernels = Kernels(METAL)
        with kernels.installed():
            for finding in replay(run, ("metal",)):
                assert finding.comparison.worst <= 1, f"{run.setting}: {finding}"
        checked += bool(kernels.calls)
        if checked == count:
            return
    raise AssertionError(f"{checked} specs")


def test_the_number_of_groups_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    with Kernels(METAL).installed():
        for groups in (1, 7):
            monkeypatch.setattr(metal_phases, "GROUPS", groups)
            found.append(trained("Adafactor", "cpp", np.float32, [(9_001,), (130, 70)]))
    for mine, other in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, other)


#: What would be wrong in the header: what stands there, and what would stand there instead.
WRONG = {
    "a barrier is missing": (
        "metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);\n        if (i < rest) {",
        "if (i < rest) {",
    ),
    "some threads do not come to a barrier": (
        "  // others may still read there\n",
        "\n    if (at.i) return 0.0f;\n",
    ),
    "half of a group is not added": (
        "uint rest = count / 2u; rest",
        "uint rest = count / 4u; rest",
    ),
    "a mean is a total": ("? sum / float(size)", "? sum"),
    "a mean is of the columns": ("is_row ? shape.columns : shape.rows;\n        ", "shape.rows;"),
    "the last band is left out": ("(shape.rows - 1u) / height() + 1u", "shape.rows / height()"),
    "the last tile is left out": (
        "(shape.columns - 1u) / width() + 1u",
        "shape.columns / width()",
    ),
    "elements beyond the columns": (
        "if (row < shape.rows && column < shape.columns) {",
        "if (row < shape.rows) {",
    ),
    "sums of columns are laid one beside the other": (
        "(matrix * bands + band) * shape.columns + first_column] = all",
        "matrix * shape.columns + first_column] = all",
    ),
    "sums of rows begin too early": ("* tiles + tile] = all", "* tiles] = all"),
    "margins begin as anything": ("margin(m)[i] = float(arrays[place][i]);", ";"),
    "margins are not stored": ("arrays[place][i] = T(margin(m)[i]);", ";"),
    "sums of a loop share their room": (
        "at += sum.is_made ? tiling.parts(sum.of) : 0u;",
        ";",
    ),
    "found numbers lie among margins": ("at = room + Rule::found;", "at = room;"),
    "nobody walks over margins": (
        "        if (at.group == 0u) {\n            tensor.template walk",
        "        if (at.group == ~0u) {\n            tensor.template walk",
    ),
    "blocks of a sum are lost": ("blocks = joined(kind, blocks, terms);", ";"),
    "a group leaves units out": ("unit += at.groups) {", "unit += at.groups + 1u) {"),
    "device memory is a thread's": ("const device float* of, uint", "thread float* of, uint"),
}

IN_MAKE_TEST = ("device memory is a thread's",)


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
    spoil(METAL, "phases.h", wrong, tmp_path, monkeypatch)
    with pytest.raises((AssertionError, Fault)):
        assert_as_numpy(METAL, "Adafactor", np.float32, [(5_000,), (130, 70), (40, 1_100)])
