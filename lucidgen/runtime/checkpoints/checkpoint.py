"""Saving and loading: torch's layout plus names, shapes, class and dialect.

Owns the layout, the matching of saved parameters to present ones, and every check that a load makes
before it changes anything. Dicts of torch and of Lucid 2 load as well; torch is not imported.

    {"state": {0: {"step": 10, "exp_avg": array, ...}, ...},
     "param_groups": [{"lr": 1e-3, ..., "params": [0],
                       "param_names": ["w"], "param_shapes": [(3,)]}],
     "class": "Mine", "dialect": "torch",
     "options": {"max_grad_norm": 1.0}}      # what is set, and how many batches wait
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from ..checking import as_count, listed, shown, warning_level
from ..engine import Loaded, Owner, Target
from ..groups.grouping import group_label
from ..groups.options import Options, checked
from ..groups.states import MASTER_WEIGHT
from ..rules.rule import reading_of
from .libraries import converted, in_layout
from .matching import check_shape, matched, parsed
from .restoring import UNCOUNTABLE, check_group, copied, new_entry, new_values

#: The options that are saved, and what they are if they are not.
_UNSET: dict[str, Any] = {"max_grad_norm": None, "accumulation_steps": 1, "accumulated": 0}

# -- saving ---------------------------------------------------------------------------------------


def save(optimizer: Owner) -> dict[str, Any]:
    """The state dict of an optimizer; its arrays are copies."""
    engine = optimizer._engine
    state: dict[int, dict[str, Any]] = {}
    groups: list[dict[str, Any]] = []
    index = 0
    for group, targets in zip(optimizer.param_groups, engine.targets(optimizer), strict=True):
        entries = {
            key: copy.deepcopy(value)
            for key, value in group.items()
            if key not in ("params", "param_names")
        }
        entries["params"] = list(range(index, index + len(targets)))
        if targets and all(target.name is not None for target in targets):
            entries["param_names"] = [target.name for target in targets]
        entries["param_shapes"] = [target.shape for target in targets]
        entries |= engine.saved_values(len(groups))
        groups.append(entries)
        for target in targets:
            if target.entry:
                entry = engine.saved_entry(target)
                state[index] = {
                    key: copied(entry[key]) for key in sorted(entry, key=lambda key: key != "step")
                }
            index += 1
    saved = {
        "state": state,
        "param_groups": groups,
        "class": class_name(optimizer),
        "dialect": optimizer.dialect,
    }
    options = {
        "max_grad_norm": optimizer.max_grad_norm,
        "accumulation_steps": optimizer.accumulation_steps,
        "accumulated": engine.accumulated,
    }
    options = {key: value for key, value in options.items() if value != _UNSET[key]}
    if options:
        saved["options"] = options
    return saved


def class_name(optimizer: Owner) -> str:
    """The generated class behind an optimizer: a subclass loads its dicts, and it theirs."""
    for cls in type(optimizer).__mro__:
        if cls.__dict__.get("rules"):
            return cls.__name__
    return type(optimizer).__name__


# -- loading --------------------------------------------------------------------------------------


def load(optimizer: Owner, state_dict: Mapping[str, Any]) -> None:
    """Check a saved dict against an optimizer, then load it."""
    label, engine = type(optimizer).__name__, optimizer._engine
    try:
        state_dict = in_layout(optimizer, state_dict)
        parsed(label, state_dict)
        _check_class(optimizer, state_dict)
        targets = engine.targets(optimizer)
        ours = "class" in state_dict
        state_dict = converted(optimizer, state_dict, targets)
        groups, state = parsed(label, state_dict)
        pairs = matched(label, groups, targets)
        new_groups: list[Loaded] = []
        new_states: list[tuple[Target, dict[str, Any]]] = []
        dropped = 0
        for index, (present, matches) in enumerate(zip(optimizer.param_groups, pairs, strict=True)):
            saved, ids = matches
            where = group_label(optimizer, index, present)
            values, settings = new_values(optimizer, present, saved, where)
            for name, value in values.items():
                engine.check_change(name, present.get(name), value, group=index)
            kept = (state.get(key) or {} for key in ids)
            check_group(optimizer._rule, values, kept, where)
            new_groups.append((values, settings))
            for target, key in zip(targets[index], ids, strict=True):
                entry = state.get(key) or {}
                check_shape(saved, key, target)
                made = new_entry(optimizer, settings, entry, target, ours)
                new_states.append((target, made))
                dropped += MASTER_WEIGHT in entry and MASTER_WEIGHT not in made
        new_options, waiting = _options(optimizer, state_dict)
    except RecursionError:
        raise ValueError(f"{label}: the state dict is nested too deeply") from None
    if dropped:
        warnings.warn(
            f"{label}: the state dict has float32 masters of {dropped} parameters, and they are "
            f"dropped: the weights go on as they are, rounded. Construct the optimizer with "
            f"master_weights=True to go on from the masters",
            UserWarning,
            stacklevel=warning_level(),
        )
    updates = [saved.updates for saved, _ in pairs]
    engine.load(optimizer, new_groups, new_states, updates, waiting)
    optimizer._options.update(new_options)


def _options(optimizer: Owner, state_dict: Mapping[str, Any]) -> tuple[Options, int]:
    """The checked options of a saved dict, and how many batches wait in it."""
    label, saved = type(optimizer).__name__, state_dict.get("options", {})
    if not isinstance(saved, Mapping):
        raise TypeError(f"{label}: the saved options must be a dict, got {shown(saved)}")
    unknown = saved.keys() - _UNSET.keys()
    if unknown:
        raise ValueError(f"{label}: unknown saved options {listed(map(shown, unknown))}")
    found = checked(saved, label)
    for name, value in found.items():
        optimizer._engine.check_change(name, getattr(optimizer, name), value)
    accumulated = as_count(saved.get("accumulated", 0), f"{label}: accumulated", at_least=0)
    if accumulated >= UNCOUNTABLE:
        raise ValueError(f"{label}: accumulated must be a count, got {shown(accumulated)}")
    return found, accumulated


def _check_class(optimizer: Owner, state_dict: Mapping[str, Any]) -> None:
    label, own = type(optimizer).__name__, class_name(optimizer)
    for key in ("class", "dialect", "library"):
        if not isinstance(state_dict.get(key, ""), str):
            raise TypeError(f"{label}: {key!r} must be a name, got {shown(state_dict[key])}")
    saved = state_dict.get("class", own)
    if saved != own:
        saved = listed([saved])
        raise ValueError(
            f"{label}: the state dict was saved by {saved}; construct a {saved} to load it"
        )
    dialect = reading_of(optimizer.rules, state_dict.get("dialect", optimizer.dialect))
    if dialect != optimizer.dialect:
        raise ValueError(
            f"{label}: the state dict was saved under the dialect {shown(dialect)}, this optimizer "
            f"is of {optimizer.dialect!r}; construct it with dialect={shown(dialect)} to resume "
            f"that run"
        )
