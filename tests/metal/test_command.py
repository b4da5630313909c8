"""`lucidgen verify`: what it prints, and its exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.verify.gpu import check as checking
from lucidgen.verify.gpu import host, rules

RUNNER = CliRunner()

OWN = '''"""My optimizer."""
from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w

lr = hyper("lr", 1e-2, at_least=0)
half = series("half")

Mine = OptimizerSpec(
    "Mine",
    paper="mine",
    arguments=(lr,),
    equations=(
        Eq(half[t], half[t - 1] / 2 + grad[t]),
        Eq(w[t], w[t - 1] - lr * half[t]),
    ),
)
'''

MANY = """\"\"\"Many states.\"\"\"
from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w

lr = hyper("lr", 1e-2, at_least=0)
states = [series(f"s{k}") for k in range(15)]

Mine = OptimizerSpec(
    "Mine",
    arguments=(lr,),
    equations=(
        *(Eq(s[t], s[t - 1] / 2 + k * grad[t]) for k, s in enumerate(states, start=1)),
        Eq(w[t], w[t - 1] - lr * sum(s[t] for s in states)),
    ),
)
"""


def test_it_says_what_it_showed() -> None:
    result = RUNNER.invoke(app, ["verify", "SGD:paper", "--target", "metal"])
    assert result.exit_code == 0, result.output
    assert "SGD (paper): 8 combinations of static choices, 58 texts" in result.output
    assert re.search(r"equations: \d+ numbers within 0\.\d{3} of their error bounds", result.output)
    assert "Only a Mac can show that Apple's compiler accepts" in result.output


def test_it_works_for_an_authors_own_specs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    result = RUNNER.invoke(app, ["verify", "Mine", "--specs", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "Mine (own): 2 combinations" in result.output


def test_an_optimizer_without_kernel_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(MANY)
    result = RUNNER.invoke(app, ["verify", "Mine", "--specs", str(tmp_path)])
    assert result.exit_code == 1
    assert "Mine has no Metal kernel: it would need" in result.output


def test_a_wrong_kernel_is_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.setattr(checking, "violations", lambda *_: ["it is wrong"])
    result = RUNNER.invoke(app, ["verify", "Mine", "--specs", str(tmp_path)])
    assert result.exit_code == 1
    assert "wrong: reading the text: it is wrong" in result.output
    assert "Mine (own): the Metal kernels are not what they should be" in result.output


def test_an_unknown_optimizer_is_wrong_usage() -> None:
    result = RUNNER.invoke(app, ["verify", "Addam"])
    assert result.exit_code == 2
    assert "did you mean 'Adam'?" in result.output


@pytest.mark.parametrize(
    ("module", "function", "error"),
    [
        (host, "compiler", host.NoCompiler("install g++")),
        (rules, "_library", rules.NoClang("install libclang")),
    ],
)
def test_missing_tools_are_named(
    module: object, function: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.setattr(module, function, fail)
    result = RUNNER.invoke(app, ["verify", "Mine", "--specs", str(tmp_path)])
    assert result.exit_code == 1
    assert str(error) in result.output
