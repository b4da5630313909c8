"""Schedules on the command line, and the README's way to one's own, word for word."""

import re
import sys

import pytest
from building import PLAIN, ROOT
from building import run as build
from test_cli import run

from lucidgen.commands.describe_schedules import overview
from lucidgen.commands.plotting import plot, values_of
from lucidgen.package.catalog import catalog

ENTRIES = catalog(None).schedules
NAMES = [entry.spec.name for entry in ENTRIES]


@pytest.fixture
def own(place):
    """The README's schedule as a spec file beside a small optimizer."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Schedules")[1].split("\n## ")[0]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    (place / "specs/warm.py").write_text(code)
    (place / "specs/plain.py").write_text(PLAIN)
    return place


def test_the_readmes_schedule_becomes_a_scheduler(own, monkeypatch):
    code, output = build()
    assert code == 0, output
    assert "InverseRoot" in output
    monkeypatch.syspath_prepend(own)
    from my_optim import Plain, lr_scheduler

    from lucidgen import Parameter

    optimizer = Plain([Parameter([1.0])], lr=0.1)
    scheduler = lr_scheduler.InverseRoot(optimizer, warmup=4)
    seen = []
    for _ in range(16):
        seen.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    assert seen[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert seen[15] == pytest.approx(0.05)
    assert "InverseRoot(optimizer, warmup=20)" in lr_scheduler.InverseRoot.__doc__
    assert not (own / "my_optim/warm.py").exists()
    assert build("--check")[0] == 0
    assert run("show", "InverseRoot", "--specs", "specs", "--plot", "picture.png")[0] == 0
    assert (own / "picture.png").stat().st_size > 1000


def test_some_of_a_package_with_schedules_can_be_built(own):
    assert build("InverseRoot")[0] == 0
    package = own / "my_optim"
    assert (package / "lr_scheduler/warm.py").exists()
    assert not (package / "plain.py").exists()
    assert build("plain")[0] == 0
    assert "InverseRoot" in (package / "lr_scheduler/__init__.py").read_text()
    assert "Plain" in (package / "__init__.py").read_text()
    assert build() == (0, "my_optim is up to date\n")
    (own / "specs/warm.py").unlink()
    assert build()[0] == 0
    assert not (package / "lr_scheduler/warm.py").exists()
    assert "InverseRoot" not in (package / "lr_scheduler/__init__.py").read_text()


def test_a_self_contained_package_brings_its_schedulers(own):
    assert build("--into", "alone")[0] == 0
    text = (own / "alone/lr_scheduler/warm.py").read_text()
    assert "from .._runtime.schedulers.closed_form import ClosedForm" in text
    assert "lucidgen." not in text


def test_list_names_every_schedule():
    code, output = run("list")
    assert code == 0
    lines = output.splitlines()
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in NAMES)
    assert any("eta_min + 0.5 * (base - eta_min)" in line for line in lines)


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_every_schedule_can_be_shown_and_drawn(entry, tmp_path):
    name = entry.spec.name
    output = overview(entry)
    assert f"{name} from {entry.file.path.name}" in output
    assert "value[t] = " in output
    assert f"{name}(optimizer, " in output
    plot(entry.spec, tmp_path / "picture.svg", {})
    assert (tmp_path / "picture.svg").read_text().startswith("<?xml")
    values = values_of(entry.spec, {}, 100, 1.0)
    assert max(values) > min(values) >= 0


def test_show_prints_a_schedule_and_its_latex():
    code, output = run("show", "cosineannealinglr")
    assert code == 0
    assert "  (1)  value[t] = eta_min + 0.5 * (base - eta_min) * (cos(" in output
    code, output = run("show", "StepLR", "--latex")
    assert code == 0
    assert r"\eta_{t} &= " in output


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("StepRL",), "did you mean 'StepLR'?"),
        (("StepLR", "--stage", "mlx"), "neither dialects nor stages"),
        (("StepLR", "--dialect", "torch"), "neither dialects nor stages"),
        (("StepLR", "--with", "gamma=0.5"), "--with gives arguments to --plot"),
        (("Adam", "--plot", "x.png"), "Adam is an optimizer"),
        (("StepLR", "--plot", "x.png", "--with", "gama=1"), "did you mean 'gamma'?"),
        (("StepLR", "--plot", "x.png", "--with", "gamma"), "write it as in --with T_max=50"),
        (("StepLR", "--plot", "x.png", "--with", "step_size=0"), "step_size"),
        (("StepLR", "--plot", "x.png", "--with", "gamma=high"), "gamma"),
        (("CyclicLR", "--plot", "x.png", "--with", "mode=saw"), "one of 'triangular'"),
        (
            ("LambdaLR", "--plot", "x.png", "--with", "lr_lambda=f"),
            "must be a function of the step",
        ),
        (("StepLR", "--plot", "x.xyz"), "xyz"),
    ],
)
def test_wrong_usage_is_answered(arguments, answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output = run("show", *arguments)
    assert code == 2
    assert answer in output
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_a_plot_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, output = run("show", "StepLR", "--plot", tmp_path / "x.png")
    assert code == 1
    assert "pip install matplotlib" in output
