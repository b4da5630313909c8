"""The contest: who takes how many steps, and when.

Owns the order and the budget. In every round each rival takes its turn, in random order; rounds go
on until there are enough of them, or the time that the case may take is spent.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cases import Case
from workers import Failed, Worker

#: Steps of each rival in a case, however long they take.
FEWEST = 2

#: Steps in one turn of a rival that must make its parameters anew for it.
IN_ONE_TURN = 2


@dataclass
class Outcome:
    """What a case has shown: milliseconds and peak bytes by rival, and why others are missing."""

    case: Case
    times: dict[str, list[float]] = field(default_factory=dict)
    extra: dict[str, int | None] = field(default_factory=dict)
    moved: dict[str, list[float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Contest:
    """Runs cases, one after the other.

    Parameters
    ----------
    workers
        The rivals, by name.
    patience
        Seconds that a rival may take to get ready for a case.
    told
        Is called with what happens, for those who watch.
    """

    def __init__(
        self, workers: dict[str, Worker], patience: float, told: Callable[[str], None]
    ) -> None:
        self.workers, self.patience, self.told = workers, patience, told
        self.too_slow: dict[str, int] = {}  # with how many tensors a rival was not ready in time

    def run(self, case: Case, seconds: float, most: int) -> Outcome:
        """A case, in about so many seconds."""
        end = time.monotonic() + seconds
        outcome = Outcome(case)
        # Parameters and states of all rivals at once must leave half of the memory to others.
        stay = len(self.workers) * case.arrays * 4 * case.size < memory() / 2
        present = self.prepare(outcome) if stay else list(self.workers)
        fewest = FEWEST if stay else FEWEST // IN_ONE_TURN
        rounds, spent = 0, 0.0
        while rounds < fewest or (rounds < most and time.monotonic() + spent < end):
            start = time.monotonic()
            self.told(f"round {rounds + 1}")
            for name in random.Random(rounds).sample(present, len(present)):
                if not stay and time.monotonic() > end and name not in outcome.times:
                    outcome.left_out.setdefault(name, "no time was left")
                if name not in outcome.left_out:
                    self.attempt(self.turn if stay else self.long_turn, name, outcome)
            rounds, spent = rounds + 1, time.monotonic() - start
        for name in list(outcome.times) if stay else ():
            self.attempt(self.last_turn, name, outcome)
        return outcome

    def prepare(self, outcome: Outcome) -> list[str]:
        """Let everybody get ready, several at a time; who is?"""
        self.told("getting ready")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda name: self.attempt(self.make_ready, name, outcome), self.workers))
        return [name for name in self.workers if name not in outcome.left_out]

    def attempt(self, what: Callable[[str, Outcome], None], name: str, outcome: Outcome) -> None:
        """Do something with a rival; if it fails, the rival is left out of the case."""
        try:
            what(name, outcome)
        except Failed as reason:
            outcome.left_out[name] = str(reason)
            outcome.times.pop(name, None)

    def make_ready(self, name: str, outcome: Outcome) -> None:
        worker, case = self.workers[name], outcome.case
        tensors = len(case.shapes)
        if tensors >= self.too_slow.get(name, tensors + 1):
            raise Failed(f"was not ready in time with {self.too_slow[name]} tensors")
        try:
            answer = worker.ask("prepare", self.patience, case=case.as_json())
        except Failed:
            if not worker.is_alive:
                self.too_slow[name] = tensors
            raise
        outcome.moved[name] = answer["moved"]
        outcome.times.setdefault(name, [])

    def turn(self, name: str, outcome: Outcome) -> None:
        """One step."""
        outcome.times[name].append(self.workers[name].ask("step")["ms"])

    def last_turn(self, name: str, outcome: Outcome) -> None:
        """Peak memory, and an end."""
        outcome.extra[name] = self.workers[name].ask("memory")["extra"]
        self.workers[name].ask("release")

    def long_turn(self, name: str, outcome: Outcome) -> None:
        """Some steps of a rival that has no parameters before its turn, and none after it."""
        worker = self.workers[name]
        if worker.rival.is_slow_to_start:
            raise Failed("would compile again in every turn")
        self.make_ready(name, outcome)
        outcome.times[name] += [worker.ask("step")["ms"] for _ in range(IN_ONE_TURN)]
        if name not in outcome.extra:
            outcome.extra[name] = worker.ask("memory")["extra"]
        worker.ask("release")


def run_all(
    contest: Contest, cases: Iterable[Case], seconds: float, most: int, done: Callable[[], None]
) -> list[Outcome]:
    """All cases; each may use its part of the time that is left."""
    end = time.monotonic() + seconds
    waiting, outcomes = list(cases), []
    while waiting:
        share = (end - time.monotonic()) / sum(map(weight, waiting))
        case = waiting.pop(0)
        outcomes.append(contest.run(case, share * weight(case), most))
        done()
    return outcomes


def weight(case: Case) -> float:
    """How much more time than others a case may use."""
    return 1 + case.size / 4e7


def memory() -> int:
    """The bytes of memory that the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
