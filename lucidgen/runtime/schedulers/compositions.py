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
from .scheduler import Bare, LRScheduler, checked_optimizer, checked_time, place_of


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
        for scheduler in found:
            scheduler._is_part = True

    def _reset(self) -> None:
        """Give every group the values that it started with."""
        for hyper in sorted(self._hypers()):
            place = place_of(self.optimizer, hyper, self._label)
            for group in self._groups():
                if f"initial_{hyper}" in group:
                    place.write(group, group[f"initial_{hyper}"])
        for scheduler in self._all():
            scheduler._reset_momentum()

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

    # -- groups that come later -------------------------------------------------------------------

    def _take_in(self) -> None:
        known, groups = len(self._last_lr), self.optimizer.param_groups
        bare = Bare(self.optimizer, groups[known:])
        fresh = self._fresh(bare, known)
        fresh._start_anew()
        fresh._walk(self._time)
        for group, driven in zip(groups[known:], bare.param_groups, strict=True):
            for key, value in driven.items():
                if key not in group or group[key] != value:
                    group[key] = value
        for own, other in zip(self._all(), fresh._all(), strict=True):
            own._absorb(other, len(groups))

    def _join(self, starts: list[float], present: list[float]) -> None:
        self._last_lr = [*self._last_lr, *present]

    def _absorb(self, fresh: LRScheduler, groups: int) -> None:
        missing = groups - len(self._last_lr)
        if missing > 0:
            self._join([], fresh._last_lr[-missing:])

    def _fresh(self, bare: Bare, first: int) -> _Composition:
        made = super()._fresh(bare, first)
        assert isinstance(made, _Composition)
        made._schedulers = [scheduler._fresh(bare, first) for scheduler in self._schedulers]
        return made

    def _start_anew(self) -> None:
        for scheduler in self._schedulers:
            scheduler._start_anew()
        del self._last_lr
        self._begin()

    # -- saving -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As for any scheduler; the parts' states are under ``_schedulers`` as in torch.

        The same list is under ``schedulers``, where Lucid 3 has it.
        """
        found = self._state()
        return {**found, "schedulers": found["_schedulers"]}

    def _saved(self) -> dict[str, Any]:
        parts = [
            scheduler._state() if isinstance(scheduler, _Composition) else scheduler.state_dict()
            for scheduler in self._schedulers
        ]
        return {**super()._saved(), "_schedulers": parts}

    def _checked_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        state = _with_parts_of_torch(state, self._label)
        if isinstance(state, Mapping) and "_last_lr" not in state:
            state = self._as_of_torch(state)
        found = super()._checked_state(state)
        saved = found["_schedulers"]
        if len(saved) != len(self._schedulers):
            raise ValueError(
                f"{self._label}: the state has {len(saved)} child states, "
                f"here there are {len(self._schedulers)} schedulers"
            )
        pairs = zip(self._schedulers, saved, strict=True)
        found["_schedulers"] = [own._checked_state(part) for own, part in pairs]
        return found

    def _as_of_torch(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state of Lucid 3, which has the parts' states and the turns only, in torch's layout."""
        raise NotImplementedError

    def _restore(self, found: Mapping[str, Any]) -> None:
        for own, state in zip(self._schedulers, found["_schedulers"], strict=True):
            own._restore(state)
        super()._restore({k: v for k, v in found.items() if k != "_schedulers"})


def _with_parts_of_torch(state: Any, label: str) -> Any:
    """A state whose parts are under torch's name, wherever they were; two lists must be one."""
    if not isinstance(state, Mapping) or "schedulers" not in state:
        return state
    rest = {key: value for key, value in state.items() if key != "schedulers"}
    parts = state["schedulers"]
    torchs: Any = rest.setdefault("_schedulers", parts)
    if parts != torchs:
        raise ValueError(
            f"{label}: the state has {len(parts)} child states under 'schedulers', and "
            f"{len(torchs)} under '_schedulers', which differ; leave one out"
        )
    return rest


def _last_values(part: Any) -> Any:
    """The last values in the saved state of a part, which may be a composition of Lucid 3."""
    while isinstance(part, Mapping) and "_last_lr" not in part and part.get("schedulers"):
        parts = part["schedulers"]
        part = parts[min(part.get("_idx", len(parts)), len(parts) - 1)]
    return part.get("_last_lr", []) if isinstance(part, Mapping) else []


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
        self._begin()

    def _begin(self) -> None:
        self.last_epoch, self._fraction, self._step_count = self._schedulers[0].last_epoch, 0.0, 1
        self._last_lr = self._present()

    def step(self, epoch: float | None = None) -> None:
        """Let every scheduler make a step, or go to step ``epoch``, starting from the beginning."""
        steps = None if epoch is None else as_count(epoch, f"{self._label}: epoch", at_least=0)
        with self._step_of_all_groups():
            if steps is None:
                self._walk(1)
            else:
                self._reset()
                self._rewind()
                self._initial_step()
                self._walk(steps)

    def _walk(self, time: float) -> None:
        for _ in range(int(time)):
            for scheduler in self._schedulers:
                scheduler.step()
            self._done(self._time + 1)

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._done(self._schedulers[0]._time)

    def _as_of_torch(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = state.get("_schedulers")
        if not parts or not isinstance(parts[0], Mapping) or "last_epoch" not in parts[0]:
            return state
        return {
            "last_epoch": parts[0]["last_epoch"],
            **state,
            "_last_lr": _last_values({"schedulers": parts}),
        }


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
        self._begin()
        if last_epoch >= 0:
            self._go_to(last_epoch + 1)

    def _begin(self) -> None:
        self.last_epoch, self._fraction, self._step_count = -1, 0.0, 0
        self._last_lr = self._present()
        with self._undone_on_error():
            self._reset()
            self._rewind()
            self._initial_step()

    def step(self, epoch: float | None = None) -> None:
        """Let the scheduler whose turn it is make a step, or go to step ``epoch``."""
        goal = None if epoch is None else checked_time(epoch, self._label)
        with self._step_of_all_groups():
            if goal is None:
                self._make_step()
            else:
                self._go_to(goal)

    def _turn(self, time: float) -> tuple[int, float]:
        """Whose turn it is, and since when."""
        index = bisect_right(self._milestones, time)
        return index, self._milestones[index - 1] if index else 0

    def _make_step(self) -> None:
        time = self._time + 1
        index, begin = self._turn(time)
        if index and begin == time:
            self._schedulers[index]._restart()
        else:
            self._schedulers[index].step()
        self._done(time)

    def _go_to(self, time: float) -> None:
        index, begin = self._turn(time)
        self._end_turns_before(index)
        self._be_in_turn(index, time - begin)
        self._done(time)

    def _be_in_turn(self, index: int, time: float) -> None:
        """Let a scheduler be at a time of its own; all but the first begin anew for that."""
        scheduler = self._schedulers[index]
        if index:
            scheduler._take_turn(time)
        else:
            scheduler.step(time)

    def _walk(self, time: float) -> None:
        if time:
            self._go_to(time)

    def _end_turns_before(self, index: int) -> None:
        """Leave what the schedulers of earlier turns left: other hyperparameters, and momenta."""
        self._reset()
        begin = 0
        for earlier, end in enumerate(self._milestones[:index]):
            if end > begin:
                self._be_in_turn(earlier, end - begin - 1)
            begin = end

    def _as_of_torch(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = state.get("_schedulers")
        if not parts or not {"_idx", "last_epoch", "milestones"} <= {*state}:
            return state
        turn = as_count(state["_idx"], f"{self._label}: _idx", at_least=0)
        steps = as_count(state["last_epoch"], f"{self._label}: last_epoch", at_least=-1) + 1
        return {
            **{key: state[key] for key in state if key not in ("_idx", "milestones")},
            "last_epoch": steps,  # Lucid 3 begins with -1, torch with 0
            "_milestones": state["milestones"],
            "_last_lr": _last_values({"schedulers": parts, "_idx": turn}),
        }

    def _write_again(self) -> None:
        self._reset()
        for scheduler in self._schedulers[: self._turn(self._time)[0] + 1]:
            scheduler._write_again()
        self._write(self._last_lr)

    def _initial_step(self) -> None:
        self._schedulers[self._turn(0)[0]]._initial_step()
        self._done(0)
