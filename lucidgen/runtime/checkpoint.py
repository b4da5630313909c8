"""Saving and loading: torch's layout plus names, shapes, class and dialect.

Owns the layout, the matching of saved parameters to present ones, and every check that a load makes
before it changes anything. Dicts of torch and of Lucid 2 load as well; torch is not imported.

    {"state": {0: {"step": 10, "exp_avg": array, ...}, ...},
     "param_groups": [{"lr": 1e-3, ..., "params": [0],
                       "param_names": ["w"], "param_shapes": [(3,)]}],
     "class": "Adam", "dialect": "torch"}
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .groups import SCHEDULER_NOTES, STRUCTURE, Settings, check_values, settle
from .numpy_backend import as_numpy
from .parameters import describe, is_mlx
from .rule import Rule

if TYPE_CHECKING:
    from .optimizer import Optimizer

#: How torch runs a step, not what it computes: nothing to load.
TORCH_MACHINERY = ("capturable", "differentiable", "foreach", "fused")

_LAYOUT = (*STRUCTURE, *TORCH_MACHINERY, "param_shapes")


@dataclass(frozen=True)
class Target:
    """A present parameter. ``handle`` is what the state is kept under."""

    handle: Any
    name: str | None
    shape: tuple[int, ...]
    entry: dict[str, Any]
    label: str


@dataclass(frozen=True)
class SavedGroup:
    """A group of a saved dict: its values, and the ids, names and shapes of its parameters."""

    values: dict[str, Any]
    ids: list[Any]
    names: list[str] | None
    shapes: list[tuple[int, ...]] | None


# -- saving ---------------------------------------------------------------------------------------


def save(optimizer: Optimizer) -> dict[str, Any]:
    """The state dict of an optimizer; its arrays are copies."""
    state: dict[int, dict[str, Any]] = {}
    groups = []
    index = 0
    for group, targets in zip(optimizer.param_groups, _targets(optimizer), strict=True):
        saved = {
            key: copy.deepcopy(value)
            for key, value in group.items()
            if key not in ("params", "param_names")
        }
        saved["params"] = list(range(index, index + len(targets)))
        if targets and all(target.name is not None for target in targets):
            saved["param_names"] = [target.name for target in targets]
        saved["param_shapes"] = [target.shape for target in targets]
        groups.append(saved)
        for target in targets:
            if target.entry:
                state[index] = {
                    key: _saved_value(optimizer, key, value) for key, value in target.entry.items()
                }
            index += 1
    return {
        "state": state,
        "param_groups": groups,
        "class": _class_name(optimizer),
        "dialect": optimizer.dialect,
    }


def _saved_value(optimizer: Optimizer, key: str, value: Any) -> Any:
    """A copy of a state; the tree's 0-d counters become numbers."""
    if optimizer._tree is not None:
        scalars = {state.key for rule in _rules(optimizer) for state in rule.scalar_states}
        if key == "step":
            return int(value.item())
        if key in scalars:
            return float(value.item())
    return _copied(value)


def _copied(value: Any) -> Any:
    if is_mlx(value):
        return type(value)(value)
    if isinstance(value, np.ndarray):
        return np.array(value, order="K")
    return copy.deepcopy(value)


def _class_name(optimizer: Optimizer) -> str:
    """The generated class behind an optimizer: a subclass loads its dicts, and it theirs."""
    for cls in type(optimizer).__mro__:
        if cls.__dict__.get("rules"):
            return cls.__name__
    return type(optimizer).__name__


def _steps_by_itself(optimizer: Optimizer) -> bool:
    """Whether a subclass overrides step(), and may keep states of its own."""
    return type(optimizer).step.__module__ != __package__ + ".optimizer"


def _rules(optimizer: Optimizer) -> Iterator[Rule]:
    if optimizer._rule is not None:
        yield optimizer._rule


def _targets(optimizer: Optimizer) -> list[list[Target]]:
    """The present parameters of each group."""
    if optimizer._tree is not None:
        return [_tree_targets(optimizer)]
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


def _tree_targets(optimizer: Optimizer) -> list[Target]:
    """The parameters of the MLX idiom, which are known by name after ``init``."""
    tree, label = optimizer._tree, type(optimizer).__name__
    if not tree.state:
        raise RuntimeError(f"{label}: call init(params) first, so that its parameters are known")
    return [
        Target(name, name, tree.shapes[name], entry, f"{label}: parameter {name!r}")
        for name, entry in tree.saved_entries().items()
    ]


# -- loading --------------------------------------------------------------------------------------


def load(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Check a saved dict against an optimizer, then load it."""
    label = type(optimizer).__name__
    groups, state = _parsed(label, state_dict)
    _check_class(optimizer, state_dict)
    targets = _targets(optimizer)
    pairs = _matched(label, groups, targets)
    new_groups: list[tuple[dict[str, Any], Settings | None]] = []
    new_states: list[tuple[Target, dict[str, Any]]] = []
    ours = "class" in state_dict
    for index, (present, matches) in enumerate(zip(optimizer.param_groups, pairs, strict=True)):
        saved, ids = matches
        where = optimizer._label(index, present)
        values, settings = _new_values(optimizer, present, saved, where)
        new_groups.append((values, settings))
        for target, key in zip(targets[index], ids, strict=True):
            entry = state.get(key) or {}
            _check_shape(saved, key, target)
            new_states.append((target, _new_entry(optimizer, settings, entry, target, ours)))
    _commit(optimizer, new_groups, new_states)


def _parsed(
    label: str, state_dict: Mapping[str, Any]
) -> tuple[list[SavedGroup], Mapping[Any, Mapping[str, Any]]]:
    """The groups and states of a saved dict; Lucid 2 lists tied parameters twice."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"{label}: a state dict is a dict, got {type(state_dict).__name__}")
    for key in ("state", "param_groups"):
        if key not in state_dict:
            raise ValueError(f"{label}: the state dict has no {key!r}: is it an optimizer's?")
    groups = []
    seen: set[Any] = set()
    for index, group in enumerate(state_dict["param_groups"]):
        if not isinstance(group, Mapping) or "params" not in group:
            raise ValueError(f"{label}: saved group {index} has no 'params'")
        ids = list(dict.fromkeys(group["params"]))
        names, shapes = group.get("param_names"), group.get("param_shapes")
        for kind, found in (("names", names), ("shapes", shapes)):
            if found is not None and len(found) != len(ids):
                raise ValueError(
                    f"{label}: saved group {index} has {len(ids)} parameters, {len(found)} {kind}"
                )
        groups.append(
            SavedGroup(
                values={key: value for key, value in group.items() if key not in _LAYOUT},
                ids=ids,
                names=None if names is None else list(names),
                shapes=None if shapes is None else [tuple(shape) for shape in shapes],
            )
        )
        seen.update(ids)
    state = state_dict["state"]
    if not isinstance(state, Mapping):
        raise TypeError(f"{label}: 'state' is a dict by parameter, got {type(state).__name__}")
    stray = [key for key in state if key not in seen]
    if stray:
        raise ValueError(f"{label}: saved state of {stray!r}, which no saved group lists")
    for key, entry in state.items():
        if not isinstance(entry, Mapping):
            raise TypeError(f"{label}: the saved state of {key!r} is no dict")
    return groups, state


def _check_class(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    label, own = type(optimizer).__name__, _class_name(optimizer)
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


def _matched(
    label: str, groups: list[SavedGroup], targets: list[list[Target]]
) -> list[tuple[SavedGroup, list[Any]]]:
    """For each present group the saved one, and the saved ids in the present order."""
    if len(groups) != len(targets):
        raise ValueError(
            f"{label}: the state dict has {len(groups)} groups, the optimizer {len(targets)}"
        )
    named = all(target.name is not None for group in targets for target in group)
    if named and all(group.names is not None for group in groups):
        return _matched_by_name(label, groups, targets)
    for index, (saved, present) in enumerate(zip(groups, targets, strict=True)):
        if len(saved.ids) != len(present):
            raise ValueError(
                f"{label}: group {index} has {len(present)} parameters, the saved one "
                f"{len(saved.ids)}"
            )
    return [(group, group.ids) for group in groups]


def _matched_by_name(
    label: str, groups: list[SavedGroup], targets: list[list[Target]]
) -> list[tuple[SavedGroup, list[Any]]]:
    by_name = [dict(zip(group.names or [], group.ids, strict=True)) for group in groups]
    saved_names = {name for ids in by_name for name in ids}
    own_names = {target.name for group in targets for target in group if target.name}
    problems = []
    if own_names - saved_names:
        problems.append(f"not in the state dict: {', '.join(sorted(own_names - saved_names))}")
    if saved_names - own_names:
        problems.append(f"only in the state dict: {', '.join(sorted(saved_names - own_names))}")
    if problems:
        raise ValueError(f"{label}: the parameters differ; {'; '.join(problems)}")
    pairs = []
    for index, present in enumerate(targets):
        names = {target.name for target in present}
        for group, ids in zip(groups, by_name, strict=True):
            if names == set(ids):
                pairs.append((group, [ids[target.name or ""] for target in present]))
                break
        else:
            raise ValueError(
                f"{label}: no saved group holds just the parameters of group {index} "
                f"({', '.join(sorted(str(name) for name in names))}); group them as they were saved"
            )
    return pairs


def _check_shape(saved: SavedGroup, key: Any, target: Target) -> None:
    if saved.shapes is None:
        return
    shape = saved.shapes[saved.ids.index(key)]
    if shape != target.shape:
        raise ValueError(
            f"{target.label}: has shape {target.shape}, but was saved with shape {shape}"
        )


def _new_values(
    optimizer: Optimizer, present: Mapping[str, Any], saved: SavedGroup, where: str
) -> tuple[dict[str, Any], Settings | None]:
    """The checked values of a loaded group; what was not saved stays as it is."""
    where = f"{where}: saved value"
    rule = optimizer._rule
    if rule is None:
        return copy.deepcopy(saved.values), None
    found = {}
    for key, value in saved.values.items():
        if key in rule.torch_keys:
            if value != rule.torch_keys[key]:
                raise ValueError(
                    f"{where}: {key}={value!r}, but {type(optimizer).__name__} computes what torch "
                    f"does for {key}={rule.torch_keys[key]!r}"
                )
            continue
        found[key] = copy.deepcopy(value)
    current = {
        key: value
        for key, value in present.items()
        if key not in STRUCTURE and key not in SCHEDULER_NOTES
    }
    values = check_values(rule, optimizer.rules, {**current, **found}, where)
    return values, settle(rule, values, where)


def _new_entry(
    optimizer: Optimizer,
    settings: Settings | None,
    saved: Mapping[str, Any],
    target: Target,
    ours: bool,
) -> dict[str, Any]:
    """The checked and copied state of a parameter."""
    found = {key: value for key, value in saved.items() if value is not None}
    if settings is None or not found:
        return {key: _copied(value) for key, value in found.items()}
    rule, label = settings.rule, target.label
    unknown = [key for key in found if key not in rule.keys and key != "step"]
    if unknown and not _steps_by_itself(optimizer):
        raise ValueError(
            f"{label}: saved state {', '.join(map(repr, unknown))}, but "
            f"{type(optimizer).__name__} keeps {', '.join(sorted(rule.keys)) or 'no state'}; "
            f"was the dict saved by another class?"
        )
    _check_complete(optimizer, settings, found, target, ours)
    shapes = {state.key: state.shape(target.shape) for state in rule.arrays}
    scalars = {state.key for state in rule.scalar_states}
    entry: dict[str, Any] = {}
    for key, value in found.items():
        if key == "step":
            if rule.counts_steps:
                entry[key] = _as_count(value, label)
        elif key in scalars:
            entry[key] = _as_scalar(key, value, label)
        elif key in shapes:
            entry[key] = _as_array(key, value, shapes[key], label)
        else:
            entry[key] = _copied(value)
    return entry


def _required(settings: Settings, ours: bool) -> list[str]:
    """The keys without which a saved state cannot go on.

    A first update makes its state by itself, so its absence is no gap. In a dict of ours a state
    that depends on choices may be missing as well: it was switched on after the last step.
    """
    keys = ["step"] if settings.rule.counts_steps else []
    for state in (*settings.arrays, *settings.scalars):
        if not state.first and not (ours and state.live is not None):
            keys.append(state.key)
    return keys


def _check_complete(
    optimizer: Optimizer,
    settings: Settings,
    found: Mapping[str, Any],
    target: Target,
    ours: bool,
) -> None:
    missing = [key for key in _required(settings, ours) if key not in found]
    if not missing:
        return
    fitting = [
        dialect
        for dialect, rule in optimizer.rules.items()
        if dialect != optimizer.dialect
        and rule.keys | {"step"} >= set(found)
        and all(state.key in found for state in rule.states if state.live is None)
    ]
    remedy = (
        f"construct the optimizer with dialect={' or '.join(map(repr, fitting))}, or remove"
        if fitting
        else "remove"
    )
    raise ValueError(
        f"{target.label}: {', '.join(map(repr, missing))} missing from the saved state; {remedy} "
        f"its entry from state_dict['state'] to start its state afresh"
    )


def _as_count(value: Any, label: str) -> int:
    number = _as_scalar("step", value, label)
    if not number >= 0 or number != int(number):
        raise ValueError(f"{label}: the saved step must be a whole number, got {number!r}")
    return int(number)


def _as_scalar(key: str, value: Any, label: str) -> float:
    array = as_numpy(value)
    if array.size != 1 or array.dtype.kind not in "fiu":
        raise ValueError(f"{label}: the saved {key!r} must be one number, got {value!r}")
    return float(array.reshape(()))


def _as_array(key: str, value: Any, shape: tuple[int, ...], label: str) -> Any:
    """A copy of a saved array; the backend gives it the parameter's type at the next step."""
    made = _copied(value) if is_mlx(value) else np.array(as_numpy(value), order="K")
    if tuple(made.shape) != shape:
        raise ValueError(
            f"{label}: the saved {key!r} has shape {tuple(made.shape)}, expected {shape}"
        )
    if isinstance(made, np.ndarray) and made.dtype.kind not in "fiu":
        raise TypeError(f"{label}: the saved {key!r} is of type {made.dtype}, not a real type")
    return made


def _commit(
    optimizer: Optimizer,
    groups: list[tuple[dict[str, Any], Settings | None]],
    entries: list[tuple[Target, dict[str, Any]]],
) -> None:
    """Put what was checked in place; from here on nothing fails."""
    if optimizer._tree is not None:
        values, settings = groups[0]
        optimizer._tree.load(settings, {target.handle: entry for target, entry in entries})
        dict.update(optimizer.param_groups[0], values)
        optimizer.param_groups[0].settings = None
        return
    for present, (values, _) in zip(optimizer.param_groups, groups, strict=True):
        for key in [key for key in present if key in SCHEDULER_NOTES and key not in values]:
            del present[key]
        present.update(values)
    optimizer._states.clear()
    for target, entry in entries:
        if entry:
            optimizer._states[target.handle] = entry
