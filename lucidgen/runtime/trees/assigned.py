"""States of the MLX idiom that a user assigns: ``optimizer.state = tree_unflatten(...)``.

Owns the checks of such a state against the rule and the parameters. Names of parameters hold dots;
``tree_unflatten`` takes them apart, and empty dicts do not outlive ``tree_flatten``: both are
undone here. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..arrays import is_mlx
from ..checking import nearest, shown
from ..groups.states import MASTER_WEIGHT
from ..step.clipping import GRAD_NORM
from .counts import as_count
from .leaves import leaves

if TYPE_CHECKING:
    from .group_state import GroupState


def parsed(member: GroupState, value: Any) -> dict[str, Any]:
    """The state of a group as it is kept, of one that was assigned."""
    label, rule = member.label, member.rule
    if not isinstance(value, Mapping):
        raise TypeError(f"{label}: a state must be a dict, got {type(value).__name__}")
    scalars = [state.key for state in rule.scalar_states]
    known = ["step", *([rule.rate] if rule.rate else []), *scalars]
    for key in value:
        if key not in (*known, "params", GRAD_NORM):
            raise ValueError(
                f"{label}: the state has {shown(key)}, but must have {', '.join(known)} and "
                f"params; was it taken from the state of another optimizer?"
            )
    if "step" not in value:
        raise ValueError(f"{label}: the state has no 'step'")
    found: dict[str, Any] = {}
    for key in known:
        if key in value:
            found[key] = _as_number(key, value[key], label)
    keys = {*known, "started", MASTER_WEIGHT, *(state.key for state in rule.arrays)} - {rule.rate}
    entries: dict[str, dict[str, Any]] = {}
    for path, array in leaves(value.get("params", {})):
        name, _, key = path.rpartition(".")
        if key not in keys:
            raise ValueError(f"{label}: {shown(path)} is no state; {nearest(key, sorted(keys))}")
        if key in known:
            array = _as_number(key, array, f"{label}: parameter {shown(name)}")
        entries.setdefault(name, {})[key] = array
    return {**found, "params": entries}


def _as_number(key: str, array: Any, label: str) -> Any:
    """A 0-d array, the step count in the type that it is kept in."""
    if not is_mlx(array) or array.shape != ():
        raise TypeError(f"{label}: {key} must be a 0-d MLX array in a state, got {shown(array)}")
    return as_count(array, label) if key == "step" else array


def check_entries(
    member: GroupState,
    shapes: Mapping[str, tuple[int, ...]],
    entries: Mapping[str, Mapping[str, Any]] | None = None,
    complete: bool = False,
) -> None:
    """Refuse states of unknown parameters and of other shapes, and ``complete`` ones with gaps."""
    label, settings = member.label, member.settings
    entries = member.entries if entries is None else entries
    for name, entry in entries.items():
        if name not in shapes:
            raise ValueError(
                f"{label}: the state of {shown(name)}, which is no parameter; "
                f"{nearest(name, shapes)}"
            )
        shape = tuple(shapes[name])
        expected = {state.key: state.shape(shape) for state in member.rule.arrays}
        for key, of in (expected | {MASTER_WEIGHT: shape}).items():
            if key in entry and entry[key].shape != of:
                raise ValueError(
                    f"{label}: parameter {shown(name)}: its state {key!r} has shape "
                    f"{entry[key].shape}, expected {of}"
                )
    for name in shapes if complete else ():
        for state in settings.arrays:
            if not state.first and state.key not in entries.get(name, {}):
                raise ValueError(
                    f"{label}: the state lacks {state.key!r} of parameter {shown(name)}"
                )
