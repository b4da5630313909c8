"""Spec files in folders by family: found, built and imported as if they lay in one."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from building import PLAIN, ROOT, run
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.package.build import spec_paths
from lucidgen.paths import optim_folder, specs_folder

HALVED = """
from lucidgen.spec import Eq, grad, t
from plain import Plain, m
Halved = Plain.variant("Halved", replace=(Eq(m[t], m[t - 1] / 4 + grad[t]),))
"""
THIRD = """
from lucidgen.spec import Eq, grad, t
from halved import Halved, m
Third = Halved.variant("Third", replace=(Eq(m[t], m[t - 1] / 3 + grad[t]),))
"""


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


@pytest.fixture
def families(place: Path) -> Path:
    """A spec file beside two families; each imports from the one before."""
    write("specs/one/halved.py", HALVED)
    write("specs/two/third.py", THIRD)
    return place


def test_families_become_modules_of_one_package(families: Path) -> None:
    code, output = run()
    assert code == 0, output
    assert {"plain.py", "halved.py", "third.py"} <= {p.name for p in Path("my_optim").iterdir()}
    shown = CliRunner().invoke(app, ["show", "Third", "--specs", "specs"]).output
    assert shown.startswith("Third (own) from third.py\n")
    assert "m[t] = grad[t] + (1/3) * m[t - 1]" in shown


def test_a_change_in_another_family_is_seen(families: Path) -> None:
    run()
    Path("specs/plain.py").write_text(PLAIN.replace("1e-2", "2e-2"))
    code, output = run()
    assert code == 0, output
    assert "lr: float = 2e-2" in Path("my_optim/third.py").read_text()
    assert run()[1] == "my_optim is up to date\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plain.py", "specs/one/plain.py: would become the module that {}/specs/plain.py becomes"),
        ("Plain.py", "specs/plain.py: differs from {}/specs/one/Plain.py in case only"),
    ],
)
def test_two_files_of_one_name_are_refused_by_both_their_names(
    place: Path, name: str, said: str
) -> None:
    write(f"specs/one/{name}", PLAIN)
    code, output = run()
    assert code == 1
    assert f"{said.format(place)}; rename one" in output.replace("\n", " ")


def test_packages_and_hidden_folders_are_no_families(place: Path) -> None:
    for folder in ("package", ".hidden", "_private", "specs_in/specs_in_it"):
        write(f"specs/{folder}/broken.py", "1 +\n")
    write("specs/package/__init__.py", "")
    assert [path.name for path in spec_paths(place / "specs")] == ["plain.py"]


def test_what_only_helps_is_told_where_to_lie(place: Path) -> None:
    write("specs/help/numbers.py", "HALF = 2\n")
    code, output = run()
    assert code == 1
    assert "specs/help/numbers.py:1: the file defines no optimizer and no schedule" in output
    assert "What only helps other files lies in a folder with an __init__.py." in output


def test_built_in_families_make_no_difference_to_imports_and_modules() -> None:
    paths = spec_paths(specs_folder())
    assert {path.parent.parent for path in paths} == {ROOT / "specs"}, "each is in a family"
    for path in paths:
        module = importlib.import_module(f"lucidgen.specs.{path.stem}")
        assert module.__file__ == str(path)
        found = [
            optim_folder() / f"{path.stem}.py",
            optim_folder() / f"lr_scheduler/{path.stem}.py",
        ]
        assert any(place.is_file() for place in found)
