"""States of the MLX idiom that a user assigns: ``optimizer.state = tree_unflatten(...)``.

Owns the checks of such a state against the rule and the parameters. In our own layout, names of
parameters hold dots; ``tree_unflatten`` takes them apart, and empty dicts do not outlive
``tree_flatten``: both are undone here. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..arrays import is_mlx
from ..checking import nearest, shown
from ..groups.states import MASTER_WEIGHT
from ..step.clipping import GRAD_NORM
from .counts import as_count
from .leaves import leaves

if TYPE_CHECKING:
    from .group_state import GroupState


def parsed(member: GroupState, value: Any, names: Collection[str]) -> dict[str, Any]:
    """What a state has of a group, where it is kept; below "params" the states by names.

    ``names`` are those of all parameters that it may be of, as far as they are known.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{member.label}: a state must be a dict, got {type(value).__name__}")
    if member.layout.is_mlx:
        return _parsed_in_tree(member, value, names)
    return _parsed_by_name(member, value)


def _parsed_in_tree(
    member: GroupState, value: Mapping[str, Any], names: Collection[str]
) -> dict[str, Any]:
    """What a state has in MLX's layout; what else is beside the states is the user's own."""
    label, layout = member.label, member.layout
    found, keys = _beside(member, value), _keys(member)
    entries = layout.entries(value, names)
    for path, _ in leaves({key: value[key] for key in value if key not in layout.beside}):
        name, _, key = path.rpartition(".")
        if name and name not in entries:
            hint = nearest(name, names)
            raise ValueError(f"{label}: the state of {shown(name)}, which is no parameter; {hint}")
    for name, entry in entries.items():
        for key, array in entry.items():
            if key not in keys:
                hint = nearest(key, sorted(keys))
                raise ValueError(f"{label}: {shown(f'{name}.{key}')} is no state; {hint}")
            if not is_mlx(array):
                raise TypeError(
                    f"{label}: parameter {shown(name)}: its state {key!r} must be an MLX array, "
                    f"got {type(array).__name__}"
                )
            if key in layout.beside:
                _as_number(member, key, array, f"{label}: parameter {shown(name)}")
    return {**found, "params": entries}


def _parsed_by_name(member: GroupState, value: Mapping[str, Any]) -> dict[str, Any]:
    label, known = member.label, member.layout.beside
    for key in value:
        if key not in (*known, "params", GRAD_NORM):
            raise ValueError(
                f"{label}: the state has {shown(key)}, but must have {', '.join(known)} and "
                f"params; was it taken from the state of another optimizer?"
            )
    found, keys = _beside(member, value), _keys(member)
    entries: dict[str, dict[str, Any]] = {}
    for path, array in leaves(value.get("params", {})):
        name, _, key = path.rpartition(".")
        if key not in keys:
            raise ValueError(f"{label}: {shown(path)} is no state; {nearest(key, sorted(keys))}")
        if key in known:
            array = _as_number(member, key, array, f"{label}: parameter {shown(name)}")
        entries.setdefault(name, {})[key] = array
    return {**found, "params": entries}


def _as_number(member: GroupState, key: str, array: Any, label: str) -> Any:
    """A 0-d array, the step count in the type that it is kept in."""
    if not is_mlx(array) or array.shape != ():
        raise TypeError(f"{label}: {key} must be a 0-d MLX array in a state, got {shown(array)}")
    return as_count(array, label, member.layout.count) if key == "step" else array


def _keys(member: GroupState) -> set[str]:
    """The keys that the state of a parameter may have."""
    layout = member.layout
    own = {"started", MASTER_WEIGHT, *layout.beside} - {layout.rate}
    return own | {state.key for state in layout.rule.arrays}


def _beside(member: GroupState, value: Mapping[str, Any]) -> dict[str, Any]:
    """What a state has for all parameters together."""
    label = member.label
    if "step" not in value:
        raise ValueError(f"{label}: the state has no 'step'")
    return {
        key: _as_number(member, key, value[key], label)
        for key in member.layout.beside
        if key in value
    }


def check_entries(
    member: GroupState,
    shapes: Mapping[str, tuple[int, ...]],
    entries: Mapping[str, Mapping[str, Any]],
    complete: bool = False,
) -> None:
    """Refuse states of unknown parameters and of other shapes, and ``complete`` ones with gaps."""
    label = member.label
    for name, entry in entries.items():
        if name not in shapes:
            raise ValueError(
                f"{label}: the state of {shown(name)}, which is no parameter; "
                f"{nearest(name, shapes)}"
            )
        shape = tuple(shapes[name])
        expected = {state.key: state.shape(shape) for state in member.layout.rule.arrays}
        for key, of in (expected | {MASTER_WEIGHT: shape}).items():
            if key in entry and entry[key].shape != of:
                raise ValueError(
                    f"{label}: parameter {shown(name)}: its state {key!r} has shape "
                    f"{entry[key].shape}, expected {of}"
                )
    for name in shapes if complete else ():
        for state in member.settings.of(tuple(shapes[name])).arrays:
            if not state.first and state.key not in entries.get(name, {}):
                raise ValueError(
                    f"{label}: the state lacks {state.key!r} of parameter {shown(name)}"
                )
