"""Checking and copying what a saved dict holds: the values of groups, the states of parameters.

Owns the conversion of foreign arrays and numbers and the rules for missing or unknown
keys. Changes nothing; ``checkpoint`` puts the results in place.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..arrays import as_real, is_mlx
from ..checking import listed, shown
from ..engine import Owner, Target
from ..groups.settings import STRUCTURE, Settings, check_values, is_note, settle
from ..groups.states import GRAD_SUM, MASTER_WEIGHT
from ..rules.rule import Rule
from .matching import SavedGroup

#: From here on a float counts no further, and steps compute with floats.
UNCOUNTABLE = 2**53


def copied(value: Any) -> Any:
    if is_mlx(value):
        return type(value)(value)
    if isinstance(value, np.ndarray):
        return np.array(value, order="K")
    return copy.deepcopy(value)


def new_values(
    optimizer: Owner, present: Mapping[str, Any], saved: SavedGroup, where: str
) -> tuple[dict[str, Any], Settings | None]:
    """The checked values of a loaded group; what was not saved stays as it is."""
    where = f"{where}: saved value"
    rule = optimizer._rule
    if rule is None:
        return copy.deepcopy(saved.values), None
    found = {}
    for key, value in saved.values.items():
        if key in rule.torch_keys:
            if not is_same(value, rule.torch_keys[key]):
                raise ValueError(
                    f"{where}: {key}={shown(value)}, but {type(optimizer).__name__} computes what "
                    f"torch does for {key}={rule.torch_keys[key]!r}"
                )
            continue
        found[key] = copy.deepcopy(value)
    current = {
        key: value
        for key, value in present.items()
        if key not in STRUCTURE and not is_note(rule, key) and key not in rule.group_keys
    }
    values = check_values(rule, optimizer.rules, {**current, **found}, where)
    return values, settle(rule, values, where)


def check_group(
    rule: Rule | None, values: Mapping[str, Any], entries: Iterable[Mapping[str, Any]], where: str
) -> None:
    """Refuse a saved group that lacks what it must have kept, since parameters of it have begun."""
    if rule is None or not rule.rounds or not any(entries):
        return
    required = (state.key for state in rule.group_states if not state.first)
    missing = [key for key in required if key not in values]
    if missing:
        raise ValueError(
            f"{where}: {', '.join(map(repr, missing))} missing from the saved group, which the "
            "states of its parameters go with; remove their entries from state_dict['state'] to "
            "start the group afresh"
        )


def is_same(value: Any, expected: object) -> bool:
    """Whether a saved value, whatever it is, is the expected one."""
    return value is expected or (np.isscalar(value) and bool(value == expected))


def new_entry(
    optimizer: Owner,
    settings: Settings | None,
    saved: Mapping[str, Any],
    target: Target,
    ours: bool,
) -> dict[str, Any]:
    """The checked and copied state of a parameter."""
    found = {key: value for key, value in saved.items() if value is not None}
    if settings is None or not found:
        return {key: copied(value) for key, value in found.items()}
    settings = settings.of(target.shape)
    rule, label = settings.rule, target.label
    entry = _beside_the_rule(optimizer, found, target)
    if not found:
        return entry
    for key in _states_of_ignored_arguments(optimizer, rule, target.shape):
        found.pop(key, None)
    for state in rule.states:
        if state not in settings.possible:  # kept for other shapes, where a library has it for all
            found.pop(state.key, None)
    unknown = [key for key in found if key not in rule.keys and key != "step"]
    if unknown and not optimizer._steps_by_itself:
        fitting = _fitting_dialects(optimizer, found)
        raise ValueError(
            f"{label}: saved state {listed(map(shown, unknown))}, but "
            f"{type(optimizer).__name__} keeps {', '.join(sorted(rule.keys)) or 'no state'}; "
            + (
                f"construct the optimizer with dialect={fitting}"
                if fitting
                else "was the dict saved by another class?"
            )
        )
    _check_complete(optimizer, settings, found, target, ours)
    shapes = {state.key: state.shape(target.shape) for state in rule.arrays}
    scalars = {state.key for state in rule.scalar_states}
    for key, value in found.items():
        if key == "step":
            if rule.counts_steps:
                entry[key] = _as_count(value, label)
        elif key in scalars:
            entry[key] = _as_scalar(key, value, label)
        elif key in shapes:
            entry[key] = _as_array(key, value, shapes[key], label)
        else:
            entry[key] = copied(value)
    return entry


def _beside_the_rule(optimizer: Owner, found: dict[str, Any], target: Target) -> dict[str, Any]:
    """What a saved state has that belongs to no rule, taken out of it."""
    entry = {
        key: _as_array(key, found.pop(key), target.shape, target.label)
        for key in (MASTER_WEIGHT, GRAD_SUM)
        if key in found
    }
    if not optimizer._options.get("master_weights"):
        entry.pop(MASTER_WEIGHT, None)  # the weights are what it was rounded to
    return entry


def _states_of_ignored_arguments(
    optimizer: Owner, rule: Rule, shape: tuple[int, ...]
) -> frozenset[str]:
    """The states that other dialects keep for arguments that this one ignores.

    Lucid 2 saves the maximum of AMSGrad, which it never uses.
    """
    keys: set[str] = set()
    for other in optimizer.rules.values():
        defaults = {name: argument.default for name, argument in other.arguments.items()}
        choices = Settings(other, defaults, shape).choices
        ignored = [other.called(n) for n in rule.ignored if other.called(n) in choices]
        off, on = ({**choices, **dict.fromkeys(ignored, value)} for value in (False, True))
        for state in other.states:
            if state.live is not None and state.live(on) and not state.live(off):
                keys.add(state.key)
    return frozenset(keys) - rule.keys


def _required(settings: Settings, ours: bool) -> list[str]:
    """The keys without which a saved state cannot go on.

    A first update makes its state by itself, so its absence is no gap. In a dict of ours a state
    that depends on choices may be missing as well: it was switched on after the last step.
    """
    keys = ["step"] if settings.rule.counts_steps else []
    for state in (*settings.arrays, *settings.scalars):
        if not state.first and not (ours and state not in settings.certain):
            keys.append(state.key)
    return keys


def _check_complete(
    optimizer: Owner,
    settings: Settings,
    found: Mapping[str, Any],
    target: Target,
    ours: bool,
) -> None:
    missing = [key for key in _required(settings, ours) if key not in found]
    if not missing:
        return
    fitting = _fitting_dialects(optimizer, found)
    remedy = f"construct the optimizer with dialect={fitting}, or remove" if fitting else "remove"
    raise ValueError(
        f"{target.label}: {', '.join(map(repr, missing))} missing from the saved state; {remedy} "
        f"its entry from state_dict['state'] to start its state afresh"
    )


def _fitting_dialects(optimizer: Owner, found: Mapping[str, Any]) -> str:
    """The other dialects whose states these are, in words."""
    fitting = [
        dialect
        for dialect, rule in optimizer.rules.items()
        if dialect != optimizer.dialect
        and rule.keys | {"step"} >= set(found)
        and all(state.key in found for state in rule.states if state.live is None)
    ]
    return " or ".join(map(repr, fitting))


def _as_count(value: Any, label: str) -> int:
    number = _as_scalar("step", value, label)
    if not 0 <= number < UNCOUNTABLE or number != int(number):
        raise ValueError(
            f"{label}: the saved step must be a whole number, got {number!r}"
            + (", which floats do not count" if number >= UNCOUNTABLE else "")
        )
    return int(number)


def _as_scalar(key: str, value: Any, label: str) -> float:
    """One number; an array that holds nothing else stands for it, as Lucid 2 saves some."""
    array = as_real(key, value, label)
    if array.size > 1 and (array == array.flat[0]).all():
        array = array.reshape(-1)[:1]
    if array.size != 1:
        raise ValueError(f"{label}: the saved {key!r} must be one number, got {shown(value)}")
    return float(array.reshape(()))


def _as_array(key: str, value: Any, shape: tuple[int, ...], label: str) -> Any:
    """A copy of a saved array; the backend gives it the parameter's type at the next step."""
    array = as_real(key, value, label)
    if array.shape != shape:
        raise ValueError(
            f"{label}: the saved {key!r} has shape {shown(array.shape)}, expected {shape}"
        )
    return copied(value) if is_mlx(value) else np.array(array, order="K")
