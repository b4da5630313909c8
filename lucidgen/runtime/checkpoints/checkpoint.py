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
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..checking import as_count
from ..groups.options import Options, checked
from ..groups.parameters import describe
from ..groups.settings import Settings, is_note
from ..rules.rule import Rule
from ..step.accumulation import Accumulation
from .libraries import converted, in_layout
from .matching import Target, check_shape, matched, parsed
from .restoring import copied, new_entry, new_values

if TYPE_CHECKING:
    from .saveable import Saveable

#: The options that are saved, and what they are if they are not.
_UNSET: dict[str, Any] = {"max_grad_norm": None, "accumulation_steps": 1, "accumulated": 0}

# -- saving ---------------------------------------------------------------------------------------


def save(optimizer: Saveable) -> dict[str, Any]:
    """The state dict of an optimizer; its arrays are copies."""
    state: dict[int, dict[str, Any]] = {}
    groups: list[dict[str, Any]] = []
    index = 0
    for group, targets in zip(optimizer.param_groups, _targets(optimizer), strict=True):
        entries = {
            key: copy.deepcopy(value)
            for key, value in group.items()
            if key not in ("params", "param_names")
        }
        entries["params"] = list(range(index, index + len(targets)))
        if targets and all(target.name is not None for target in targets):
            entries["param_names"] = [target.name for target in targets]
        entries["param_shapes"] = [target.shape for target in targets]
        if optimizer._tree is not None:
            entries |= optimizer._tree.members[len(groups)].saved_values()
        groups.append(entries)
        for target in targets:
            if target.entry:
                state[index] = {
                    key: _saved_value(optimizer, key, target.entry[key])
                    for key in sorted(target.entry, key=lambda key: key != "step")
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
        "accumulated": optimizer.accumulated,
    }
    options = {key: value for key, value in options.items() if value != _UNSET[key]}
    if options:
        saved["options"] = options
    return saved


def _saved_value(optimizer: Saveable, key: str, value: Any) -> Any:
    """A copy of a state; the tree's 0-d counters become numbers."""
    if optimizer._tree is not None:
        scalars = {state.key for rule in _rules(optimizer) for state in rule.scalar_states}
        if key == "step":
            return int(value.item())
        if key in scalars:
            return float(value.item())
    return copied(value)


def class_name(optimizer: Saveable) -> str:
    """The generated class behind an optimizer: a subclass loads its dicts, and it theirs."""
    for cls in type(optimizer).__mro__:
        if cls.__dict__.get("rules"):
            return cls.__name__
    return type(optimizer).__name__


def _rules(optimizer: Saveable) -> Iterator[Rule]:
    if optimizer._rule is not None:
        yield optimizer._rule


def _targets(optimizer: Saveable) -> list[list[Target]]:
    """The present parameters of each group."""
    if optimizer._tree is not None:
        return _tree_targets(optimizer)
    found = []
    for index, group in enumerate(optimizer.param_groups):
        names = group.get("param_names")
        targets = []
        for i, param in enumerate(group["params"]):
            name = names[i] if names else None
            label = f"{type(optimizer).__name__}: group {index}: {describe(i, name)}"
            entry = optimizer._states.get(param, {})
            targets.append(Target(param, name, tuple(param.data.shape), entry, label))
        found.append(targets)
    return found


def _tree_targets(optimizer: Saveable) -> list[list[Target]]:
    """The parameters of the MLX idiom, which are known by name after ``init``."""
    tree, label = optimizer._tree, type(optimizer).__name__
    if not tree.shapes:
        raise RuntimeError(f"{label}: call init(params) first, so that its parameters are known")
    return [
        [
            Target(name, name, tree.shapes[name], entry, f"{label}: parameter {name!r}")
            for name, entry in member.saved_entries().items()
        ]
        for member in tree.members
    ]


# -- loading --------------------------------------------------------------------------------------


def load(optimizer: Saveable, state_dict: Mapping[str, Any]) -> None:
    """Check a saved dict against an optimizer, then load it."""
    label = type(optimizer).__name__
    state_dict = in_layout(optimizer, state_dict)
    parsed(label, state_dict)
    _check_class(optimizer, state_dict)
    targets = _targets(optimizer)
    ours = "class" in state_dict
    state_dict = converted(optimizer, state_dict, targets)
    groups, state = parsed(label, state_dict)
    pairs = matched(label, groups, targets)
    new_groups: list[tuple[dict[str, Any], Settings | None]] = []
    new_states: list[tuple[Target, dict[str, Any]]] = []
    for index, (present, matches) in enumerate(zip(optimizer.param_groups, pairs, strict=True)):
        saved, ids = matches
        where = optimizer._label(index, present)
        values, settings = new_values(optimizer, present, saved, where)
        if optimizer._tree is not None:
            for name, value in values.items():
                optimizer._tree.members[index].check_change(name, present.get(name), value)
        new_groups.append((values, settings))
        for target, key in zip(targets[index], ids, strict=True):
            entry = state.get(key) or {}
            check_shape(saved, key, target)
            new_states.append((target, new_entry(optimizer, settings, entry, target, ours)))
    new_options, waiting = _options(optimizer, state_dict)
    if optimizer._tree is None:
        _commit(optimizer, new_groups, new_states)
    else:
        entries = {target.handle: entry for target, entry in new_states}
        optimizer._tree.load(new_groups, entries, [saved.updates for saved, _ in pairs])
    optimizer._options.update(new_options)
    optimizer._accumulation = Accumulation(waiting)


def _options(optimizer: Saveable, state_dict: Mapping[str, Any]) -> tuple[Options, int]:
    """The checked options of a saved dict, and how many batches wait in it."""
    label, saved = type(optimizer).__name__, state_dict.get("options", {})
    if not isinstance(saved, Mapping):
        raise TypeError(f"{label}: the saved options must be a dict, got {saved!r}")
    unknown = saved.keys() - _UNSET.keys()
    if unknown:
        raise ValueError(f"{label}: unknown saved options {', '.join(map(repr, sorted(unknown)))}")
    found = checked(saved, label)
    if optimizer._tree is not None:
        for name, value in found.items():
            optimizer._tree.check_change(name, getattr(optimizer, name), value)
    return found, as_count(saved.get("accumulated", 0), f"{label}: accumulated", at_least=0)


def _check_class(optimizer: Saveable, state_dict: Mapping[str, Any]) -> None:
    label, own = type(optimizer).__name__, class_name(optimizer)
    for key in ("class", "dialect"):
        if not isinstance(state_dict.get(key, ""), str):
            raise TypeError(f"{label}: {key!r} must be a name, got {state_dict[key]!r}")
    saved = state_dict.get("class", own)
    if saved != own:
        raise ValueError(
            f"{label}: the state dict was saved by {saved}; construct a {saved} to load it"
        )
    dialect = state_dict.get("dialect", optimizer.dialect)
    if dialect != optimizer.dialect:
        raise ValueError(
            f"{label}: the state dict was saved under the dialect {dialect!r}, this optimizer is "
            f"of {optimizer.dialect!r}; construct it with dialect={dialect!r} to resume that run"
        )


def _commit(
    optimizer: Saveable,
    groups: list[tuple[dict[str, Any], Settings | None]],
    entries: list[tuple[Target, dict[str, Any]]],
) -> None:
    """Put what was checked in place; from here on nothing fails."""
    for present, (values, _) in zip(optimizer.param_groups, groups, strict=True):
        rule = optimizer._rule
        for key in [key for key in present if is_note(rule, key) and key not in values]:
            del present[key]
        present.update(values)
    optimizer._states.clear()
    for target, entry in entries:
        if entry:
            optimizer._states[target.handle] = entry
