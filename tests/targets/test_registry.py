"""Targets are found, chosen and asked by their names; another package adds one by an entry point.

`outside/` is such a package, as pip would leave it: a module, its templates, an entry point.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lucidgen.errors import Failure, WrongUsage
from lucidgen.runtime.kernel_choice import CHOICES
from lucidgen.targets import registry

ROOT = Path(__file__).parents[2]
OUTSIDE = Path(__file__).with_name("outside")

SPEC = '''"""Two optimizers of mine."""
from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, norm, series, sqrt, t, w

lr = hyper("lr", 1e-2, at_least=0)
v = series("v")

Mine = OptimizerSpec(
    "Mine",
    arguments=(lr,),
    equations=(
        Eq(v[t], v[t - 1] / 2 + grad[t] ** 2),
        Eq(w[t], w[t - 1] - lr * grad[t] / (1 + sqrt(v[t]))),
    ),
)
Scaled = OptimizerSpec(
    "Scaled", arguments=(lr,), equations=(Eq(w[t], w[t - 1] - lr * grad[t] / norm(grad[t])),)
)
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/mine.py").write_text(SPEC)
    return tmp_path


def lucidgen(place: Path, *arguments: str, outside: bool = True) -> tuple[int, str]:
    """The exit code and the output of a command, with the outside package installed or not."""
    path = [str(ROOT), *([str(OUTSIDE)] if outside else [])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path),
        "XDG_CACHE_HOME": str(place / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lucidgen", *arguments],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_target_of_another_package_is_built_shown_checked_and_verified(place: Path) -> None:
    build = ("build", "--specs", "specs", "--out", "mine")
    code, said = lucidgen(place, *build)
    assert code == 0, said
    text = (place / "mine/_wgsl/mine.wgsl").read_text()
    assert "fn mine_step(" in text
    assert "v = 0.5f * v + grad * grad;" in text.replace("(grad * grad)", "grad * grad")
    assert "// Scaled has no function: it reduces over tensors." in text
    assert "wgsl" not in (place / "mine/_rules/mine.py").read_text(), "nothing runs it here"
    assert lucidgen(place, *build, "--check")[0] == 0
    (place / "mine/_wgsl/mine.wgsl").write_text(text.replace("grad * grad", "grad"))
    code, said = lucidgen(place, *build, "--check")
    assert code == 1
    assert "  stale    _wgsl/mine.wgsl" in said
    code, said = lucidgen(place, "show", "Mine", "--specs", "specs", "--stage", "wgsl")
    assert code == 0
    assert text.split("\n\n")[1].strip() in said
    code, said = lucidgen(place, "verify", "Mine", "--specs", "specs", "--target", "wgsl")
    assert code == 0, said
    assert "numbers to 12 digits" in said
    assert "Only a browser can show" in said
    code, said = lucidgen(place, "verify", "Scaled", "--specs", "specs", "--target", "wgsl")
    assert code == 1
    assert "Scaled has no WGSL function: it reduces over tensors" in said


def test_a_wrong_text_of_another_package_is_found(place: Path) -> None:
    broken = (OUTSIDE / "lucidgen_wgsl.py").read_text()
    wrong = broken.replace('"sqrt", "pow"', '"pow"').replace(
        '"maximum": "max",', '"sqrt": "exp",\n        "maximum": "max",'
    )
    assert wrong != broken
    shutil.copytree(OUTSIDE / "templates", place / "templates")
    (place / "lucidgen_wgsl.py").write_text(wrong)  # the working directory comes first
    code, said = lucidgen(place, "verify", "Mine", "--specs", "specs", "--target", "wgsl")
    assert code == 1
    assert "Mine: the WGSL functions are not what they should be" in said


def test_what_an_uninstalled_target_has_made_is_left_alone(place: Path) -> None:
    build = ("build", "--specs", "specs", "--out", "mine")
    assert lucidgen(place, *build)[0] == 0
    code, said = lucidgen(place, *build, outside=False)
    assert code == 0, said
    assert (place / "mine/_wgsl/mine.wgsl").exists()
    code, said = lucidgen(place, "show", "Adam", "--stage", "wgsl", outside=False)
    assert code == 2
    assert "there is no stage 'wgsl'" in said


def test_a_target_that_cannot_be_loaded_names_its_package(place: Path) -> None:
    (place / "lucidgen_wgsl.py").write_text("import nothing_of_that_name")
    code, said = lucidgen(place, "show", "Adam", "--stage", "wgsl")
    assert code == 1
    assert "the target 'wgsl' of lucidgen-wgsl (lucidgen_wgsl:TARGET) cannot be loaded" in said
    assert "mend that package, or uninstall it" in said.replace("\n", " ")


def test_a_package_is_built_for_the_targets_that_are_asked_for(place: Path) -> None:
    build = ("build", "--specs", "specs", "--out", "mine", "--target", "numpy,mlx")
    assert lucidgen(place, *build)[0] == 0
    folders = {path.name for path in (place / "mine").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == {"_rules", "_numpy", "_mlx", "lr_scheduler"}
    program = """
        import numpy as np, mlx.core as mx
        from lucidgen import Parameter
        from mine import Mine
        for data in (np.ones(3), mx.ones(3)):
            p = Parameter(data)
            p.grad = data * 0.5
            optimizer = Mine([p])
            optimizer.step()
            print([round(float(x), 6) for x in np.asarray(p.data)])
        try:
            Mine([p], kernel="cpp")
        except ValueError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line[8:] for line in program.splitlines())],
        cwd=place,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    first, second, refused = done.stdout.splitlines()
    assert first == second == "[0.996667, 0.996667, 0.996667]"
    assert "the package was built without them" in refused
    code, said = lucidgen(place, *build)
    assert (code, said) == (0, "mine is up to date\n")
    code, said = lucidgen(place, *build[:-2], "--check")
    assert code == 1
    assert "missing  _cpp/mine.cpp" in said


def test_an_mlx_array_without_the_mlx_target_is_told_what_to_build(place: Path) -> None:
    assert (
        lucidgen(place, *["build", "--specs", "specs", "--out", "mine", "--target", "numpy"])[0]
        == 0
    )
    program = (
        "import mlx.core as mx\nfrom lucidgen import Parameter\nfrom mine import Mine\n"
        "p = Parameter(mx.ones(3)); p.grad = mx.ones(3)\nMine([p]).step()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert "`lucidgen build --target numpy,mlx`" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["numpi"], "there is no target 'numpi' (did you mean 'numpy'?)"),
        (["mlx"], "needs numpy as well: --target numpy,mlx"),
        (["numpy,metal"], "needs mlx as well: --target numpy,mlx,metal"),
        ([","], "no target is named"),
    ],
)
def test_targets_that_make_no_package_are_refused(wanted: list[str], said: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        registry.chosen(wanted)
    assert said in str(refused.value)


def test_every_target_runs_on_a_backend_that_the_runtime_has() -> None:
    for target in registry.targets():
        assert target.backend in (None, *CHOICES), target.name


def test_targets_are_chosen_in_the_order_in_which_they_are_made() -> None:
    assert registry.chosen(["cpp", "numpy"]) == ("numpy", "cpp")
    assert registry.chosen(None)[: len(registry.BUILT_IN)] == registry.BUILT_IN


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    for points in (
        [EntryPoint("metal", "another:TARGET", registry.GROUP)],
        [EntryPoint("wgsl", f"{name}:TARGET", registry.GROUP) for name in ("one", "two")],
    ):
        monkeypatch.setattr(registry, "entry_points", lambda group, points=points: points)
        with pytest.raises(Failure, match=r"cannot have this name|have one name"):
            registry._added.__wrapped__()
