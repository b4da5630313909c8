"""The processes in which authors' spec files are run, and what is said of a file that ends its own.

Owns starting and ending these processes, sharing files among them, and the limits on number and
time: `LUCIDGEN_JOBS` processes, by default as many as there are cores and use for them, and
`LUCIDGEN_SPEC_LIMIT` seconds for each file. A file that calls `os._exit`, crashes or does not end
takes its process with it, and nothing else. What becomes of a file is `spec_files`' business;
neither it nor SymPy is imported in the process that asks.

A process is a Python of its own, not a fork, which is unsafe beside threads, and not
`multiprocessing`'s, which runs the main program again. It gets tasks on its standard input and
writes answers to its standard output, a line each; the end of its input tells it to give up.
With `LUCIDGEN_JOBS=0`, or where no process can be started, all is done in this one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO

from ..errors import WrongUsage
from .tasks import Answer, Finding, Task

#: How many processes there are at most; 0 for none but this one.
JOBS = "LUCIDGEN_JOBS"

#: How many seconds reading and compiling one file may take.
LIMIT = "LUCIDGEN_SPEC_LIMIT"
SECONDS = 60.0

#: More processes than this wait for the longest file alone.
MOST = 8

#: So many files make another process worth its start, which takes as long as compiling two files
#: or reading eight.
COMPILED, READ = 2, 8

#: Seconds for a process to say where it is, when its time is over, and to start.
GRACE, START = 2.0, 120.0

READY = b"ready\n"


def jobs() -> int:
    """How many processes there may be.

    Raises
    ------
    WrongUsage
        If the environment says something else than a number.
    """
    text = os.environ.get(JOBS, "").strip()
    if not text:
        affinity = getattr(os, "sched_getaffinity", None)
        return min(MOST, len(affinity(0)) if affinity else os.cpu_count() or 1)
    if not text.isdecimal():
        raise WrongUsage(
            f"{JOBS}={text} in the environment: give the number of processes that read spec files, "
            "or 0 to read them in the command's own"
        )
    return int(text)


def seconds() -> float:
    """How long reading and compiling one file may take.

    Raises
    ------
    WrongUsage
        If the environment says something else than a number above 0.
    """
    text = os.environ.get(LIMIT, "").strip()
    with suppress(ValueError):
        limit = float(text or SECONDS)
        if 0 < limit <= threading.TIMEOUT_MAX:
            return limit
    raise WrongUsage(
        f"{LIMIT}={text} in the environment: give the seconds that a spec file may take, as in "
        f"{LIMIT}=600"
    )


class Workers:
    """Processes that answer tasks. They start when they are needed, and end with the `with`."""

    def __init__(self) -> None:
        self._limit, self._jobs = seconds(), jobs()
        self._lock = threading.Lock()
        self._started: list[_Worker] = []
        self._idle: deque[_Worker] = deque()
        self._coming: deque[_Worker] = deque()
        self._ended = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._kill()
        for worker in self._started:
            worker.end()

    def start_ahead(self) -> None:
        """Let a process start now that will be asked soon."""
        if self._jobs and sys.executable:
            with suppress(_Unstarted):
                self._coming.append(self._begun())

    def answers(self, tasks: Sequence[Task]) -> dict[Path, Answer]:
        """What becomes of each spec file, by path, in the order of the tasks."""
        found = self._asked(tasks)
        left = [task for task in tasks if task.path not in found]
        if left:
            from .spec_files import answer

            found |= {task.path: answer(task) for task in left}
        return {task.path: found[task.path] for task in tasks}

    def fatal(self, tasks: Sequence[Task]) -> dict[Path, Answer]:
        """The spec files that end or outlive a process which reads them, and what to say of them.

        Whoever needs what the other files define can read them in its own process.
        """
        found = self._asked(tasks)
        return {path: answer for path, answer in found.items() if answer.is_fatal}

    def _asked(self, tasks: Sequence[Task]) -> dict[Path, Answer]:
        """The answers of processes; none for tasks for which no process could be started."""
        worth = sum(1 / (COMPILED if task.runtime else READ) for task in tasks)
        number = min(self._jobs, max(1, round(worth)))
        found: dict[Path, Answer] = {}
        if not tasks or not number or not sys.executable:
            return found
        # The largest files come first: none of them is begun when everyone else is done.
        waiting = deque(sorted(tasks, key=lambda task: _size(task.path)))
        with ThreadPoolExecutor(number) as threads:
            try:
                for done in [threads.submit(self._drain, waiting, found) for _ in range(number)]:
                    done.result()
            except BaseException:
                self._kill()
                raise
        return found

    def _drain(self, waiting: deque[Task], found: dict[Path, Answer]) -> None:
        """Let processes answer tasks, one at a time, until none is waiting."""
        while True:
            try:
                task = waiting.pop()
            except IndexError:
                return
            try:
                found[task.path] = self._answer(task)
            except _Unstarted:
                waiting.append(task)
                return

    def _answer(self, task: Task) -> Answer:
        while True:
            worker = self._idle.pop() if self._idle else self._start()
            used = worker.used
            answer = worker.answer(task, self._limit)
            if answer is not None:
                if not worker.is_late:
                    self._idle.append(worker)
                return answer
            if not used:
                return _fatal(task.path, *worker.how_it_ended())
            # It may have ended of what an earlier file has begun: a fresh process tells.

    def _start(self) -> _Worker:
        try:
            worker = self._coming.pop()
        except IndexError:
            worker = self._begun()
        worker.wait_until_ready()
        return worker

    def _begun(self) -> _Worker:
        with self._lock:
            if self._ended:
                raise _Unstarted
            worker = _Worker()
            self._started.append(worker)
        return worker

    def _kill(self) -> None:
        with self._lock:
            self._ended = True
            for worker in self._started:
                worker.kill()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Unstarted(Exception):
    """No process can be started, or none may be any more."""


class _Worker:
    """One process. It is asked from one thread at a time."""

    def __init__(self) -> None:
        path = [folder for folder in sys.path if isinstance(folder, str)]
        code = f"import sys; sys.path[:] = {path!a}; from {__name__} import serve; serve()"
        flags = [f"-W{option}" for option in sys.warnoptions]
        flags += ["-B"] if sys.dont_write_bytecode else []
        try:
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C is the asking process's to answer; and what a file starts ends with it.
                process_group=0 if hasattr(os, "killpg") else None,
            )
        except OSError:
            raise _Unstarted from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._tasks: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self.used = False
        self.is_late = False

    def wait_until_ready(self) -> None:
        """Let it import the compiler."""
        timer = threading.Timer(START, self.kill)
        timer.start()
        ready = self._answers.readline()
        timer.cancel()
        if ready != READY:
            self.kill()
            raise _Unstarted

    def answer(self, task: Task, limit: float) -> Answer | None:
        """What it says of a file; None if it ended instead."""
        self.used = True
        timer = threading.Timer(limit, self._give_up)
        timer.start()
        with suppress(OSError):
            self._tasks.write(task.to_line().encode() + b"\n")
            self._tasks.flush()
        line = self._answers.readline()
        timer.cancel()
        if line.endswith(b"\n"):
            return Answer.from_line(line)
        return _late(task.path, None, limit) if self.is_late else None

    def _give_up(self) -> None:
        """Let it say where it is, and end it."""
        self.is_late = True
        with suppress(OSError):
            self._tasks.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self.kill()

    def how_it_ended(self) -> tuple[str, str]:
        """What a file did to the process, and the remedy."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        code = self._process.poll()
        if code is None or code >= 0:
            return (
                f"the file ends the Python that reads it (exit code {code})",
                "Remove what ends it, such as os._exit(): the file only has to define optimizers "
                "and schedules.",
            )
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if name == "SIGKILL":
            return (
                f"the Python that reads the file was killed ({name})",
                "A system does so when memory runs out: look for what grows without end, and name "
                "intermediate results.",
            )
        return (
            f"the Python that reads the file crashed ({name})",
            "Look for what crashes in the libraries that the file imports, or for expressions "
            "that are nested too deeply.",
        )

    def kill(self) -> None:
        """End it, and what the file has started in it."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def end(self) -> None:
        """Let nothing of a process that was killed stay."""
        self._process.wait()
        for pipe in (self._tasks, self._answers):
            with suppress(OSError):
                pipe.close()


def _fatal(path: Path, what: str, remedy: str, line: int = 1) -> Answer:
    return Answer((Finding(str(path.resolve()), line, what, remedy),), is_fatal=True)


def _late(path: Path, line: int | None, limit: float) -> Answer:
    """What to say of a file that takes too long: at this line of it, or when it was read."""
    more = f"{LIMIT}={10 * limit:g} in the environment allows {10 * limit:g} seconds."
    if line is None:
        what = f"reading and compiling the file takes longer than {limit:g} seconds"
        remedy = f"Give intermediate results series of their own; {more}"
    else:
        what = f"reading the file takes longer than {limit:g} seconds, and has come to this line"
        remedy = f"Look for a loop without end, or an expression that grows in a loop; {more}"
    return _fatal(path, what, remedy, line or 1)


# In a process


#: Whatever a file does to it.
_exit = os._exit


def serve() -> None:
    """Answer the tasks on standard input until it ends."""
    # Files may read and print what they like without getting into the way.
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    from .spec_files import answer

    answers.write(READY)
    answers.flush()
    me, limit = os.getpid(), seconds()
    thread, lock = threading.get_ident(), threading.Lock()
    inbox: SimpleQueue[Task] = SimpleQueue()
    busy: list[Task] = []

    def listen() -> None:
        """Take tasks in; when there are no more, nobody waits for an answer for long."""
        try:
            for line in tasks:
                inbox.put(Task.from_line(line))
            with lock:
                for task in busy:
                    say(_late(task.path, _line(task.path, thread), limit))
        finally:
            _exit(0)

    def say(answer: Answer) -> None:
        answers.write(answer.to_line().encode() + b"\n")
        answers.flush()

    threading.Thread(target=listen, daemon=True).start()
    while True:
        task = inbox.get()
        busy.append(task)
        try:
            found = answer(task)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            found = Answer((Finding(str(task.path), 1, text, "Correct the file."),))
        if os.getpid() != me:
            _exit(0)  # a child that the file has left behind
        with lock:
            say(found)
            busy.clear()
        _forget_built_in()


def _line(path: Path, thread: int) -> int | None:
    """The line of a file that a thread is at, if it runs the file."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename == str(path.resolve()):
            return frame.f_lineno
        frame = frame.f_back
    return None


def _forget_built_in() -> None:
    """Let each file find the built-in specs as they are written, whatever others did to them."""
    for name in [name for name in sys.modules if name.startswith("lucidgen.specs.")]:
        del sys.modules[name]
