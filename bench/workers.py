"""The processes of the rivals, as the one that runs them sees them.

Owns their lives. A worker whose turn it is not is stopped by a signal, so that threads that spin
while they wait take nothing from the others, and no library needs to be told how it should wait.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

from rivals import RIVALS, Rival

SCRIPT = Path(__file__).with_name("worker.py")


class Failed(RuntimeError):
    """A rival cannot do what it was asked for, and why."""


class Worker:
    """A rival's process; it is stopped whenever nothing is asked of it."""

    def __init__(self, rival: Rival, python: str, version: str, log: BinaryIO) -> None:
        self.rival, self.python, self.version, self.log = rival, python, version, log
        self.process: subprocess.Popen[str] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether there is a process."""
        return self.process is not None

    def start(self) -> subprocess.Popen[str]:
        """The process; one that has ended is followed by another.

        It leads a group of its own, which the kernel continues should this process be killed.
        """
        if self.process is None:
            self.process = subprocess.Popen(
                [self.python, str(SCRIPT), self.rival.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                text=True,
                process_group=0,
            )
        return self.process

    def ask(self, do: str, patience: float | None = None, **given: Any) -> dict[str, Any]:
        """The answer to an order, unless it takes more than so many seconds.

        Raises
        ------
        Failed
            If there is no answer, or it is an error.
        """
        process = self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.send_signal(signal.SIGCONT)
        try:
            process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], patience)[0]:
                raise self.given_up(f"not ready after {patience:.0f} s")
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self.given_up("its process has ended")
        process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def given_up(self, reason: str) -> Failed:
        """The error to raise; the process is gone."""
        self.end()
        return Failed(reason)

    def end(self) -> None:
        """End the process and those that it has started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def installed(pythons: list[str]) -> dict[str, tuple[str, str]]:
    """For each rival that can take part the first Python that has it, and its library's version.

    Raises
    ------
    Failed
        If one of the Pythons does not run.
    """
    found: dict[str, tuple[str, str]] = {}
    for python in pythons:
        try:
            command = [python, str(SCRIPT)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise Failed(f"{python} cannot be used: {said.strip().splitlines()[-1]}") from None
        for name, version in json.loads(done.stdout).items():
            found.setdefault(name, (python, version))
    return found


def workers(pythons: list[str], log: BinaryIO) -> dict[str, Worker]:
    """A worker for each rival that some of the Pythons have, in the order of the list; this Python
    comes first."""
    found = installed([sys.executable, *pythons])
    return {r.name: Worker(r, *found[r.name], log) for r in RIVALS if r.name in found}
