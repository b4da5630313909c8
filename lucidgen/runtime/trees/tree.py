"""The MLX idiom: parameters and gradients as trees of arrays, state as a tree of arrays.

Owns ``Tree``: which parameter is in which group, the norm of all gradients, and the checks before
an update, which may run inside ``mx.compile``; nothing is evaluated here. The state is that of the
one group (``tree_group``), or

    {"groups": [<state of a group>, ...]}

and, where gradients are clipped to a norm, the "grad_norm" of the last update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mlx.core as mx

from ..arrays import is_floating
from ..backends.kernel_choice import demand
from ..checking import nearest
from ..groups.selection import routed
from ..groups.settings import Group, Settings
from ..groups.without_decay import check_names
from ..step.clipping import GRAD_NORM, factor, mlx_norm
from .assigned import check_entries, parsed
from .group_state import GroupState
from .leaves import leaves, parameters_of, replaced
from .update import Common

Array = Any


class Tree:
    """The array state of one optimizer and the update of a tree of parameters."""

    def __init__(
        self,
        common: Common,
        groups: Sequence[Group],
        labels: Sequence[str],
        state: dict[str, Any],
        shapes: dict[str, tuple[int, ...]],
    ) -> None:
        self.common = common
        self.label = common.label
        self.state = state
        self.shapes = shapes  # of the parameters; empty before init
        self._groups, self._labels = groups, labels
        states = [state]
        if len(groups) > 1:
            states = state.setdefault("groups", [{} for _ in groups])
        self.members = [
            GroupState(common, group, own, label)
            for group, own, label in zip(groups, states, labels, strict=True)
        ]

    # -- set-up -----------------------------------------------------------------------------------

    def init(self, params: Any, clips: bool) -> None:
        """Make the state for these parameters in place of any there is; one just assigned stays."""
        arrays = dict(leaves(parameters_of(params)))
        for name, array in arrays.items():
            self._check_array(name, array)
        if not arrays:
            raise ValueError(f"{self.label}: the tree holds no MLX arrays")
        if self.common.no_decay is not None:
            check_names(self.common.no_decay, arrays, self.label)
        assigned = bool(not self.shapes and self.members[0].state)
        parts = self._parts(arrays, assigned)
        if assigned:
            for member, part in zip(self.members, parts, strict=True):
                check_entries(member, {name: array.shape for name, array in part.items()})
        for member, part in zip(self.members, parts, strict=True):
            if assigned:
                member.complete(part)
            else:
                member.start(part)
        if clips:  # a place for the norm, so that a step that is captured finds it there
            self.state.setdefault(GRAD_NORM, mx.array(0.0))
        self.shapes.clear()
        self.shapes.update({name: tuple(array.shape) for name, array in arrays.items()})

    def _parts(self, arrays: Mapping[str, Array], keep: bool) -> list[dict[str, Array]]:
        """The parameters of each group: where their state is, else as the groups select them."""
        homes: dict[str, int] = {}
        if self._groups[0].selection is None:
            return [dict(arrays)]
        if keep:
            for index, member in enumerate(self.members):
                homes |= {name: index for name in member.entries if name in arrays}
        rest = {name: array for name, array in arrays.items() if name not in homes}
        selections = [group.selection for group in self._groups]
        homes |= routed(selections, rest, self._labels, self.label, late=keep)
        parts: list[dict[str, Array]] = [{} for _ in self.members]
        for name, array in arrays.items():
            parts[homes[name]][name] = array
        return parts

    def _check_array(self, name: str, array: Array) -> None:
        if not is_floating(array):
            raise TypeError(
                f"{self.label}: parameter {name!r} is of type {array.dtype}; only real floating "
                f"types can be optimized"
            )

    # -- the update -------------------------------------------------------------------------------

    def apply(self, grads: Any, params: Any, max_grad_norm: float | None = None) -> Any:
        """The tree of updated parameters. Those without a gradient stay as they are."""
        params = parameters_of(params)
        demand(self.common.kernel, self.label)
        if not self.shapes:
            self.init(params, max_grad_norm is not None)
        arrays, gradients = dict(leaves(params)), dict(leaves(grads))
        self._check_gradients(arrays, gradients)
        kept = {name for member in self.members for name in member.entries}
        here = {name: w for name, w in arrays.items() if name in kept or name in gradients}
        parts = self._parts(here, keep=True)
        scale = None
        if max_grad_norm is not None:
            norm = mlx_norm(gradients.values())
            scale = factor(norm, max_grad_norm)
            self.state[GRAD_NORM] = norm
        new: dict[str, Array] = {}
        for member, part in zip(self.members, parts, strict=True):
            own = {name: grad for name, grad in gradients.items() if name in part}
            new |= member.apply(part, own, scale)
        self.shapes.update({name: tuple(arrays[name].shape) for name in gradients})
        return replaced(params, new)

    def _check_gradients(self, arrays: dict[str, Any], gradients: dict[str, Any]) -> None:
        entries = {name: entry for m in self.members for name, entry in m.entries.items()}
        for name, grad in gradients.items():
            if name not in arrays:
                hint = nearest(name, arrays)
                raise ValueError(f"{self.label}: gradient {name!r} has no parameter; {hint}")
            w = arrays[name]
            self._check_array(name, w)
            if not is_floating(grad):
                raise TypeError(f"{self.label}: the gradient of {name!r} is of type {grad.dtype}")
            if grad.shape != w.shape:
                raise ValueError(
                    f"{self.label}: the gradient of {name!r} has shape {grad.shape}, the parameter "
                    f"{w.shape}"
                )
            for state in self.common.rule.arrays:
                found = entries.get(name, {}).get(state.key)
                if found is not None and found.shape != state.shape(w.shape):
                    raise ValueError(
                        f"{self.label}: parameter {name!r} has shape {w.shape}, its state "
                        f"{state.key!r} {found.shape}; call init(params) after a change of shape"
                    )

    @property
    def learning_rate(self) -> Array:
        """That of the first group."""
        first = self._groups[0]
        found = self.members[0].state.get("lr")
        return mx.array(first["lr"], dtype=mx.float32) if found is None else found

    def check_change(self, key: str, old: Any, new: Any) -> None:
        """Refuse a change that a traced step would not notice."""
        self.members[0].check_change(key, old, new)

    # -- the state --------------------------------------------------------------------------------

    def load(
        self,
        groups: Sequence[tuple[dict[str, Any], Settings]],
        entries: Mapping[str, dict[str, Any]],
        updates: Sequence[int | None],
    ) -> None:
        """Put the checked values of each group and the checked states of parameters in place."""
        for member, (values, settings), count in zip(self.members, groups, updates, strict=True):
            own = {name: entries[name] for name in member.entries}
            member.load(values, settings, own, count)

    def checked(self, value: Any) -> dict[str, Any]:
        """What ``put`` puts in the place of the state: one that was taken from ``state``.

        It may have been flattened and unflattened in between.

        Raises
        ------
        TypeError, ValueError
            If it does not fit.
        """
        found = self._assigned_groups(value)
        states = [parsed(member, own) for member, own in zip(self.members, found, strict=True)]
        if self.shapes:
            for member, state in zip(self.members, states, strict=True):
                shapes = {name: self.shapes[name] for name in member.entries}
                check_entries(member, shapes, state["params"], complete=True)
                for name in shapes:
                    state["params"].setdefault(name, {})
        norm = value.get(GRAD_NORM, self.state.get(GRAD_NORM))
        return {"groups": states, **({} if norm is None else {GRAD_NORM: norm})}

    def put(self, checked: Mapping[str, Any]) -> None:
        """Replace the state by a checked one."""
        for member, state in zip(self.members, checked["groups"], strict=True):
            member.assign(state)
        if GRAD_NORM in checked:
            self.state[GRAD_NORM] = checked[GRAD_NORM]

    def _assigned_groups(self, value: Any) -> Iterator[Any]:
        """The part of each group in an assigned state."""
        if not isinstance(value, Mapping):
            raise TypeError(f"{self.label}: a state must be a dict, got {type(value).__name__}")
        if len(self.members) == 1:
            return iter([value])
        groups = value.get("groups")
        if not isinstance(groups, list) or len(groups) != len(self.members):
            raise ValueError(
                f"{self.label}: the state must have a list 'groups' of {len(self.members)}, as "
                f"many as the optimizer has"
            )
        return iter(groups)
