"""The base class of every scheduler: which values of an optimizer it drives, and its steps.

Owns reading and writing a hyperparameter of parameter groups, the count of steps, and saving and
loading. Works with any optimizer that has ``param_groups``. What the value at a step is, is a
subclass's business: ``closed_form`` has those that are generated from an equation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from ..checking import as_count, as_number, nearest
from ..groups.settings import STRUCTURE
from ..rules.generation import GENERATION, adopt
from ..rules.rule import Rule
from .order import warn_if_first, watch

#: Entries of saved schedulers that hold nothing: torch's, and Lucid 2's count of groups.
EMPTY = ("_get_lr_called_within_step", "_is_initial", "_group_count", "verbose", "class")
#: Attributes that are not saved.
UNSAVED = ("optimizer", "verbose", "_is_part")


@dataclass(frozen=True)
class Place:
    """Where a hyperparameter is in a group: under a key, and where in a tuple if it is in one."""

    key: str
    index: int | None = None

    def read(self, group: Mapping[str, Any]) -> float:
        """The value in a group."""
        value = group[self.key]
        return as_number(value if self.index is None else value[self.index], self.key)

    def write(self, group: Any, value: float) -> None:
        """Set the value in a group."""
        if self.index is None:
            group[self.key] = value
        else:
            before = tuple(group[self.key])
            group[self.key] = (*before[: self.index], value, *before[self.index + 1 :])


#: Where an optimizer without roles has them: the key of its groups, the hyperparameter's name.
_CALLED = {
    "rate": (("lr", "lr"),),
    "momentum": (("betas", "beta1"), ("beta1", "beta1"), ("momentum", "momentum")),
}


def in_role(optimizer: Any, role: str) -> str | None:
    """The hyperparameter that is the rate or the momentum of an optimizer, if it has one.

    Optimizers from here declare it, in their spec; others, torch's say, have it under known names.
    """
    rule = _rule_of(optimizer)
    if rule is not None and role in rule.roles:
        return rule.roles[role]
    group = optimizer.param_groups[0]
    return next((name for key, name in _CALLED[role] if key in group), None)


def _rule_of(optimizer: Any) -> Rule | None:
    """What an optimizer from here computes."""
    found: Rule | None = getattr(optimizer, "rules", {}).get(getattr(optimizer, "dialect", None))
    return found


def place_of(optimizer: Any, hyper: str, label: str) -> Place:
    """Where a hyperparameter is in the groups of an optimizer: ``lr``, ``momentum``, ``beta1``."""
    place = _place_in(optimizer, optimizer.param_groups[0], hyper, label)
    for index, group in enumerate(optimizer.param_groups):
        if place.key not in group:
            raise ValueError(f"{label}: group {index} has no {place.key!r}, which group 0 has")
    return place


def _place_in(optimizer: Any, group: Mapping[str, Any], hyper: str, label: str) -> Place:
    name = type(optimizer).__name__
    elements = dict(_elements(optimizer, group))
    if hyper in group and hyper not in STRUCTURE:
        inside = [element for element, place in elements.items() if place.key == hyper]
        if inside:
            raise ValueError(
                f"{label}: {hyper} of {name} holds {len(inside)} numbers; "
                f"name one of {', '.join(inside)}"
            )
        value = group[hyper]
        if not isinstance(value, bool) and (hasattr(value, "__float__")):
            return Place(hyper)
        raise ValueError(f"{label}: {hyper} of {name} is {value!r}, which is no number")
    if hyper in elements:
        return elements[hyper]
    numbers = [key for key, value in group.items() if type(value) in (int, float)]
    raise ValueError(
        f"{label}: {name} has no hyperparameter {hyper!r}; {nearest(hyper, [*numbers, *elements])}"
    )


def _elements(optimizer: Any, group: Mapping[str, Any]) -> Iterator[tuple[str, Place]]:
    """The names of the elements of tuples: as the optimizer has them, or ``betas`` has beta1."""
    rule = _rule_of(optimizer)
    known = {} if rule is None else {hyper.name: hyper.symbols for hyper in rule.hypers}
    for key, value in group.items():
        if key not in STRUCTURE and isinstance(value, list | tuple):
            numbered = [f"{key.removesuffix('s')}{i + 1}" for i in range(len(value))]
            for index, name in enumerate(known.get(key, numbered)):
                yield name, Place(key, index)


class Bare:
    """Some groups of an optimizer without their parameters, to be driven in its place."""

    def __init__(self, optimizer: Any, groups: Sequence[Any]) -> None:
        self.rules = getattr(optimizer, "rules", {})
        self.dialect = getattr(optimizer, "dialect", None)
        self.param_groups = [
            {key: copy.copy(value) for key, value in group.items() if key != "params"}
            for group in groups
        ]


def checked_optimizer(optimizer: Any, label: str) -> Any:
    """The optimizer, if it is something that a scheduler can drive."""
    groups = getattr(optimizer, "param_groups", None)
    if not groups:
        raise TypeError(
            f"{label}: {type(optimizer).__name__} is no optimizer: it has no param_groups"
        )
    watch(optimizer)
    return optimizer


def checked_time(epoch: Any, label: str) -> float:
    """A number of steps, which may be a fraction."""
    time = as_number(epoch, f"{label}: epoch")
    if time < 0:
        raise ValueError(f"{label}: epoch must be at least 0, got {epoch!r}")
    return int(time) if time.is_integer() else time


class LRScheduler:
    """Base of all schedulers: they write a hyperparameter of each group, by default the rate.

    A group that is added to the optimizer later is taken in at the next step: its own value is its
    base, and it gets what it would have if it had been there from the start. Arguments that were
    given as a list, one for each group, need a value for it first.

    A class of your own defines ``get_lr``, which returns the values at ``last_epoch``, one for each
    group, from ``base_lrs``.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups to write to: any object with ``param_groups``.
    last_epoch : int, default -1
        The number of the last step if a run is resumed; the groups must then hold the value that
        they started with, as ``initial_lr``.
    verbose : bool, default False
        Whether to print the values at every step.
    hyper : str, optional
        Which hyperparameter to drive, by default the learning rate; ``"beta1"`` is the first of
        ``betas``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range, or the optimizer has no such
        hyperparameter.
    """

    generation: ClassVar[int] = GENERATION
    #: Whether it belongs to a composition.
    _is_part: bool = False
    #: What must be in a state that is loaded.
    essential: ClassVar[tuple[str, ...]] = ("last_epoch", "base_lrs", "_last_lr")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adopt(cls, cls.generation)

    def __init__(
        self,
        optimizer: Any,
        last_epoch: int = -1,
        verbose: bool = False,
        *,
        hyper: str | None = None,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer, self._label)
        self.verbose = verbose
        self.hyper = hyper or in_role(optimizer, "rate") or "lr"
        self.last_epoch = as_count(last_epoch, f"{self._label}: last_epoch", at_least=-1)
        self._fraction = 0.0
        self._begin()

    def _begin(self) -> None:
        """Make the first step with all groups that there are, and note with what they started."""
        with self._undone_on_error():
            self.base_lrs = self._noted()
            self._last_lr: list[float] = self._present()
            self._initial_step()
            for group, base in zip(self._groups(), self.base_lrs, strict=True):
                group.setdefault(self._note, base)

    # -- groups -----------------------------------------------------------------------------------

    @property
    def _label(self) -> str:
        return type(self).__name__

    @property
    def _note(self) -> str:
        """Under which key a group says what it started with."""
        return f"initial_{self.hyper}"

    @property
    def _time(self) -> float:
        return self.last_epoch + self._fraction if self._fraction else self.last_epoch

    def _groups(self) -> Sequence[Any]:
        """The groups that are driven: those that there were at the last step."""
        groups: Sequence[Any] = self.optimizer.param_groups
        count = len(self.__dict__.get("_last_lr", groups))
        if len(groups) < count:
            raise ValueError(
                f"{self._label}: made for {count} parameter groups, of which there are "
                f"{len(groups)} now; make it anew"
            )
        return groups[:count]

    def _new_groups(self) -> Sequence[Any]:
        """The groups that came since."""
        found: Sequence[Any] = self.optimizer.param_groups[len(self._groups()) :]
        return found

    def _place(self) -> Place:
        return place_of(self.optimizer, self.hyper, self._label)

    def _present(self) -> list[float]:
        """The values in the groups."""
        place = self._place()
        return [place.read(group) for group in self._groups()]

    def _noted(self) -> list[float]:
        """The values that the groups started with."""
        for index, group in enumerate(self._groups()):
            if self._note not in group and self.last_epoch >= 0:
                raise KeyError(
                    f"{self._label}: group {index} has no {self._note!r}, the value that it "
                    f"started with; resuming with last_epoch={self.last_epoch} needs it"
                )
        return self._starts_of(self._groups())

    def _starts_of(self, groups: Sequence[Any]) -> list[float]:
        """The values that some groups started with: as noted, else those that they have."""
        place = self._place()
        return [
            as_number(group[self._note], self._note) if self._note in group else place.read(group)
            for group in groups
        ]

    def _write(self, values: Sequence[float]) -> None:
        place, groups = self._place(), self._groups()
        if len(values) != len(groups):
            raise ValueError(
                f"{self._label}: get_lr returned {len(values)} values for {len(groups)} groups"
            )
        numbers = [as_number(value, f"{self._label}: {self.hyper}") for value in values]
        for group, value in zip(groups, numbers, strict=True):
            place.write(group, value)
        self._last_lr = numbers

    def _write_again(self) -> None:
        """Write the values of the present step."""
        self._write(self._last_lr)

    # -- steps ------------------------------------------------------------------------------------

    def get_lr(self) -> list[float]:
        """The values at ``last_epoch``, one for each group."""
        raise NotImplementedError(f"{self._label} has no get_lr(): define it")

    def get_last_lr(self) -> list[float]:
        """The values that the last step wrote, one for each group."""
        return list(self._last_lr)

    @property
    def last_lr(self) -> list[float]:
        """The values that the last step wrote, one for each group."""
        return self.get_last_lr()

    def step(self, epoch: float | None = None) -> None:
        """Write the values of the next step, or those of step ``epoch``."""
        time = self._time + 1 if epoch is None else checked_time(epoch, self._label)
        with self._step_of_all_groups():
            self._go(time)

    @contextmanager
    def _step_of_all_groups(self) -> Iterator[None]:
        """A step from outside: with the groups that came since the last one, or not at all."""
        warn_if_first(self)
        with self._undone_on_error():
            if len(self.optimizer.param_groups) != len(self._last_lr):
                self._take_in()
            yield

    def _go(self, time: float) -> None:
        """Be at a time: write its values."""
        self._set_time(time)
        self._write(self.get_lr())
        self._moved()

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Whatever is done within, all of it is done or nothing, to the groups as well."""
        schedulers = list(self._all())
        attributes = [dict(scheduler.__dict__) for scheduler in schedulers]
        groups = [dict(group) for group in self.optimizer.param_groups]
        try:
            yield
        except BaseException:
            for scheduler, own in zip(schedulers, attributes, strict=True):
                scheduler.__dict__.clear()
                scheduler.__dict__.update(own)
            for group, before in zip(self.optimizer.param_groups, groups, strict=True):
                for key in [key for key in group if key not in before]:
                    del group[key]
                for key in before:
                    if group[key] is not before[key]:
                        group[key] = before[key]
            raise

    def _all(self) -> Iterator[LRScheduler]:
        """This scheduler, and those that it drives."""
        yield self

    def _set_time(self, time: float) -> None:
        self.last_epoch = math.floor(time)
        self._fraction = time - self.last_epoch

    def _moved(self) -> None:
        """Count a step, and print it if that is wanted."""
        self._step_count += 1
        if self.verbose:
            print(f"{self._label}: step {self._time}, {self.hyper} = {self._last_lr}")

    def _initial_step(self) -> None:
        """The step that construction makes: to time 0, or to the one after ``last_epoch``."""
        self._step_count = 0
        self._go(self._time + 1)

    def _rewind(self) -> None:
        """Be as before the first step."""
        self.last_epoch, self._fraction = -1, 0.0

    def _restart(self) -> None:
        """Start anew from the groups' first values, in the middle of a run."""
        self.step(0)

    def _take_turn(self, time: float) -> None:
        """Restart and go on to a time, which is counted from there."""
        self.step(time)

    def _reset_momentum(self) -> None:
        """Write the momentum of step 0, if it is driven."""

    def _hypers(self) -> set[str]:
        """The hyperparameters that are driven."""
        return {self.hyper}

    # -- groups that come later -------------------------------------------------------------------

    def _take_in(self) -> None:
        """Take in the groups that came since the last step, as they are."""
        groups = self._new_groups()
        place, starts = self._place(), self._starts_of(groups)
        present = [place.read(group) for group in groups]
        for group, start in zip(groups, starts, strict=True):
            group.setdefault(self._note, start)
        self._join(starts, present)

    def _join(self, starts: list[float], present: list[float]) -> None:
        """Note that there are more groups: what they started with, and what they have."""
        self.base_lrs = [*self.base_lrs, *starts]
        self._last_lr = [*self._last_lr, *present]

    def _fresh(self, bare: Bare, first: int) -> LRScheduler:
        """A copy that drives these groups, which are the optimizer's from the first one on."""
        made = copy.copy(self)
        made.optimizer, made.verbose = bare, False
        return made

    def _start_anew(self) -> None:
        """Be as if just made."""
        del self._last_lr
        self._rewind()
        self._begin()

    def _walk(self, time: float) -> None:
        """Go from the first step to a time as steps without changes in between do."""
        for _ in range(math.floor(time)):
            self.step()

    def _absorb(self, fresh: LRScheduler, groups: int) -> None:
        """Take over of a fresh copy what this scheduler lacks of so many groups."""
        missing = groups - len(self._last_lr)
        if missing > 0:
            self._join(fresh.base_lrs[-missing:], fresh._last_lr[-missing:])

    # -- saving -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on, in torch's layout; the class is noted besides."""
        return self._state()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned, here, in torch or in Lucid 2.

        The groups get the values of that step; those that came after it was saved are taken in at
        the next one. A failed load changes nothing.
        """
        found = self._checked_state(state_dict)
        with self._undone_on_error():
            self._restore(found)
            self._write_again()

    def _state(self) -> dict[str, Any]:
        return {**self._saved(), "class": self._label}

    def _saved(self) -> dict[str, Any]:
        return {
            key: list(value) if isinstance(value, list) else value
            for key, value in self.__dict__.items()
            if key not in UNSAVED
        }

    def _checked_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes that a saved state sets, or an error that says what does not fit."""
        if not isinstance(state, Mapping):
            raise TypeError(f"{self._label}: expected a state dict, got {type(state).__name__}")
        saved_class = state.get("class", self._label)
        if saved_class != self._label:
            raise ValueError(f"{self._label}: this is the state of a {saved_class}")
        known = self._known_keys()
        unknown = sorted(str(key) for key in state if key not in (*known, *EMPTY))
        if unknown:
            raise ValueError(
                f"{self._label}: the state holds {', '.join(map(repr, unknown))}, which this class "
                f"has not; is it that of another scheduler?"
            )
        missing = [key for key in self.essential if key not in state]
        if missing:
            raise ValueError(f"{self._label}: the state lacks {', '.join(map(repr, missing))}")
        if state.get("hyper", self.hyper) != self.hyper:
            raise ValueError(
                f"{self._label}: this is the state of a schedule of {state['hyper']}, "
                f"not of {self.hyper}"
            )
        found = {key: value for key, value in state.items() if key not in EMPTY}
        groups = len(self.optimizer.param_groups)
        for key in ("base_lrs", "_last_lr"):
            if key in found:
                found[key] = [as_number(x, f"{self._label}: {key}") for x in found[key]]
                if not 0 < len(found[key]) <= groups:
                    raise ValueError(
                        f"{self._label}: the state is that of {len(found[key])} parameter groups, "
                        f"here there are {groups}"
                    )
                if len(found[key]) != len(found["_last_lr"]):
                    raise ValueError(
                        f"{self._label}: the state has {len(found['_last_lr'])} last values, and "
                        f"{len(found[key])} base_lrs; there must be one of each for every group"
                    )
        return found

    def _known_keys(self) -> set[str]:
        return set(self.__dict__) - set(UNSAVED)

    def _restore(self, found: Mapping[str, Any]) -> None:
        self.__dict__.update(found)
