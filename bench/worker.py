"""One rival in a process of its own, under the Python that has its library.

Owns what is timed. It reads orders from its input and answers each with one line, both in JSON:
"prepare" a case, take a timed "step", measure the "memory" of one, "release" everything. Every step
has gradients that are new arrays, and finds the caches full of something else.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from memory import extra, give_back
from rivals import RIVALS, Rival, Steps, rival

#: The last-level cache of the largest processors in use is smaller than half of this.
SWEPT = 64 * 2**20

#: Steps that compile, allocate and settle, and how many of the weights are then looked at.
WARM_UP, SAMPLES = 2, 16


class Worker:
    """A rival and, once prepared, its steps on a case."""

    def __init__(self, rival: Rival) -> None:
        self.rival = rival
        self.sweep = np.zeros(SWEPT // 4, np.float32)
        self.case: Case
        self.steps: Steps | None = None
        self.source: Any = None

    def arrays(self, shift: int) -> Any:
        """Arrays of the case's shapes, from random numbers that are the same for every rival."""
        for shape in self.case.shapes:
            yield self.source[shift : shift + prod(shape)].reshape(shape)

    def prepare(self, case: dict[str, Any]) -> dict[str, Any]:
        self.release()
        self.case = Case.from_json(case)
        most = max(map(prod, self.case.shapes)) + 1
        self.source = np.random.default_rng(0).standard_normal(most, np.float32)
        self.steps = self.rival.steps(self.case, list(self.arrays(0)))
        for _ in range(WARM_UP):
            self.step()
        return {"moved": self.moved()}

    def moved(self) -> list[float]:
        """How far some weights have come, by which rivals that compute something else are found.

        They are the first ones of the first tensor that have a large gradient.
        """
        assert self.steps is not None
        before, grad = (next(self.arrays(shift)).ravel() for shift in (0, 1))
        now = [array.ravel() for array in self.steps.weights()[:1]]
        large = np.flatnonzero(np.abs(grad[: 50 * SAMPLES]) > 0.5)[:SAMPLES]
        return [float(array[i]) - float(before[i]) for array in now for i in large]

    def step(self) -> dict[str, Any]:
        assert self.steps is not None
        self.steps.give(self.arrays(1))
        self.sweep += 1
        start = time.perf_counter()
        self.steps.step()
        spent = time.perf_counter() - start
        self.steps.drop()
        return {"ms": 1e3 * spent}

    def memory(self) -> dict[str, Any]:
        assert self.steps is not None
        self.steps.give(self.arrays(1))
        found = extra(self.steps.step)
        self.steps.drop()
        return {"extra": found}

    def release(self) -> dict[str, Any]:
        self.steps = self.source = None
        give_back()
        return {}


def serve(worker: Worker, answers: Any) -> None:
    """Obey until the input ends. What goes wrong is an answer, too."""
    orders = {name: getattr(worker, name) for name in ("prepare", "step", "memory", "release")}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = orders[order.pop("do")](**order)
        except Exception as error:  # whatever a library raises
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serve the rival of the given name; without a name, tell who is installed."""
    if len(sys.argv) < 2:
        print(json.dumps({r.name: r.version() for r in RIVALS if r.is_installed()}))
        return
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    gc.disable()
    serve(Worker(rival(sys.argv[1])), answers)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent)
    main()
