"""What `lucidgen build` refuses, and that nothing is ever half written."""

import sys
from pathlib import Path

import pytest
from building import DERIVED, PLAIN, contents, run
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.package import writing

# Refusals, after which everything is as it was


def test_what_is_wrong_with_all_files_is_said_at_once_and_nothing_is_written(place):
    run()
    before = contents()
    (place / "specs/plain.py").write_text(PLAIN.replace("m[t - 1] / 2", "0.5 * m[t - 1]"))
    (place / "specs/broken.py").write_text("x = [\n")
    (place / "specs/exits.py").write_text("import sys\n\nsys.exit(3)\n")
    (place / "specs/encoded.py").write_bytes(b'"""\xff"""\n')
    (place / "specs/empty.py").write_text("")
    code, output = run()
    assert code == 1
    assert "specs/plain.py:10: the float 0.5 in an equation is not exact" in output
    assert "    in  m[t] = " in output
    assert "Write Rational(1, 2)" in output
    assert "specs/broken.py:1: not valid Python" in output
    assert "specs/exits.py:3: SystemExit: 3" in output
    assert "specs/encoded.py:1: " in output
    assert "specs/empty.py:1: the file defines no optimizer" in output
    assert output.rstrip().endswith("error: 5 problems in 5 spec files")
    assert contents() == before


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
def test_a_build_that_fails_while_writing_leaves_everything_as_it_was(
    place, monkeypatch, step, error
):
    (place / "specs/derived.py").write_text(DERIVED)
    run()
    before = {path: data for path, (data, _) in contents().items()}
    (place / "specs/derived.py").unlink()
    (place / "specs/plain.py").write_text(PLAIN.replace("1e-2", "3e-2"))
    real, calls = Path.replace, []

    def replace(self, target):
        if self.suffix == ".tmp" and "my_optim" in str(target):
            calls.append(target)
            if len(calls) > step:
                raise error
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    code, output = run()
    assert code == (130 if isinstance(error, KeyboardInterrupt) else 1), output
    assert {path: data for path, (data, _) in contents().items()} == before
    assert not [path for path in place.rglob("*") if path.suffix == ".tmp"]
    monkeypatch.undo()
    assert CliRunner().invoke(app, ["build", "--specs", str(place / "specs"), "--out",
                                    str(place / "my_optim")]).exit_code == 0  # fmt: skip


def test_a_new_folder_is_not_left_behind_by_a_failure(place, monkeypatch):
    def mkstemp(**_):
        raise PermissionError(13, "Permission denied", "a temporary name")

    monkeypatch.setattr(writing.tempfile, "mkstemp", mkstemp)
    assert run("--out", "new/my_optim") == (
        1,
        "error: new/my_optim/__init__.py: Permission denied\n",
    )
    assert not Path("new").exists()


def test_foreign_python_files_are_not_overwritten(place):
    Path("my_optim").mkdir()
    Path("my_optim/__init__.py").touch()
    Path("my_optim/train.py").write_text("print('mine')\n")
    code, output = run()
    assert code == 1
    assert "holds Python files that lucidgen did not make (train.py)" in output
    assert sorted(path.name for path in Path("my_optim").iterdir()) == ["__init__.py", "train.py"]
    Path("my_optim/train.py").unlink()
    assert run()[0] == 0, "an empty __init__.py is nobody's work"


def test_the_folder_of_the_specs_is_no_place_for_output(place):
    code, output = run("--out", "specs")
    assert code == 1
    assert "did not make (plain.py)" in output


@pytest.mark.parametrize(
    "name", ["__init__.py", "_mine.py", "my-spec.py", "class.py", "2.py", "Plain.py"]
)
def test_spec_files_need_the_name_of_a_module(place, name):
    (place / "specs" / name).write_text(PLAIN)
    code, output = run()
    assert code == 1
    assert "rename" in output
    assert "Traceback" not in output


def test_folders_that_are_none(place):
    Path("specs/folder.py").mkdir()
    assert "is a folder, not a spec file" in run()[1]
    Path("specs/folder.py").rmdir()
    assert run("--specs", "nowhere")[0] == 2
    assert run("--specs", "specs/plain.py")[0] == 2
    assert run("--out", "specs/plain.py")[0] == 2
    assert run("--out", "specs/plain.py/x")[0] == 1
    Path("empty").mkdir()
    code, output = run("--specs", "empty")
    assert code == 1
    assert "there are no spec files" in output


def test_two_classes_of_one_name_are_refused(place):
    (place / "specs/again.py").write_text(PLAIN)
    code, output = run()
    assert code == 1
    assert "specs/plain.py:7: the class Plain is defined in again.py too" in output
    Path("specs/again.py").rename("again.py")
    run()
    Path("again.py").rename("specs/again.py")
    code, output = run("again")
    assert code == 1
    assert "the class Plain is defined in plain.py too" in output


def test_own_specs_need_an_own_folder(place):
    result = CliRunner().invoke(app, ["build", "--specs", "specs"])
    assert result.exit_code == 2
    assert "lucidgen build --specs specs --out my_optim" in result.output


def test_a_missing_formatter_is_named(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ruff.__main__", None)
    code, output = run()
    assert code == 1
    assert "ruff" in output
    assert "pip install" in output
    assert not Path("my_optim").exists()


def test_a_class_with_the_name_of_a_module_is_refused(place):
    (place / "specs/plain.py").rename("specs/Plain.py")
    code, output = run()
    assert code == 1
    assert "specs/Plain.py:7: the class Plain and the module Plain.py hide each other" in output
    assert not Path("my_optim").exists()
