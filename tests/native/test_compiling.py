"""Compiling on first use: in the background, once, and never in the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.runtime.backends.loops import cache, compiler

SOURCES = Path(__file__).parents[2] / "generated" / "lucid" / "optim" / "_cpp"
SCRIPT = """
import sys, numpy as np, lucidgen
from lucidgen.optim import SGD
parameter = lucidgen.Parameter(np.ones(3))
optimizer = SGD([parameter], lr=0.5, kernel=sys.argv[1])
parameter.grad = np.ones(3)
optimizer.step()
print(parameter.data.tolist())
"""


def start_afresh(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """An empty cache, which is returned, and a process in which nothing was compiled yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.delenv("LUCIDGEN_KERNEL", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    for name in ("_builds", "_steps", "_warned"):
        monkeypatch.setattr(compiler, name, type(getattr(compiler, name))())
    monkeypatch.setattr(cache, "_told", [])
    return cache.cache_folder()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and a process in which nothing was compiled yet."""
    yield start_afresh(monkeypatch, tmp_path)
    for build in compiler._builds.values():
        build.is_done(wait=True)


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def train(steps: int, kernel: str = "auto", **chosen: Any) -> list[float]:
    parameter = Parameter(np.linspace(0, 1, 3))
    optimizer = optim.SGD([parameter], lr=0.5, kernel=kernel, **chosen)
    for _ in range(steps):
        parameter.grad = np.full(3, 0.25)
        optimizer.step()
    found: list[float] = parameter.data.tolist()
    return found


def run_script(kernel: str = "cpp", **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "always", "-c", SCRIPT, kernel]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"PYTHONPATH": paths} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".so")


def test_numpy_steps_until_the_loop_is_there(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    slow = script(
        tmp_path, "slow-c++", f'while [ -e "{hold}" ]; do sleep 0.02; done\nexec c++ "$@"'
    )
    monkeypatch.setenv("CXX", str(slow))
    parameter = Parameter(np.ones(3))
    optimizer = optim.SGD([parameter], lr=0.5)
    rule = optim.SGD.rules["torch"]
    try:
        for _ in range(3):
            parameter.grad = np.ones(3)
            start = time.perf_counter()
            optimizer.step()
            assert time.perf_counter() - start < 5
            assert compiler.available(rule, "float64") is None
    finally:
        hold.unlink()
    compiler._builds[rule, "float64"].is_done(wait=True)
    parameter.grad = np.ones(3)
    optimizer.step()
    assert compiler.available(rule, "float64") is not None
    (members,) = optimizer._engine._last_step.groups[0]._members
    assert members.own["cpp"].loops, "the step was a compiled one"
    assert parameter.data.tolist() == [-1.0] * 3
    assert left_over(fresh) == []


def test_a_second_process_finds_what_the_first_one_compiled(fresh: Path) -> None:
    assert run_script().stdout == "[0.5, 0.5, 0.5]\n"
    (compiled,) = fresh.iterdir()
    before = compiled.stat().st_mtime_ns
    done = run_script()
    assert (done.stdout, done.stderr) == ("[0.5, 0.5, 0.5]\n", "")
    assert [path.stat().st_mtime_ns for path in fresh.iterdir()] == [before]


def test_another_compiler_or_source_is_another_content(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = optim.SGD.rules["torch"]
    names = {compiler.build_of(rule, kind, ["c++"]).target for kind in ("float32", "float64")}
    names.add(compiler.build_of(rule, "float64", ["c++", "-DNDEBUG"]).target)
    names.add(compiler.build_of(rule, "float64", [str(script(tmp_path, "my-c++", ""))]).target)
    names.add(compiler.build_of(optim.SGD.rules["lucid2"], "float64", ["c++"]).target)
    monkeypatch.setattr(compiler, "_processor", lambda: "another one")
    names.add(compiler.build_of(rule, "float64", ["c++"]).target)
    assert len(names) == 6


def test_without_a_compiler_numpy_steps_and_one_warning_says_why(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.warns(RuntimeWarning, match="there is no C\\+\\+ compiler.*apt install") as seen:
        found = train(2)
    assert Path(seen[0].filename).samefile(__file__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(2) == found == train(2, "numpy")
        optim.Adam([Parameter(np.ones(2))]).step()
    with pytest.raises(RuntimeError, match="there is no C\\+\\+ compiler"):
        train(1, "cpp")


def test_a_compiler_that_fails_is_quoted(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = script(tmp_path, "bad-c++", "echo 'x.h:1: error: out of luck' >&2; exit 1")
    monkeypatch.setenv("CXX", str(bad))
    with pytest.raises(
        compiler.Unavailable, match=r"failed on sgd\.cpp: x\.h:1: error: out of luck"
    ):
        train(1, "cpp")
    assert left_over(fresh) == []
    with pytest.warns(RuntimeWarning, match="out of luck"):
        assert train(2) == train(2, "numpy")


def test_a_compiler_without_the_processors_name_compiles_for_any(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'for word; do case "$word" in -m*=native) exit 1;; esac; done\nexec c++ "$@"'
    monkeypatch.setenv("CXX", str(script(tmp_path, "old-c++", text)))
    assert train(3, "cpp") == train(3, "numpy")


def test_cxx_may_hold_options_and_must_name_what_there_is(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "c++ -DNDEBUG")
    assert compiler.compiler() == ["c++", "-DNDEBUG"]
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(compiler.Unavailable, match="'no-such-compiler', which is not there"):
        compiler.compiler()


def test_a_cache_that_cannot_be_written_to_is_said(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.warns(RuntimeWarning, match="cannot be written to"):
        assert train(2) == train(2, "numpy")


def test_a_damaged_file_is_replaced_by_the_next_process(fresh: Path) -> None:
    run_script()
    (compiled,) = fresh.iterdir()
    compiled.write_bytes(b"nothing")
    done = run_script("auto")
    assert done.stdout == "[0.5, 0.5, 0.5]\n"
    assert "cannot be loaded" in done.stderr
    assert run_script().stdout == "[0.5, 0.5, 0.5]\n"


def test_processes_that_compile_at_once_all_succeed(fresh: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, "cpp"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in running] == ["[0.5, 0.5, 0.5]\n"] * 3
    assert len(list(fresh.glob("*.so"))) == 1
    assert left_over(fresh) == []


def test_a_build_that_is_killed_leaves_nothing_that_counts(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    text = f'[ -e "{started}" ] && exec c++ "$@"\necho $$ >"{started}"\nexec sleep 60'
    monkeypatch.setenv("CXX", str(script(tmp_path, "stuck-c++", text)))
    rule = optim.SGD.rules["torch"]
    assert compiler.available(rule, "float64") is None
    build = compiler._builds[rule, "float64"]
    while not (started.exists() and started.read_text().strip()):
        time.sleep(0.01)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(build.process)], capture_output=True, text=True
    )
    for process in [build.process, *map(int, children.stdout.split())]:
        os.kill(process, signal.SIGKILL)
    assert build.is_done(wait=True)
    with pytest.warns(RuntimeWarning, match="the C\\+\\+ compiler failed"):
        assert train(1) == train(1, "numpy")
    assert list(fresh.glob("*.so")) == []
    compiler._builds.clear()
    compiler._steps.clear()
    assert train(2, "cpp") == train(2, "numpy")
    compiler._remove_old(fresh, seconds=-1)
    assert left_over(fresh) == []


def test_a_short_run_ends_before_its_compiler_and_leaves_it_to_finish(fresh: Path) -> None:
    start = time.perf_counter()
    done = run_script("auto")
    assert (done.stdout, done.stderr) == ("[0.5, 0.5, 0.5]\n", "")
    elapsed = time.perf_counter() - start
    deadline = start + 60
    while not list(fresh.glob("*.so")) and time.perf_counter() < deadline:
        time.sleep(0.05)
    assert list(fresh.glob("*.so"))
    assert elapsed < 60


def test_a_forked_process_steps_too(fresh: Path) -> None:
    text = """
import os, sys, numpy as np, lucidgen
from lucidgen.optim import SGD
parameter = lucidgen.Parameter(np.ones(200_000))
optimizer = SGD([parameter], lr=0.5, kernel="cpp")
parameter.grad = np.ones(200_000)
optimizer.step()
child = os.fork()
parameter.grad = np.ones(200_000)
optimizer.step()
assert set(parameter.data) == {0.0}
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", text], env=environment, check=True, timeout=60)


@pytest.mark.parametrize("named", ["numpy", "cpp"])
def test_the_variable_says_what_auto_means(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("LUCIDGEN_KERNEL", named)
    train(1)
    assert bool(compiler._steps) is (named == "cpp")
    optim.LARS([Parameter(np.ones(2))])
    assert optim.SGD([Parameter(np.ones(2))], kernel="mlx").kernel == "mlx"
    monkeypatch.setenv("LUCIDGEN_KERNEL", "fortran")
    with pytest.raises(ValueError, match="LUCIDGEN_KERNEL must be one of auto, numpy, cpp"):
        optim.SGD([Parameter(np.ones(2))])


def test_threads_are_those_of_omp_num_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from lucidgen.runtime.backends.loops import pointer_table

    for value, expected in (("3", 3), ("2,4", 2), ("", None), ("many", None)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        pointer_table.threads.cache_clear()
        assert pointer_table.threads() == (expected or len(os.sched_getaffinity(0)))
    pointer_table.threads.cache_clear()


@pytest.mark.parametrize(
    "left_out",
    [
        pytest.param({path.name for path in SOURCES.glob("*.cpp")} - {"sgd.cpp"}, id="SGD"),
        pytest.param(set(), id="everything", marks=pytest.mark.complete),
    ],
)
def test_all_loops_of_a_package_can_be_compiled_ahead(
    left_out: set[str], fresh: Path, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    shutil.copytree(SOURCES, package / "_cpp", ignore=lambda *_: left_out)
    made = compiler.compile_ahead(package, ["float32"])
    names = {path.name for path in fresh.glob("*.so")}
    assert names == {build.target.name for build in made}
    assert compiler.build_of(optim.SGD.rules["torch"], "float32", ["c++"]).target.name in names
    assert compiler.compile_ahead(package, ["float32"]) == []
    assert left_over(fresh) == []


def build(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lucidgen", "build", *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, timeout=120
    )


def test_a_build_compiles_loops_when_asked_to(fresh: Path, tmp_path: Path) -> None:
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "plain.py").write_text(
        "from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, t, w\n"
        'lr = hyper("lr", 0.1)\n'
        'Plain = OptimizerSpec("Plain", arguments=(lr,), equations=(\n'
        "    Eq(w[t], w[t - 1] - lr * grad[t]),\n"
        "))\n"
    )
    options = ("--specs", str(specs), "--out", str(tmp_path / "made"), "--native")
    done = build(*options)
    assert done.returncode == 0, done.stderr
    assert "compiled 2 C++ loops" in done.stdout
    assert sorted(path.name.rpartition("_")[0] for path in fresh.iterdir()) == [
        "plain_float32",
        "plain_float64",
    ]
    again = build(*options)
    assert "up to date" in again.stdout
    assert "compiled already" in again.stdout
    failed = build(*options, CXX="no-such-compiler")
    assert failed.returncode == 1
    assert "no C++ loops were compiled: CXX names 'no-such-compiler'" in failed.stderr
    assert build("--native", "--check").returncode == 2


# Whoever can write where loops are kept could have this process run anything.


def forget() -> None:
    """What another process would not know either."""
    compiler._builds.clear()
    compiler._steps.clear()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loop that was compiled, where a group may write to what is made."""
    before = os.umask(0o002)
    try:
        with pytest.MonkeyPatch.context() as monkeypatch:
            folder = start_afresh(monkeypatch, tmp_path_factory.mktemp("compiled"))
            train(1, "cpp")
    finally:
        os.umask(before)
    (made,) = folder.iterdir()
    return made


@pytest.fixture
def copied(compiled: Path, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A loop in the cache, by a compiler that copies one that was compiled before."""
    copy = f'while [ "$1" != -o ]; do shift; done\ncat "{compiled}" > "$2"'
    monkeypatch.setenv("CXX", str(script(tmp_path, "copying-c++", copy)))
    train(1, "cpp")
    forget()
    (made,) = fresh.iterdir()
    return made


def test_what_is_compiled_is_nobody_elses_to_write(compiled: Path) -> None:
    for path in (compiled, compiled.parent, compiled.parents[1]):
        assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["group", "world", "link"])
def test_a_loop_that_others_can_have_written_is_compiled_again(copied: Path, how: str) -> None:
    if how == "link":
        target = copied.with_name("evil")
        copied.rename(target)
        copied.symlink_to(target)
    else:
        copied.chmod(0o720 if how == "group" else 0o702)
    expected = "no file but a link" if how == "link" else "can be written to by others, by its mode"
    with pytest.warns(RuntimeWarning, match=expected) as seen:
        assert train(3, "cpp") == train(3, "numpy")
    assert len(seen) == 1
    assert not copied.is_symlink()
    assert copied.stat().st_mode & 0o022 == 0
    forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(1, "cpp")


def test_a_folder_that_others_can_write_to_is_not_used(copied: Path) -> None:
    copied.unlink()  # this process still has it in its memory
    copied.write_bytes(b"would crash, or worse")
    copied.parent.chmod(0o770)
    with pytest.warns(RuntimeWarning, match=r"can be written to by others.*XDG_CACHE_HOME") as seen:
        assert train(3, "cpp") == train(3, "numpy")
    forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(1, "cpp")
    assert len(seen) == 1
    assert Path(seen[0].filename).samefile(__file__)
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    assert copied.read_bytes() == b"would crash, or worse"
    with pytest.raises(compiler.Unavailable, match="can be written to by others"):
        compiler.compile_ahead(SOURCES.parent)


def test_who_owns_a_loop_and_who_can_replace_its_folder_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def about(user: int) -> os.stat_result:
        return os.stat_result((0o100700, 0, 0, 1, user, 0, 0, 0, 0, 0))

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cache._mistrusted(tmp_path, about(1000)) is None
    assert cache._mistrusted(tmp_path, about(0)) is None
    assert "belongs to somebody else, user 1001" in str(cache._mistrusted(tmp_path, about(1001)))
    monkeypatch.undo()
    folder = tmp_path / "open" / "native"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o1777)  # as /tmp, where nobody can replace what is another's
    assert cache.mistrusted_folder(folder) is None
    folder.parent.chmod(0o777)
    assert "which everybody can write to" in str(cache.mistrusted_folder(folder))
    assert cache.mistrusted_folder(tmp_path / "not" / "there") is None
