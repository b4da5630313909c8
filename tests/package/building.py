"""Small specs, a place of their own to work in, and running `lucidgen build` on them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lucidgen.commands.app import app

ROOT = Path(__file__).resolve().parents[2]

PLAIN = """
'''A small spec.'''
from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w

lr = hyper("lr", 1e-2, at_least=0)
m = series("m")
Plain = OptimizerSpec(
    "Plain",
    arguments=(lr,),
    equations=(Eq(m[t], m[t - 1] / 2 + grad[t]), Eq(w[t], w[t - 1] - lr * m[t])),
)
"""
DERIVED = """
from lucidgen.spec import Eq, t, w
from lucidgen.specs.adam import Adam, lr, m_hat

Derived = Adam.variant("Derived", replace=(Eq(w[t], w[t - 1] - lr * m_hat[t]),), drop=())
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """A cache and a home of the test's own, and no package of another test's among the modules."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "my_optim":
            del sys.modules[name]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with one spec in ./specs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/plain.py").write_text(PLAIN)
    return tmp_path


def run(*arguments):
    """Run `lucidgen build` on ./specs; return its exit code and all that it prints."""
    command = ["build", *map(str, arguments)]
    if "--specs" not in command:
        command += ["--specs", "specs"]
    if not {"--out", "--into"} & set(command):
        command += ["--out", "my_optim"]
    result = CliRunner().invoke(app, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def contents(folder="my_optim"):
    """Every source file of a package with its content and its time of change."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__"
    }


def python(code, *path, **environment):
    """Run code in an interpreter that sees these folders alone; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", code],
        env={"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
        | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
