"""The walls between rooms: each contract of pyproject.toml can fail, and says where and what to do.

An import that a wall forbids is added to a copy of the package, alone, and import-linter must name
it. `make lint` holds the package itself to the contracts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]

#: A wall, by the id of its contract, and an import that it forbids.
FORBIDDEN = [
    ("spec", "lucidgen.spec.domains", "lucidgen.ir.guard"),
    ("spec", "lucidgen.spec.loader", "lucidgen.runtime.checking"),
    ("ir", "lucidgen.ir.guard", "lucidgen.passes.order"),
    ("passes", "lucidgen.passes.share", "lucidgen.targets.common.trees"),
    ("targets", "lucidgen.targets.common.printer", "lucidgen.specs.adam"),
    ("targets", "lucidgen.targets.latex", "lucidgen.package.writing"),
    ("siblings", "lucidgen.targets.cuda.phases", "lucidgen.targets.metal"),
    ("siblings", "lucidgen.targets.common.names", "lucidgen.targets.cpp"),
    ("runtime", "lucidgen.runtime.rules.ieee", "sympy.core"),
    ("runtime", "lucidgen.runtime.arrays", "lucidgen.spec"),
    ("house", "lucidgen.verify.exact", "lucidgen.commands.describe"),
    ("house", "lucidgen.ir.ranges", "lucidgen.passes.order"),
    ("runtime-floors", "lucidgen.runtime.step.clipping", "lucidgen.runtime.trees.leaves"),
    ("backends", "lucidgen.runtime.backends.numpy", "lucidgen.runtime.backends.loops.compiler"),
    ("backends", "lucidgen.runtime.backends.gpu.trial", "lucidgen.runtime.backends.mlx"),
    ("circles", "lucidgen.package.writing", "lucidgen.package.build"),
    ("circles", "lucidgen.runtime.groups.parameters", "lucidgen.runtime.groups.grouping"),
]


def lint(folder: Path, *walls: str) -> tuple[bool, str]:
    """Whether these walls of a copy of the repository stand, or all; and what is said of them."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    command += [word for wall in walls for word in ("--contract", wall)]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.returncode == 0, done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and the contracts, in a folder where they may be spoiled."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lucidgen", tmp_path / "lucidgen", ignore=without)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def imports(copy: Path, importer: str, imported: str) -> None:
    """Let a module of the copy import another, inside a function."""
    path = (copy / importer.replace(".", "/")).with_suffix(".py")
    path.write_text(f"{path.read_text()}\n\ndef _late():\n    import {imported}\n")


def test_all_walls_stand(copy: Path) -> None:
    stands, said = lint(copy)
    assert stands, said


def test_each_wall_is_tried() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert {wall for wall, _, _ in FORBIDDEN} == {c["id"] for c in contracts["contracts"]}


@pytest.mark.parametrize(("wall", "importer", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_found_and_named(
    copy: Path, wall: str, importer: str, imported: str
) -> None:
    imports(copy, importer, imported)
    stands, said = lint(copy, wall)
    assert not stands
    if wall == "circles":
        assert f".{importer.rpartition('.')[2]} -> .{imported.rpartition('.')[2]}" in said
    else:
        package = {"sympy.core": "sympy", "lucidgen.specs.adam": "lucidgen.specs"}
        assert f"{importer} -> {package.get(imported, imported)}" in said
    assert said.rstrip().endswith(".")  # with what to do


def test_a_new_room_needs_a_floor(copy: Path) -> None:
    (copy / "lucidgen/attic.py").touch()
    stands, said = lint(copy, "house")
    assert not stands
    assert "attic" in said


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = grimp.build_graph("lucidgen", cache_dir=None)
    imported = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    TopologicalSorter(imported).prepare()  # raises CycleError, which names the circle
