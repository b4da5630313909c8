"""Parameter groups: their values, and what they mean once checked.

Owns ``Group`` (a dict, as in torch, that notices when it is written to), the checking of
hyperparameters and flags, and ``Settings``, the checked meaning of a group. Does not own which
parameters are in a group (``parameters``) nor their state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, SupportsIndex

import numpy as np

from ..arrays import as_real, is_mlx
from ..checking import as_bool, as_count, as_number, nearest, shown
from ..rules.calling import call_in_ieee
from ..rules.rule import (
    GROUP_STEP,
    LOSS,
    MOST_SEED,
    SEED,
    Flag,
    Hyper,
    Rule,
    Seed,
    State,
    equation_axes,
)
from .shapes import choices, numbers, states_of

#: What a group may hold besides the arguments of its class.
STRUCTURE = ("params", "param_names", "name")

#: The entry of a group that clips its gradients by value; it may be missing.
CLIP_VALUE = "max_grad_value"

#: What torch's learning rate schedulers note down in the groups that they drive.
SCHEDULER_NOTES = ("max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")


class Group(dict[str, Any]):
    """A parameter group: a dict that forgets its checked meaning whenever it is written to.

    The rest is of the MLX idiom: ``watch`` is asked before a value changes and may refuse by
    raising; ``selection`` says which parameters of a tree belong here, ``schedule`` what lr is
    after so many updates.
    """

    __module__ = __package__  # pickles name the room, not the file
    settings: Settings | None = None
    members = 0  # how many parameters there were when it was last checked
    watch: Callable[[Group, str, Any], Any] | None = None
    selection: Any = None
    schedule: Callable[[Any], Any] | None = None

    def __setitem__(self, key: str, value: Any) -> None:
        if self.watch is not None:
            value = self.watch(self, key, value)
        self.settings = None
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self.settings = None
        super().__delitem__(key)

    def __ior__(self, other: Any) -> Group:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        kept = {"selection": self.selection, "schedule": self.schedule}
        return Group, (dict(self),), {key: value for key, value in kept.items() if value}

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        self.settings = None
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        self.settings = None
        return super().popitem()

    def clear(self) -> None:
        self.settings = None
        super().clear()


class Settings:
    """What a group's checked values mean to its rule.

    ``values`` are the hyperparameters by symbol, ``choices`` the flags and ``use_<symbol>``, as the
    rule's functions call them; ``arrays`` and ``scalars`` are the states that these choices need.
    Equal choices share one ``arrays`` tuple, so that it can be compared by identity.

    What happens to gradients before the equations read them is one choice, ``scale_grad``, and two
    values: they are multiplied by ``grad_factor``, and clipped to +-``grad_bound``.

    ``seed`` is that of the random numbers, where the rule draws any.

    Where a rule asks for the shapes of parameters, those of a group have none of that by itself:
    ``of`` gives the settings for a shape, which have the choices and the numbers of that shape.
    ``matrix_equation`` is one that needs matrices under these choices, if there is one; steps are
    ``shaped`` that take arrays as equations see them, and no flat ones.
    """

    __slots__ = (
        "_alike",
        "_of",
        "_under",
        "arrays",
        "choices",
        "given",
        "matrix_equation",
        "rule",
        "scalars",
        "seed",
        "shaped",
        "values",
    )

    def __init__(
        self, rule: Rule, values: Mapping[str, Any], shape: tuple[int, ...] | None = None
    ) -> None:
        self.rule, self.given, self.seed = rule, values, int(values.get(SEED, 0))
        self._of: dict[tuple[int, ...], Settings] = {}
        self._alike: dict[Any, Settings] = {}
        self._under: dict[Rule, Settings] = {}
        self.values: dict[str, float] = {}
        called = rule.called
        self.choices: dict[str, bool] = {called(f.name): values[f.name] for f in rule.flags}
        maximize, bound = self.choices.pop("maximize", False), values.get(CLIP_VALUE)
        bound = math.inf if bound is None else bound
        self.choices["scale_grad"] = maximize or bound < math.inf
        self.values["grad_factor"] = -1.0 if maximize else 1.0
        # A bound of 0 is -0, with which clipping gives 0, and never -0, whichever of two zeros a
        # library takes for the smaller one.
        self.values["grad_bound"] = bound or -0.0
        for hyper in rule.hypers:
            value = values[hyper.name]
            elements = value if hyper.is_tuple else (value,)
            for symbol, element in zip(map(called, hyper.symbols), elements, strict=True):
                self.values[symbol] = element
                if hyper.special is not None:
                    self.choices[f"use_{symbol}"] = element != hyper.special
        if rule.asks_shapes:
            if shape is None:
                return
            found = numbers(shape, rule.matrices)
            self.values.update({called(name): found[name] for name in rule.reads})
            self.choices.update(choices(rule, shape, {**self.values, **self.choices}))
        self.arrays, self.scalars = _live_states(rule, tuple(self.choices.items()))
        equations = (text for text, holds in rule.matrix_equations if holds(self.choices))
        self.matrix_equation = next(equations, "")
        self.shaped = rule.shaped and bool(self.matrix_equation or not rule.matrix_equations)

    def of(self, shape: tuple[int, ...]) -> Settings:
        """The settings of parameters of this shape; equal ones are one object."""
        if not self.rule.asks_shapes:
            return self
        found = self._of.get(shape)
        if found is None:
            made = Settings(self.rule, self.given, shape)
            alike = (*made.choices.values(), *made.values.values())
            found = self._of[shape] = self._alike.setdefault(alike, made)
        return found

    def under(self, rule: Rule) -> Settings:
        """The same values under another rule: that of the group's shares."""
        found = self._under.get(rule)
        if found is None:
            found = self._under[rule] = Settings(rule, self.given)
        return found

    def check_shape(self, shape: tuple[int, ...], label: str) -> None:
        """Refuse a shape that has no rows and columns where an equation needs them.

        Raises
        ------
        ValueError
            With the equation, and what to do.
        """
        if self.shaped and len(equation_axes(shape, self.rule.matrices)) < 2:
            equation = self.matrix_equation
            raise ValueError(
                f"{label}: a parameter of shape {shape} has no rows and columns, which this "
                f"optimizer reduces along{f' in equation {equation}' if equation else ''}; give it "
                f"to another optimizer, or give the equation a case for vectors: "
                f"when(ndim >= 2, ..., ...)"
            )

    def of_loss(self, loss: Any) -> dict[str, Any]:
        """What functions are given of a step's loss: that of the gradients which they read.

        Whoever maximizes has gradients with their signs changed, and the loss, too.
        """
        if not self.rule.reads_loss:
            return {}
        return {self.rule.called(LOSS): loss * self.values["grad_factor"]}

    @property
    def possible(self) -> frozenset[State]:
        """The states that parameters of the shape have under some arguments."""
        return self._states[0]

    @property
    def certain(self) -> frozenset[State]:
        """The states that they have under any."""
        return self._states[1]

    @property
    def _states(self) -> tuple[frozenset[State], frozenset[State]]:
        fixed = ((name, self.choices[name]) for name in self.rule.fixed)
        return states_of(self.rule, tuple(fixed))

    def without_decay(self) -> Settings:
        """The same without weight decay."""
        return Settings(self.rule, {**self.given, **self.rule.without_decay})

    def start(self, state: State, w: Any) -> Any:
        """The first value of a state for weights w: an array like w, or a number."""
        if state.start is None:
            return 0.0
        array: Any = type(w)
        number = partial(array, dtype=w.dtype) if is_mlx(w) else np.float64
        with np.errstate(all="ignore"):
            return call_in_ieee(state.start, {"w": w, **self.values, **self.choices}, number)


@cache
def _live_states(
    rule: Rule, choices: tuple[tuple[str, bool], ...]
) -> tuple[tuple[State, ...], tuple[State, ...]]:
    on = dict(choices)
    live = [state for state in rule.states if state.live is None or state.live(on)]
    return (
        tuple(state for state in live if state.domain != "scalar"),
        tuple(state for state in live if state.domain == "scalar"),
    )


def as_hyper(hyper: Hyper, value: Any, where: str) -> float | tuple[float, ...]:
    """The value of a hyperparameter as Python floats, within its bounds."""
    label = f"{where}: {hyper.name}"
    if not hyper.is_tuple:
        number = as_number(value, label)
        _check_bounds(hyper, number, label)
        return number
    count = len(hyper.symbols)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, tuple | list):
        raise TypeError(f"{label} must be {count} numbers, got {shown(value)}")
    if len(value) != count:
        raise ValueError(f"{label} must be {count} numbers, got {len(value)}: {shown(value)}")
    numbers = tuple(as_number(x, f"{label}[{i}]") for i, x in enumerate(value))
    for i, number in enumerate(numbers):
        _check_bounds(hyper, number, f"{label}[{i}]")
    return numbers


def _check_bounds(hyper: Hyper, number: float, label: str) -> None:
    for text, limit_below, limit in hyper.bounds():
        strict = text in ("above", "below")
        distance = number - limit if limit_below else limit - number
        if distance < 0 or (strict and distance == 0):
            raise ValueError(f"{label} must be {text} {limit:g}, got {number!r}")


def as_flag(flag: Flag, value: Any, where: str) -> bool:
    """The value of a flag."""
    return as_bool(value, f"{where}: {flag.name}")


def as_bound(value: Any, where: str) -> float:
    """The value of ``max_grad_value``."""
    number = as_number(value, f"{where}: {CLIP_VALUE}", may_be_infinite=True)
    if number < 0:
        raise ValueError(f"{where}: {CLIP_VALUE} must be at least 0, got {number!r}")
    return number


def as_kept(rule: Rule, key: str, value: Any, where: str) -> float | int:
    """What a group keeps from step to step: a number, or the count of its steps."""
    if key == GROUP_STEP:
        return as_count(value, f"{where}: {key}", at_least=0)
    found = as_real(key, value, where)
    if found.size != 1:
        raise ValueError(f"{where}: {key} must be one number, got {shown(value)}")
    return float(found.reshape(()))


def as_seed(value: Any, where: str) -> int:
    """The value of ``seed``."""
    label = f"{where}: {SEED}"
    number = as_count(value, label, at_least=0)
    if number > MOST_SEED:
        raise ValueError(f"{label} must be at most 2**64 - 1, got {shown(number)}")
    return number


def as_argument(argument: Hyper | Flag | Seed, value: Any, where: str) -> Any:
    """The checked value of an argument."""
    if isinstance(argument, Seed):
        return as_seed(value, where)
    if isinstance(argument, Flag):
        return as_flag(argument, value, where)
    return as_hyper(argument, value, where)


def argument_of(rules: Mapping[str, Rule], name: str) -> Hyper | Flag | Seed | None:
    """What the class says about an argument that this dialect does not have itself."""
    for rule in rules.values():
        if name in rule.arguments:
            return rule.arguments[name]
    return None


def is_note(rule: Rule | None, name: str) -> bool:
    """Whether a key is what a scheduler notes: ``initial_lr``, ``initial_beta1``, torch's own."""
    driven = name.removeprefix("initial_")
    if rule is None:
        return name in SCHEDULER_NOTES or driven != name
    if name in rule.arguments:
        return False
    symbols = (symbol for hyper in rule.hypers for symbol in hyper.symbols)
    return name in SCHEDULER_NOTES or (driven != name and driven in symbols)


def check_values(
    rule: Rule, rules: Mapping[str, Rule], values: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """The checked values of a group, structure apart; errors name the group and the value.

    An unsupported argument is dropped when it has the class's default, and refused otherwise.
    """
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str):
            raise TypeError(f"{where}: a key must be a string, got {shown(name)}")
        if name in STRUCTURE:
            continue
        if is_note(rule, name):
            checked[name] = value
        elif name == CLIP_VALUE:
            checked[name] = None if value is None else as_bound(value, where)
        elif name in rule.group_keys:
            checked[name] = as_kept(rule, name, value, where)
        elif name in rule.arguments:
            checked[name] = as_argument(rule.arguments[name], value, where)
        elif name in rule.ignored:
            argument = argument_of(rules, name)
            checked[name] = value if argument is None else as_argument(argument, value, where)
        elif name in rule.unsupported:
            argument = argument_of(rules, name)
            default = rule.unsupported[name]
            if argument is not None and as_argument(argument, value, where) != default:
                having = [dialect for dialect in rules if name in rules[dialect].arguments]
                raise ValueError(
                    f"{where}: {name}={shown(value)} is not part of the dialect {rule.dialect!r}; "
                    f"{_who_has(having)}"
                )
        else:
            known = (*rule.arguments, *rule.ignored, *rule.group_keys, CLIP_VALUE)
            hint = nearest(name, known)
            raise ValueError(f"{where}: unknown key {shown(name)}; {hint}")
    missing = [name for name in rule.arguments if name not in checked]
    if missing:
        raise ValueError(f"{where}: {', '.join(map(repr, missing))} missing from the group")
    return checked


def _who_has(dialects: list[str]) -> str:
    """Which dialects have an argument, and how one of them is chosen."""
    first, *others = [repr(dialect) for dialect in dialects]
    if not others:
        return f"the dialect {first} has it: give dialect={first}"
    listed = f"{', '.join([first, *others[:-1]])} and {others[-1]}"
    return f"the dialects {listed} have it: give dialect={first}, for example"


def settle(rule: Rule, values: Mapping[str, Any], where: str) -> Settings:
    """The settings of checked values, after the constraints across arguments."""
    settings = Settings(rule, values)
    for condition, message in rule.requires:
        if not call_in_ieee(condition, {**settings.values, **settings.choices}):
            raise ValueError(f"{where}: {message}")
    return settings
