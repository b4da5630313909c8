"""Spec files are read in processes of their own: what a file does to its process is an answer."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from building import DERIVED, PLAIN, ROOT, contents, run
from typer.testing import CliRunner

from lucidgen.commands.app import app
from lucidgen.errors import WrongUsage
from lucidgen.package import build, workers
from lucidgen.package.tasks import Answer, Finding, Rendered, Task

EXITS = "import os\nos._exit(0)\n"
KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
LOOPS = "x = 1\nwhile True:\n    x = 1\n"

#: What is said of them.
SAID = {
    EXITS: ":1: the file ends the Python that reads it (exit code 0)",
    KILLED: ":1: the Python that reads the file was killed (SIGKILL)",
    LOOPS: ": reading the file takes longer than 1 seconds, and has come to this line",
}


@pytest.fixture
def processes(monkeypatch):
    """Spec files are read in a process, where other tests read them in their own."""
    monkeypatch.setenv(workers.JOBS, "1")
    return monkeypatch


def test_a_file_that_ends_its_process_is_named_and_nothing_is_written(place, processes):
    assert run()[0] == 0
    before = contents()
    (place / "specs/plain.py").write_text(PLAIN.replace("1e-2", "2e-2"))
    (place / "specs/exits.py").write_text(EXITS)
    (place / "specs/killed.py").write_text(KILLED)
    (place / "specs/system_exit.py").write_text("\nraise SystemExit(0)\n")
    (place / "specs/inexact.py").write_text(PLAIN.replace("m[t - 1] / 2", "0.5 * m[t - 1]"))
    code, output = run()
    assert code == 1
    assert f"specs/exits.py{SAID[EXITS]}" in output
    assert (
        "specs/inexact.py:10: the float 0.5 in an equation is not exact\n    in  m[t] = " in output
    )
    assert f"specs/killed.py{SAID[KILLED]}" in output
    assert "specs/system_exit.py:2: SystemExit: 0" in output
    assert output.rstrip().endswith("error: 4 problems in 4 spec files"), "plain.py is well"
    assert contents() == before


def test_a_file_without_end_is_named_with_the_line_it_has_come_to(place, processes):
    processes.setenv(workers.LIMIT, "1")
    (place / "specs/plain.py").unlink()
    (place / "specs/loops.py").write_text(LOOPS)
    code, output = run()
    assert code == 1
    assert (
        f"{SAID[LOOPS]}\n    Look for a loop without end, or an expression that grows in a loop; "
        in output
    )
    assert output.startswith(("specs/loops.py:2", "specs/loops.py:3"))
    assert not Path("my_optim").exists()


def test_what_cannot_even_say_where_it_is_is_ended_all_the_same(place, processes):
    processes.setenv(workers.LIMIT, "0.5")
    processes.setattr(workers, "GRACE", 0.1)
    stopped = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    (place / "specs/plain.py").write_text(stopped)
    code, output = run()
    assert code == 1
    assert "specs/plain.py:1: reading and compiling the file takes longer than 0.5 sec" in output


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("show", "Plain"), LOOPS),
        (("verify", "Plain", "--target", "numpy"), EXITS),
    ],
    ids=["show", "verify"],
)
def test_commands_that_read_specs_outlive_them(place, processes, command, text):
    processes.setenv(workers.LIMIT, "1")
    (place / "specs/plain.py").write_text(text)
    result = CliRunner().invoke(app, [*command, "--specs", "specs"])
    assert result.exit_code == 1
    assert SAID[text] in result.output
    assert result.output.rstrip().endswith("error: 1 problem in 1 spec file")


def test_a_package_is_the_same_whoever_reads_the_specs(place, processes):
    (place / "specs/derived.py").write_text(
        "import os, sys\nos.write(1, b'{}\\n')\nprint('x', flush=True)\n"
        + ("from plain import Plain as Other\n" + DERIVED)
    )
    outcomes = []
    for number in (0, 2):
        processes.setenv(workers.JOBS, str(number))
        job = build.Job(place / "specs", place / "my_optim", replace=True)
        for path in contents():
            Path(path).unlink()
        outcomes.append((build.build(job), {p: data for p, (data, _) in contents().items()}))
    assert outcomes[0][0].classes == ("Derived", "Plain")
    assert outcomes[0] == outcomes[1]


def test_what_a_file_forks_or_reads_is_its_own_business(place, processes):
    (place / "specs/plain.py").write_text(
        "import os, sys\nassert sys.stdin.read() == ''\nos.fork()\n" + PLAIN
    )
    (place / "specs/second.py").write_text(PLAIN.replace('"Plain"', '"Second"'))
    with workers.Workers() as some:
        found = some.answers([Task(place / f"specs/{name}.py") for name in ("plain", "second")])
    assert [answer.classes[0][0] for answer in found.values()] == ["Plain", "Second"]


def test_a_file_is_not_blamed_for_what_an_earlier_one_began(place, processes):
    begun = "import os, threading\nthreading.Timer(0.05, os._exit, [3]).start()\n"
    (place / "specs/a_timer.py").write_text(
        f"# {'as long as to be read first ' * 30}\n"
        + PLAIN.replace('"Plain"', '"Timed"').replace("from lucidgen", begun + "from lucidgen", 1)
    )
    (place / "specs/plain.py").write_text("import time\ntime.sleep(0.5)\n" + PLAIN)
    with workers.Workers() as some:
        tasks = [Task(place / "specs/a_timer.py"), Task(place / "specs/plain.py")]
        found = some.answers(tasks)
    assert found[place / "specs/plain.py"] == Answer(classes=(("Plain", 9),))


def test_built_in_specs_are_as_they_are_written_whatever_another_file_did_to_them(place, processes):
    names = ("a", "b")
    for name in names:
        (place / f"specs/{name}.py").write_text(
            DERIVED.replace("Derived", name.upper())
            + "Adam.dialect('mine', add=())\nassert not Adam.problems\n"
            + "assert len(Adam.dialects['mine'].problems) == 0\n"
        )
    with workers.Workers() as some:
        found = some.answers([Task(place / f"specs/{name}.py") for name in names])
    assert [answer.findings for answer in found.values()] == [(), ()]


def test_without_processes_all_is_read_in_this_one(place, processes):
    processes.setattr(sys, "executable", str(place / "nothing"))
    assert run()[0] == 0
    assert Path("my_optim/plain.py").exists()


def test_a_process_that_does_not_get_ready_is_done_without(place, processes, capfd):
    (place / "python").write_text("#!/bin/sh\necho not ready\n")
    (place / "python").chmod(0o755)
    processes.setattr(sys, "executable", str(place / "python"))
    assert run()[0] == 0
    assert Path("my_optim/plain.py").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [(workers.JOBS, "many"), (workers.JOBS, "-1"), (workers.LIMIT, "0"), (workers.LIMIT, "nan")],
)
def test_a_wrong_limit_is_refused_by_its_name(place, processes, name, value):
    processes.setenv(name, value)
    code, output = run()
    assert code == 2
    assert f"{name}={value} in the environment: give the " in output


def test_tasks_and_answers_pass_as_lines_of_text():
    task = Task(Path("/a/\udcff.py"), "lucidgen.runtime", ("numpy",))
    assert Task.from_line(task.to_line()) == task
    module = Rendered("a", ("A",), ("B",), {"a.py": "x\n"}, ("_numpy/__init__.py",))
    for answer in (
        Answer(classes=(("A", 3),), module=module),
        Answer((Finding("a.py", 1, "what", "remedy", "x = 1"),), is_fatal=True),
    ):
        assert Answer.from_line(answer.to_line()) == answer
        assert "\n" not in answer.to_line()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_a_command_that_was_interrupted_or_killed(place, ending):
    (place / "specs/plain.py").write_text(f"open('started', 'w').close()\n{LOOPS}")
    process = subprocess.Popen(
        [sys.executable, "-m", "lucidgen", "build", "--specs", "specs", "--out", "my_optim"],
        env=os.environ | {"PYTHONPATH": str(ROOT), workers.JOBS: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(600):
        if Path("started").exists():
            break
        time.sleep(0.1)
    process.send_signal(ending)
    # Whoever lives on holds the pipe, and there is more to be read.
    output, _ = process.communicate(timeout=30)
    assert output == (b"error: interrupted\n" if ending == signal.SIGINT else b"")
    assert not Path("my_optim").exists()


def test_limits_are_read_where_they_are_used(monkeypatch):
    monkeypatch.delenv(workers.JOBS, raising=False)
    monkeypatch.delenv(workers.LIMIT, raising=False)
    assert workers.seconds() == workers.SECONDS
    assert 1 <= workers.jobs() <= workers.MOST
    monkeypatch.setenv(workers.JOBS, "x")
    with pytest.raises(WrongUsage):
        workers.Workers()


def test_processes_are_asked_before_the_command_has_imported_sympy(place):
    code = """
import sys
from lucidgen.commands.app import app
from lucidgen.package import workers

def begin(self):
    print("sympy" in sys.modules)
    sys.exit()

workers.Workers.__init__ = begin
for command in (["show", "A"], ["list"], ["diff", "A", "B"], ["verify", "A"]):
    try:
        app([*command, "--specs", "specs"])
    except SystemExit:
        pass
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout == b"False\n" * 4
