"""Schedulers that are made of others: ChainedScheduler and SequentialLR, in torch's reading.

Owns whose turn it is, and that all of them go on together or none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..checking import as_count
from .arguments import Points
from .recursions import ReduceLROnPlateau
from .scheduler import LRScheduler, checked_optimizer, checked_time, place_of


class _Composition(LRScheduler):
    """Base of what drives an optimizer through other schedulers."""

    essential: ClassVar[tuple[str, ...]] = ("_last_lr", "_schedulers")

    def _set_schedulers(self, schedulers: Any, optimizer: Any) -> None:
        if isinstance(schedulers, LRScheduler) or not hasattr(schedulers, "__iter__"):
            raise TypeError(f"{self._label}: expected a list of schedulers, got {schedulers!r}")
        found = list(schedulers)
        if not found:
            raise ValueError(f"{self._label}: no schedulers (an empty list)")
        for index, scheduler in enumerate(found):
            label = f"{self._label}: schedulers[{index}]"
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{label} is no scheduler: {scheduler!r}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{label}: ReduceLROnPlateau needs a metric at every step")
            if scheduler.optimizer is not (optimizer or found[0].optimizer):
                raise ValueError(f"{label} drives another optimizer")
        self.optimizer = checked_optimizer(optimizer or found[0].optimizer, self._label)
        self.verbose = False
        self.hyper = found[0].hyper
        self._schedulers: list[LRScheduler] = found

    def _reset(self) -> None:
        """Give every group the values that it started with."""
        for hyper in sorted(self._hypers()):
            place = place_of(self.optimizer, hyper, self._label)
            for group in self._groups():
                if f"initial_{hyper}" in group:
                    place.write(group, group[f"initial_{hyper}"])

    def _hypers(self) -> set[str]:
        return {hyper for scheduler in self._schedulers for hyper in scheduler._hypers()}

    def _all(self) -> Iterator[LRScheduler]:
        yield self
        for scheduler in self._schedulers:
            yield from scheduler._all()

    def _rewind(self) -> None:
        super()._rewind()
        for scheduler in self._schedulers:
            scheduler._rewind()

    def _write_again(self) -> None:
        for scheduler in self._schedulers:
            scheduler._write_again()
        super()._write_again()

    def _done(self, time: float) -> None:
        """Note that all has been written that belongs to a time."""
        self._set_time(time)
        self._last_lr = self._present()
        self._moved()

    def _saved(self) -> dict[str, Any]:
        found = super()._saved()
        found["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return found

    def _checked_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        found = super()._checked_state(state)
        saved = found["_schedulers"]
        if len(saved) != len(self._schedulers):
            raise ValueError(
                f"{self._label}: the state is that of {len(saved)} schedulers, "
                f"here there are {len(self._schedulers)}"
            )
        pairs = zip(self._schedulers, saved, strict=True)
        found["_schedulers"] = [own._checked_state(state) for own, state in pairs]
        return found

    def _restore(self, found: Mapping[str, Any]) -> None:
        for own, state in zip(self._schedulers, found["_schedulers"], strict=True):
            own._restore(state)
        super()._restore({k: v for k, v in found.items() if k != "_schedulers"})


class ChainedScheduler(_Composition):
    """Schedulers that act one after the other, at every step.

    Each goes on from the value that the one before it has left: factors multiply. A scheduler that
    does not carry on what others changed (LambdaLR, CosineAnnealingWarmRestarts, CyclicLR,
    OneCycleLR, NoamScheduler) overwrites it, as in torch, so put it first. Going to a step makes
    all steps up to it, since each depends on what the one before it left.

    Parameters
    ----------
    schedulers : list of schedulers
        All of one optimizer.
    optimizer : Optimizer, optional
        By default that of the first scheduler.

    Raises
    ------
    TypeError, ValueError
        If one of them is no scheduler, needs a metric, or drives another optimizer.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Any = None) -> None:
        self._set_schedulers(schedulers, optimizer)
        self.last_epoch, self._fraction, self._step_count = self._schedulers[0].last_epoch, 0.0, 1
        self._last_lr = self._present()

    def step(self, epoch: float | None = None) -> None:
        """Let every scheduler make a step, or go to step ``epoch``, starting from the beginning."""
        steps = None if epoch is None else as_count(epoch, f"{self._label}: epoch", at_least=0)
        with self._undone_on_error():
            if steps is not None:
                self._reset()
                self._rewind()
                self._initial_step()
            for _ in range(1 if steps is None else steps):
                for scheduler in self._schedulers:
                    scheduler.step()
                self._done(self._time + 1)

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._done(self._schedulers[0]._time)


class SequentialLR(_Composition):
    """Schedulers that take turns: each begins anew where the next milestone is reached.

    A composition within it is at its first step in the beginning; torch takes one step too many.

    Parameters
    ----------
    optimizer : Optimizer
        The one that all of them drive.
    schedulers : list of schedulers
        In the order of their turns.
    milestones : list of int
        The steps at which the second and all later ones begin, in increasing order.
    last_epoch : int, default -1
        The number of the last step if a run is resumed.

    Raises
    ------
    TypeError, ValueError
        If one of them is no scheduler, needs a metric, or drives another optimizer, or if the
        milestones are out of order or too many or few.
    """

    def __init__(
        self,
        optimizer: Any,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self._set_schedulers(schedulers, optimizer)
        last_epoch = as_count(last_epoch, f"{self._label}: last_epoch", at_least=-1)
        label, count = f"{self._label}: milestones", len(self._schedulers) - 1
        steps = list(milestones) if hasattr(milestones, "__iter__") else [milestones]
        if len(steps) != count:
            raise ValueError(
                f"{label}: {len(steps)} for {count + 1} schedulers; there must be {count}, "
                f"one less than schedulers"
            )
        self._milestones = list(Points("milestones").checked(steps, label, 0)) if steps else []
        self.last_epoch, self._fraction, self._step_count = -1, 0.0, 0
        self._last_lr = self._present()
        self._reset()
        self._rewind()
        self._initial_step()
        if last_epoch >= 0:
            self.step(last_epoch + 1)

    def step(self, epoch: float | None = None) -> None:
        """Let the scheduler whose turn it is make a step, or go to step ``epoch``."""
        time = self._time + 1 if epoch is None else checked_time(epoch, self._label)
        index = bisect_right(self._milestones, time)
        scheduler = self._schedulers[index]
        begin = self._milestones[index - 1] if index else 0
        with self._undone_on_error():
            if epoch is not None:
                self._end_turns_before(index)
                scheduler.step(time - begin)
            elif index and begin == time:
                scheduler._restart()
            else:
                scheduler.step()
            self._done(time)

    def _end_turns_before(self, index: int) -> None:
        """Leave what the schedulers of earlier turns left: other hyperparameters, and momenta."""
        self._reset()
        begin = 0
        for scheduler, end in zip(self._schedulers[:index], self._milestones[:index], strict=True):
            if end > begin:
                scheduler.step(end - begin - 1)
            begin = end

    def _write_again(self) -> None:
        self._reset()
        for scheduler in self._schedulers[: bisect_right(self._milestones, self._time) + 1]:
            scheduler._write_again()
        self._write(self._last_lr)

    def _initial_step(self) -> None:
        scheduler = self._schedulers[bisect_right(self._milestones, 0)]
        scheduler._initial_step()
        self._done(0)
