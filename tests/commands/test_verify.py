"""`lucidgen verify --target numpy`, `mlx` and `cpp`: what runs on any machine, and what it finds.

Kernels for GPUs are in tests/metal and tests/cuda, targets of other packages in tests/targets.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.runtime.backends.loops import compiler
from lucidgen.verify import steps

RUNNER = CliRunner()

SPEC = '''"""Mine, and one that reduces."""
from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, norm, series, t, w

lr = hyper("lr", 1e-2, at_least=0)
m = series("m")

Mine = OptimizerSpec(
    "Mine",
    arguments=(lr,),
    equations=(Eq(m[t], m[t - 1] / 2 + grad[t]), Eq(w[t], w[t - 1] - lr * m[t])),
)
Scaled = OptimizerSpec(
    "Scaled", arguments=(lr,), equations=(Eq(w[t], w[t - 1] - lr * grad[t] / norm(grad[t])),)
)
'''

#: What is wrong in the text of each target.
WRONG = {"numpy": ("np.subtract", "np.add"), "mlx": ("w - ", "w + "), "cpp": ("w - ", "w + ")}


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SPEC)
    return tmp_path


def verify(specs: Path, name: str, target: str) -> tuple[int, str]:
    result = RUNNER.invoke(app, ["verify", name, "--specs", str(specs), "--target", target])
    return result.exit_code, result.output


@pytest.mark.parametrize("target", ["numpy", "mlx", "cpp"])
def test_steps_are_held_against_the_equations(specs: Path, target: str) -> None:
    code, said = verify(specs, "Mine", target)
    assert code == 0, said
    assert "Mine (own): 2 combinations of static choices" in said
    found = re.search(r"equations: (\d+) numbers within (0\.\d{3}) of their error bounds", said)
    assert found is not None
    assert int(found[1]) > 150


@pytest.mark.parametrize("target", ["numpy", "mlx", "cpp"])
def test_wrong_steps_are_found(specs: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build = steps.build

    def wrong(*arguments: Any) -> ModuleType:
        package = build(*arguments)
        files = Path(next(iter(package.__path__))) / f"_{target}"
        for path in (path for path in files.iterdir() if path.is_file()):
            path.write_text(path.read_text().replace(*WRONG[target]))
        return package

    monkeypatch.setattr(steps, "build", wrong)
    code, said = verify(specs, "Mine", target)
    assert code == 1
    assert re.search(r"  wrong: .* step 1, w: [\d.e+]+ bounds", said.replace("\n", " ")), said
    assert "are not what they should be" in said


@pytest.mark.parametrize("target", ["numpy", "mlx", "cpp"])
def test_steps_that_reduce_are_checked_too(specs: Path, target: str) -> None:
    code, said = verify(specs, "Scaled", target)
    assert code == 0, said


def test_a_missing_compiler_is_named(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> list[str]:
        raise compiler.Unavailable("there is no compiler here; install g++")

    monkeypatch.setattr(compiler, "compiler", missing)
    code, said = verify(specs, "Mine", "cpp")
    assert code == 1
    assert "C++ loops cannot be checked: there is no compiler here; install g++" in said


def test_an_unknown_target_is_wrong_usage(specs: Path) -> None:
    code, said = verify(specs, "Mine", "metl")
    assert code == 2
    assert "there is no target 'metl' (did you mean 'metal'?)" in said
