"""Schedules whose value is a closed form: one function of the number of steps.

Owns how such a function drives a hyperparameter: any step costs the same, going to a step gives the
exact value, and changes from outside are carried on or overwritten. Knows no equations: generated
classes bring ``value``, and ``start`` and ``momentum`` where they have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..rules.calling import call
from .arguments import (
    Argument,
    Function,
    Number,
    Points,
    checked,
    function_state,
    of_group,
    of_groups,
    restore_functions,
)
from .scheduler import Bare, LRScheduler, Place, checked_optimizer, checked_time, in_role, place_of


class ClosedForm(LRScheduler):
    """Base of the generated schedulers.

    The value at step t is ``value(t, base, ...)``, with what the group started with as its base. If
    the class is ``chainable`` and a group's value is not what this scheduler wrote last, because
    another scheduler or the user changed it, the base is changed such that the equation gives the
    value that is there, and so goes on from it.
    """

    arguments: ClassVar[tuple[Argument, ...]] = ()
    #: Conditions on arguments, and what is wrong where one fails.
    requires: ClassVar[tuple[tuple[Callable[..., bool], str], ...]] = ()
    chainable: ClassVar[bool] = True
    #: Whether a change is overwritten where nothing of the base is left; else it is kept.
    settles: ClassVar[bool] = False
    #: The argument that is the last legal step.
    until: ClassVar[str] = ""
    #: Entries of what torch saves: the argument that they hold, or None.
    torch_keys: ClassVar[Mapping[str, str | None]] = {}
    #: The value at step t.
    value: ClassVar[Callable[..., float]]
    #: Where the schedule starts, if not from the group's own value.
    start: ClassVar[Callable[..., float] | None] = None
    #: The momentum at step t.
    momentum: ClassVar[Callable[..., float] | None] = None

    def __init__(
        self,
        optimizer: Any,
        last_epoch: int = -1,
        verbose: bool = False,
        *,
        hyper: str | None = None,
        **arguments: Any,
    ) -> None:
        for argument in self.arguments if callable(optimizer) else ():
            if isinstance(argument, Function) and hasattr(arguments[argument.name], "param_groups"):
                # Lucid 2 has LambdaLR(lr_lambda, optimizer).
                optimizer, arguments[argument.name] = arguments[argument.name], optimizer
        self.optimizer = checked_optimizer(optimizer, self._label)
        values = self._checked_arguments(arguments, len(self._groups()))
        self.__dict__.update({_attribute(a): values[a.name] for a in self.arguments})
        self._bases: list[float] = []
        super().__init__(self.optimizer, last_epoch, verbose, hyper=hyper)

    # -- arguments --------------------------------------------------------------------------------

    def _checked_arguments(self, values: Mapping[str, Any], groups: int) -> dict[str, Any]:
        """All arguments with legal values; these ones, and else those that there are."""
        found: dict[str, Any] = {}
        for argument in self.arguments:
            value = values[argument.name] if argument.name in values else self._own(argument)
            found[argument.name] = checked(argument, value, self._label, groups)
        for argument in self.arguments:
            if isinstance(argument, Number) and argument.otherwise and found[argument.name] is None:
                others = argument.otherwise.__code__.co_varnames
                if any(found[other] is None for other in others):
                    listed = " and ".join(others)
                    raise ValueError(f"{self._label}: give {argument.name}, or {listed}")
                found[argument.name] = call(argument.otherwise, found)
        for index in range(groups):
            own = {name: of_group(value, index) for name, value in found.items()}
            for condition, message in self.requires:
                if not call(condition, own):
                    raise ValueError(f"{self._label}: {message}")
        return found

    def _own(self, argument: Argument) -> Any:
        return self.__dict__[_attribute(argument)]

    def _of(self, index: int) -> dict[str, Any]:
        """The arguments' values for one group."""
        return {a.name: of_group(self._own(a), index) for a in self.arguments}

    def __getattr__(self, name: str) -> Any:
        """A function that was given, by the name of its argument."""
        for argument in self.arguments:
            if isinstance(argument, Function) and name == argument.name:
                return self._own(argument)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        functions = {a.name: a.saved_as for a in self.arguments if isinstance(a, Function)}
        self.__dict__.update({functions.get(key, key): value for key, value in state.items()})

    # -- values -----------------------------------------------------------------------------------

    def _noted(self) -> list[float]:
        if self.start is None:
            return super()._noted()
        return self._starts_of(self._groups())

    def _starts_of(self, groups: Sequence[Any]) -> list[float]:
        if self.start is None:
            return super()._starts_of(groups)
        everything = self.optimizer.param_groups
        first = len(everything) - len(groups) if groups else 0
        return [float(call(self.start, self._of(first + i))) for i in range(len(groups))]

    def _at(self, time: float, index: int, base: float) -> float:
        """The value of a group at a time."""
        return self._computed(type(self).value, time, {"base": base, **self._of(index)})

    def _computed(
        self, function: Callable[..., float], time: float, available: dict[str, Any]
    ) -> float:
        if self.until and time > available[self.until]:
            raise ValueError(
                f"{self._label}: step {time} is beyond {self.until} = {available[self.until]}"
            )
        try:
            return float(call(function, {"t": time, **available}))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"{self._label}: no value at step {time}: {error}") from error

    def get_lr(self) -> list[float]:
        """The values at ``last_epoch``, one for each group."""
        return [self._at(self._time, i, base) for i, base in enumerate(self._bases)]

    def _carried(self, time: float, index: int, present: float) -> tuple[float, float]:
        """The value at a time, and the base of which it is, if a group holds this value now."""
        base, first = self._bases[index], self.base_lrs[index]
        if not self.chainable:
            return self._at(time, index, base), base
        untouched = present == self._last_lr[index]
        if untouched and base == first and present == self._at(self._time, index, base):
            return self._at(time, index, base), base
        offset, slope = self._line(self._time, index)
        if slope:
            base = base if untouched else (present - offset) / slope
            return self._at(time, index, base), base
        # Nothing of the base is left to go on from. As in torch, begin with the first one again;
        # what is there besides is added.
        value = self._at(time, index, first)
        if present == offset or self.settles:
            return value, first
        value += present - offset
        offset, slope = self._line(time, index)
        return value, (value - offset) / slope if slope else first

    def _line(self, time: float, index: int) -> tuple[float, float]:
        """The value as a function of the base: offset and slope."""
        offset = self._at(time, index, 0.0)
        return offset, self._at(time, index, 1.0) - offset

    # -- steps ------------------------------------------------------------------------------------

    def step(self, epoch: float | None = None) -> None:
        """Write the values of the next step, or go to step ``epoch``, which costs the same.

        Raises
        ------
        ValueError
            If there is no such step; then nothing changes.
        """
        goal = None if epoch is None else checked_time(epoch, self._label)
        with self._step_of_all_groups():
            if goal is not None:
                self._move(goal, self.base_lrs)
                return
            time = self._time + 1
            found = [self._carried(time, i, now) for i, now in enumerate(self._present())]
            self._move(time, [base for _, base in found], [value for value, _ in found])

    def _move(self, time: float, bases: list[float], values: list[float] | None = None) -> None:
        """Be at a time, with these bases."""
        if values is None:
            values = [self._at(time, i, base) for i, base in enumerate(bases)]
        momenta = self._momenta(time)
        self._write(values)
        self._write_momenta(momenta)
        self._set_time(time)
        self._bases = list(bases)
        self._moved()

    def _initial_step(self) -> None:
        self._step_count = 0
        if self.last_epoch >= 0:
            self._move(self._time + 1, self.base_lrs)
        else:
            self._move(0, self._present() if self.chainable else self.base_lrs)

    def _restart(self) -> None:
        self._take_turn(0)

    def _take_turn(self, time: float) -> None:
        if self.settles:
            self._move(time, self._present())  # as in torch: from the value that there is
        else:
            self._move(time, self.base_lrs)

    def _write_again(self) -> None:
        super()._write_again()
        if self.last_epoch >= 0:
            self._write_momenta(self._momenta(self._time))

    # -- groups that come later -------------------------------------------------------------------

    def _take_in(self) -> None:
        groups, known, place = self._new_groups(), len(self._last_lr), self._place()
        self._of_groups(0, known + len(groups))
        super()._take_in()
        for index, group in enumerate(groups, start=known):
            self._last_lr[index] = self._at(self._time, index, self._bases[index])
            place.write(group, self._last_lr[index])

    def _join(self, starts: list[float], present: list[float]) -> None:
        super()._join(starts, present)
        self._bases = [*self._bases, *(present if self.chainable else starts)]

    def _fresh(self, bare: Bare, first: int) -> ClosedForm:
        made = super()._fresh(bare, first)
        assert isinstance(made, ClosedForm)
        made.__dict__.update(self._of_groups(first, first + len(bare.param_groups)))
        return made

    def _of_groups(self, first: int, end: int) -> dict[str, Any]:
        """The attributes for some groups of the arguments that have a value for each."""
        names = [_attribute(a) for a in self.arguments if not isinstance(a, Points)]
        values = {name: self.__dict__[name] for name in names}
        lists = {name: value for name, value in values.items() if isinstance(value, list)}
        return {
            name: of_groups(value, first, end, f"{self._label}: {name}")
            for name, value in lists.items()
        }

    def _walk(self, time: float) -> None:
        if time:
            self._move(time, self._bases)

    def _absorb(self, fresh: LRScheduler, groups: int) -> None:
        missing = groups - len(self._last_lr)
        super()._absorb(fresh, groups)
        if missing > 0:
            assert isinstance(fresh, ClosedForm)
            self._bases[-missing:] = fresh._bases[-missing:]

    # -- momentum ---------------------------------------------------------------------------------

    def _momentum_place(self) -> Place:
        name = in_role(self.optimizer, "momentum")
        if name is None:
            raise ValueError(
                f"{self._label}: {type(self.optimizer).__name__} has neither momentum nor betas "
                f"to cycle; give cycle_momentum=False"
            )
        return place_of(self.optimizer, name, self._label)

    def _momenta(self, time: float) -> list[float]:
        """The momentum of each group, if it is driven."""
        function = type(self).momentum
        if function is None or not self.__dict__["cycle_momentum"]:
            return []
        self._momentum_place()
        groups = range(len(self._groups()))
        return [self._computed(function, time, self._of(index)) for index in groups]

    def _reset_momentum(self) -> None:
        self._write_momenta(self._momenta(0))

    def _write_momenta(self, values: list[float]) -> None:
        for group, value in zip(self._groups() if values else (), values, strict=True):
            self._momentum_place().write(group, value)

    # -- saving -----------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        found = super()._saved()
        for argument in self.arguments:
            if isinstance(argument, Function):
                key, groups = argument.saved_as, len(self._last_lr)
                found[key] = function_state(argument, self._own(argument), groups)
        return found

    def _known_keys(self) -> set[str]:
        return super()._known_keys() | set(self.torch_keys)

    def _checked_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        found = super()._checked_state(state)
        derived = [key for key in self.torch_keys if key in found]
        for key in derived:
            name = self.torch_keys[key]
            if name is not None:
                found[name] = found[key]
            del found[key]
        own = {a.name: a for a in self.arguments if not isinstance(a, Function)}
        missing = [
            name
            for name, argument in own.items()
            if name not in found and not getattr(argument, "optional", False)
        ]
        # Lucid 2 saves no arguments, and torch not all of those whose consequences it saves.
        if missing and not derived and "_group_count" not in state:
            raise ValueError(f"{self._label}: the state lacks {', '.join(map(repr, missing))}")
        given = {key: value for key, value in found.items() if key in own}
        checked_values = self._checked_arguments(given, len(found["_last_lr"]))
        found |= {key: value for key, value in checked_values.items() if key in own}
        if "_bases" not in found:
            # Lucid 2 notes the rates of the optimizer, whatever its equation goes out from.
            is_lucid2 = "_group_count" in state
            exact = not self.chainable and not is_lucid2
            found["_bases"] = list(found["base_lrs"]) if exact else self._bases_of(found)
        return found

    def _bases_of(self, found: Mapping[str, Any]) -> list[float]:
        """The bases of a state that was saved without: torch's, or Lucid 2's."""
        time, bases = found["last_epoch"], list(found["base_lrs"])
        if time < 0:
            return bases
        other: ClosedForm = object.__new__(type(self))
        functions = {a.saved_as for a in self.arguments if isinstance(a, Function)}
        other.__dict__.update(self.__dict__)
        other.__dict__.update({k: value for k, value in found.items() if k not in functions})
        for index, present in enumerate(found["_last_lr"]):
            offset, slope = other._line(time, index)
            expected = offset + slope * bases[index]
            if slope and abs(present - expected) > 1e-9 * abs(expected):
                bases[index] = (present - offset) / slope
        return bases

    def _restore(self, found: Mapping[str, Any]) -> None:
        attributes = dict(found)
        for argument in self.arguments:
            if isinstance(argument, Function) and argument.saved_as in attributes:
                restore_functions(self._own(argument), attributes.pop(argument.saved_as))
        super()._restore(attributes)


def _attribute(argument: Argument) -> str:
    """The attribute that holds an argument: that of its name, or for functions torch's."""
    return argument.saved_as if isinstance(argument, Function) else argument.name
