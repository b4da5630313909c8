"""Matching the parameters of a saved dict to those that are there: by name, else by position.

Owns what is read of the dict's layout and the checks of counts, names and shapes. Does not look
into values and states (``restoring``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..checking import listed, shown
from ..engine import Target
from ..groups.options import MACHINERY
from ..groups.settings import STRUCTURE

_LAYOUT = (*STRUCTURE, *MACHINERY, "param_shapes", "updates")


@dataclass(frozen=True)
class SavedGroup:
    """A group of a saved dict: its values, and what it says of its parameters."""

    values: dict[str, Any]
    ids: list[Any]
    names: list[str] | None
    shapes: list[tuple[int, ...]] | None
    updates: int | None  # how many there were, if that was saved


def parsed(
    label: str, state_dict: Mapping[str, Any]
) -> tuple[list[SavedGroup], Mapping[Any, Mapping[str, Any]]]:
    """The groups and states of a saved dict; Lucid 2 lists tied parameters twice."""
    _dict(state_dict, f"{label}: a state dict")
    for key in ("state", "param_groups"):
        if key not in state_dict:
            raise ValueError(f"{label}: the state dict has no {shown(key)}: is it an optimizer's?")
    saved = _listed(state_dict["param_groups"], f"{label}: 'param_groups'", "dicts", Mapping)
    groups = [_group(group, f"{label}: saved group {i}") for i, group in enumerate(saved)]
    state = _dict(state_dict["state"], f"{label}: 'state'")
    seen = {key for group in groups for key in group.ids}
    stray = [key for key in state if key not in seen]
    if stray:
        raise ValueError(f"{label}: saved state of {shown(stray)}, which no saved group lists")
    for key, entry in state.items():
        _dict(entry, f"{label}: the saved state of {shown(key)}")
    return groups, state


def _group(group: Mapping[str, Any], label: str) -> SavedGroup:
    """A saved group, once its layout is as it must be."""
    if "params" not in group:
        raise ValueError(f"{label} has no 'params'")
    _dict(group, label)
    ids = list(dict.fromkeys(_listed(group["params"], f"{label}: 'params'", "numbers", int | str)))
    names, shapes = group.get("param_names"), group.get("param_shapes")
    if names is not None:
        names = _listed(names, f"{label}: 'param_names'", "names", str)
        if len(set(names)) != len(names):
            raise ValueError(f"{label}: 'param_names' has a name twice: {shown(names)}")
    if shapes is not None:
        shapes = _listed(shapes, f"{label}: 'param_shapes'", "shapes", tuple | list)
        shapes = [tuple(_listed(s, f"{label}: a shape", "whole numbers", int)) for s in shapes]
    for kind, found in (("names", names), ("shapes", shapes)):
        if found is not None and len(found) != len(ids):
            raise ValueError(f"{label} has {len(ids)} parameters, {len(found)} {kind}")
    updates = group.get("updates")
    if updates is not None and (not isinstance(updates, int) or updates < 0):
        raise ValueError(f"{label}: 'updates' must be a whole number, got {shown(updates)}")
    values = {key: value for key, value in group.items() if key not in _LAYOUT}
    return SavedGroup(values, ids, names, shapes, updates)


def _dict(value: Any, label: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{label} must be a dict, got {shown(value)} ({type(value).__name__})")
    return value


def _listed(value: Any, label: str, of: str, kind: Any) -> list[Any]:
    """The items of a list, each of a kind."""
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"{label} must be a list of {of}, got {shown(value)} ({type(value).__name__})"
        )
    for item in value:
        if not isinstance(item, kind):
            raise TypeError(
                f"{label} must be a list of {of}, but has {shown(item)} ({type(item).__name__})"
            )
    return list(value)


def matched(
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
        problems.append(f"not in the state dict: {listed(sorted(own_names - saved_names))}")
    if saved_names - own_names:
        problems.append(f"only in the state dict: {listed(sorted(saved_names - own_names))}")
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
                f"({listed(sorted(str(name) for name in names))}); group them as they were saved"
            )
    return pairs


def check_shape(saved: SavedGroup, key: Any, target: Target) -> None:
    if saved.shapes is None:
        return
    shape = saved.shapes[saved.ids.index(key)]
    if shape != target.shape:
        raise ValueError(
            f"{target.label}: has shape {target.shape}, but was saved with shape {shown(shape)}"
        )
