"""`lucidgen build`: what is written, and when."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from building import DERIVED, PLAIN, ROOT, contents, python, run
from readings import covering

from lucidgen.package import build, workers
from lucidgen.paths import optim_folder

# What a build writes


def test_an_authors_package_is_importable_and_its_classes_work(place, monkeypatch):
    (place / "specs/derived.py").write_text(DERIVED)
    code, output = run()
    assert code == 0
    assert re.fullmatch(r"wrote \d+ files to my_optim: Derived, Plain\n", output)
    monkeypatch.syspath_prepend(place)
    from my_optim import Derived
    from my_optim.plain import Plain

    from lucidgen import Parameter

    for kind in (Derived, Plain):
        p = Parameter(np.ones(3))
        p.grad = np.ones(3)
        kind([p], lr=0.5).step()
        assert p.data == pytest.approx(0.5), kind
    import my_optim

    assert my_optim.__all__ == [
        "Derived",
        "ExponentialMovingAverage",
        "MultiOptimizer",
        "Optimizer",
        "Options",
        "Plain",
        "lr_scheduler",
    ]


def test_siblings_are_importable_and_a_change_of_one_is_seen(place):
    (place / "specs/sub").mkdir()
    (place / "specs/sub/__init__.py").write_text("HALF = 2\n")
    (place / "specs/derived.py").write_text(
        "from lucidgen.spec import Eq, grad, t\nfrom plain import Plain, m\nfrom sub import HALF\n"
        'Derived = Plain.variant("Derived", replace=(Eq(m[t], m[t - 1] / HALF + grad[t]),))\n'
    )
    assert run()[0] == 0
    assert "0.5 * m" in Path("my_optim/_mlx/derived.py").read_text()
    (place / "specs/sub/__init__.py").write_text("HALF = 4\n")
    code, output = run()
    assert code == 0, output
    assert "0.25 * m" in Path("my_optim/_mlx/derived.py").read_text()
    (place / "specs/plain.py").write_text(PLAIN.replace("1e-2", "2e-2"))
    assert run()[0] == 0
    assert "lr: float = 2e-2" in Path("my_optim/derived.py").read_text()
    assert not list(place.rglob("__pycache__")), "specs leave no bytecode that could go stale"


def build_under(seed, names, out, folder):
    """Build built-in specs, in processes as users do; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "lucidgen", "build", *names, "--out", str(out)],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), workers.JOBS: "2"},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize("seed", ["1", pytest.param("2", marks=pytest.mark.complete)])
def test_what_is_committed_is_what_a_build_gives_under_any_hash_seed(seed, tmp_path):
    names = {reading.file.name for reading in covering()}
    out = tmp_path / "made"
    assert "wrote" in build_under(seed, names, out, tmp_path)
    built = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    of_modules = {path: text for path, text in built.items() if path.name != "__init__.py"}
    assert {path.stem for path in of_modules} >= names
    assert {p: (optim_folder() / p).read_bytes() for p in of_modules} == of_modules


@pytest.mark.complete
@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_built_in_package_is_what_is_committed_under_any_hash_seed(seed, tmp_path):
    committed = {
        path.relative_to(optim_folder()): path.read_bytes()
        for path in optim_folder().rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    out = tmp_path / "made"
    assert "wrote" in build_under(seed, (), out, tmp_path)
    assert build_under(seed, (), out, tmp_path) == "made is up to date\n"
    built = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert built == committed


def test_generated_lines_fit_and_first_lines_are_short():
    for path in optim_folder().rglob("*.*"):
        if path.suffix == ".pyc":
            continue
        lines = path.read_text().splitlines()
        assert max(map(len, lines)) <= 100, path
        assert path.suffix != ".py" or path.name == "__init__.py" or not lines[1], (
            f"{path}: one line says what it is"
        )


def test_texts_of_authors_cannot_break_the_generated_code(place):
    hostile = 'r"""It\'s \\\\ {{ x }} {% x %} \\N \\"\\"\\" here"""'
    (place / "specs/plain.py").write_text(
        PLAIN.replace("'''A small spec.'''", '"""A \\\\beta and \'\'\' in\n\nlong."""').replace(
            'OptimizerSpec(\n    "Plain",',
            f"OptimizerSpec('Plain', summary={hostile}, notes={hostile}, paper={hostile}, "
            f"requires=((lr > 0, {hostile}),),",
        )
    )
    code, output = run()
    assert code == 0, output
    python("import my_optim", place, ROOT, Path(np.__file__).parents[1])


# When it writes


def build_alone():
    """What a build in an interpreter of its own prints, and the heavy packages it imported."""
    code = (
        "import sys; from lucidgen.commands.app import app; "
        "app(['build', '--specs', 'specs', '--out', 'my_optim'], standalone_mode=False); "
        "print(sorted({'sympy', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_second_build_writes_nothing_and_imports_no_compiler(place):
    assert run()[0] == 0
    before = contents()
    assert build_alone() == "my_optim is up to date\n[]\n"
    assert contents() == before


def test_only_what_changed_is_written(place):
    (place / "specs/derived.py").write_text(DERIVED)
    run()
    before = contents()
    (place / "specs/plain.py").write_text(PLAIN.replace("1e-2", "3e-2"))
    assert run()[0] == 0
    after = contents()
    changed = {path for path in after if after[path] != before[path]}
    assert changed
    assert all("plain" in path for path in changed)


CHAIN = """
from lucidgen.spec import Eq, t, w
from {base} import {of}
from plain import lr, m

{name} = {of}.variant("{name}", replace=(Eq(w[t], w[t - 1] - lr * m[t] / {number}),))
"""


def write_chain(place):
    """Specs that import each other: plain, second from plain, third from second; and one apart."""
    chain = (("second", "plain", "Plain", 3), ("third", "second", "Second", 5))
    for file, base, of, number in chain:
        text = CHAIN.format(base=base, of=of, name=file.capitalize(), number=number)
        (place / f"specs/{file}.py").write_text(text)
    (place / "specs/apart.py").write_text(PLAIN.replace('"Plain"', '"Apart"'))


@pytest.mark.parametrize(
    ("changed", "compiled"),
    [
        ("plain", ("Plain", "Second", "Third")),
        ("second", ("Second", "Third")),
        ("third", ("Third",)),
        ("apart", ("Apart",)),
    ],
)
def test_a_change_compiles_what_depends_on_it_and_gives_what_a_cold_build_gives(
    place, changed, compiled
):
    write_chain(place)
    job = build.Job(place / "specs", place / "my_optim")
    build.build(job)
    path = place / f"specs/{changed}.py"
    text = path.read_text().replace("- lr * m", "- 2 * lr * m").replace("1e-2", "3e-2")
    path.write_text(text)
    found = build.build(job)
    assert found.classes == compiled
    modules = {Path(p).stem.removesuffix("_step") for p in found.written}
    assert changed in modules <= {c.lower() for c in compiled}
    cold = build.Job(place / "specs", place / "cold")
    assert build.build(cold).classes == ("Apart", "Plain", "Second", "Third")
    reached = {Path(p).relative_to("my_optim"): data for p, (data, _) in contents().items()}
    assert reached == {Path(p).relative_to("cold"): d for p, (d, _) in contents("cold").items()}
    assert build.check(job) == []


def test_a_clash_with_a_module_that_is_not_compiled_is_found_and_changes_nothing(place):
    write_chain(place)
    run()
    before = contents()
    (place / "specs/apart.py").write_text(PLAIN.replace('"Plain"', '"Third"'))
    code, output = run()
    assert code == 1
    assert "the class Third is defined in third.py too" in output
    assert contents() == before


def test_check_names_a_file_changed_by_hand_next_to_a_changed_spec(place):
    write_chain(place)
    job = build.Job(place / "specs", place / "my_optim")
    build.build(job)
    (place / "specs/apart.py").write_text(PLAIN.replace("1e-2", "3e-2").replace("Plain", "Apart"))
    edited = Path("my_optim/_mlx/plain.py")
    edited.write_text(edited.read_text().replace("0.5", "0.6"))
    found = {d.path: d.kind for d in build.check(job)}
    assert found.pop("_mlx/plain.py") == "stale"
    assert found
    assert all("apart" in path for path in found)


def test_a_removed_spec_needs_no_compiler(place):
    write_chain(place)
    run()
    (place / "specs/third.py").unlink()
    assert build_alone().endswith("wrote 1 file to my_optim\n['jinja2']\n")
    assert not list(Path("my_optim").rglob("third*"))


def test_a_file_changed_by_hand_or_deleted_is_written_again(place):
    run()
    wanted = {path: data for path, (data, _) in contents().items()}
    Path("my_optim/plain.py").write_text("# Generated by lucidgen, and then by hand\n")
    Path("my_optim/_mlx/plain.py").unlink()
    assert run() == (0, "wrote 2 files to my_optim: Plain\n")
    assert {path: data for path, (data, _) in contents().items()} == wanted


def test_the_files_of_a_removed_spec_go_and_others_stay(place):
    (place / "specs/derived.py").write_text(DERIVED)
    run()
    Path("my_optim/notes.md").write_text("mine")
    (place / "specs/derived.py").unlink()
    code, output = run()
    assert code == 0
    assert "removed my_optim/_mlx/derived.py\n" in output
    assert not list(Path("my_optim").rglob("derived*"))
    assert Path("my_optim/notes.md").read_text() == "mine"
    assert "Derived" not in Path("my_optim/__init__.py").read_text()


def test_a_broken_cache_or_one_that_cannot_be_written_does_no_harm(place, monkeypatch):
    run()
    for path in Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json"):
        path.write_text("[1, {")
    assert run() == (0, "my_optim is up to date\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "specs/plain.py"))
    assert run() == (0, "my_optim is up to date\n")


# Names


def test_names_choose_and_the_package_stays_complete(place):
    (place / "specs/derived.py").write_text(DERIVED)
    run()
    (place / "specs/derived.py").write_text(DERIVED.replace("lr * m_hat[t]", "2 * lr * m_hat[t]"))
    (place / "specs/plain.py").write_text("raise ValueError('broken, and not asked for')")
    before = contents()
    for name in ("derived", "Derived", "DERIVED"):
        code, output = run(name)
        assert code == 0, output
    after = contents()
    changed = {path for path in after if after[path] != before[path]}
    assert changed
    assert all("derived" in path for path in changed)
    assert "from .plain import Plain" in Path("my_optim/__init__.py").read_text()


def test_an_unknown_name_is_told_the_nearest(place):
    code, output = run("Plane")
    assert code == 2
    assert "did you mean 'Plain'?" in output
    assert not Path("my_optim").exists()


def test_the_api_reports_what_it_did(place):
    job = build.Job(place / "specs", place / "my_optim")
    assert {d.kind for d in build.check(job)} == {"missing"}
    outcome = build.build(job)
    assert outcome.classes == ("Plain",)
    assert "plain.py" in outcome.written
    assert build.build(job) == build.Outcome()
    assert build.check(job) == []
