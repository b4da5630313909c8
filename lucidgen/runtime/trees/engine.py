"""Updates of trees of MLX arrays, without parameters: the idiom of mlx.optimizers.

Owns ``TreeEngine``: the groups that select from a tree, which array is in which group, the norm of
all gradients, and the checks before an update, which may run inside ``mx.compile``; nothing is
evaluated here. The state is that of the one group (``group_state``), or

    {"groups": [<state of a group>, ...]}

and, where gradients are clipped to a norm, the "grad_norm" of the last update. MLX is imported when
the states of groups are first needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from ..arrays import is_floating, is_mlx_module, needed_mlx
from ..backends.gpu import ANY
from ..checking import nearest
from ..engine import Loaded, Owner, Target
from ..groups.grouping import group_label, settle_again
from ..groups.selection import Selection, as_selection, is_selection, routed
from ..groups.settings import Group, check_values, settle
from ..groups.without_decay import check_names
from ..kernel_choice import demand, gpu_kernels
from ..step.clipping import GRAD_NORM, factor, mlx_norm
from .assigned import check_entries, parsed
from .leaves import leaves, replaced, tree_of
from .rate import Schedule, is_schedule, with_first_value

if TYPE_CHECKING:
    from .group_state import GroupState

Array = Any


def is_for_trees(params: Any, label: str) -> bool:
    """Whether what a constructor is given means trees: nothing, a module, or groups that select."""
    if params is None or is_mlx_module(params):
        return True
    if not isinstance(params, list | tuple):
        return False
    found = [isinstance(g, Mapping) and is_selection(g.get("params")) for g in params]
    if any(found) and not all(found):
        raise TypeError(
            f"{label}: either all groups select parameters of a tree by patterns or a function, or "
            f"none does; group {found.index(False)} does not"
        )
    return any(found)


class TreeEngine:
    """Updates trees of arrays, with a state that ``mx.compile`` can capture."""

    kind: ClassVar[str] = "trees"

    def __init__(self, no_decay: Selection | None = None) -> None:
        #: One object for good, so that a step that captured it goes on from what is put into it.
        self.state: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # of the parameters; empty before init
        self.accumulated = 0  # of a dict that was loaded
        self._no_decay = no_decay
        self._members: list[GroupState] = []  # the state of each group; empty before it is needed

    # -- set-up -----------------------------------------------------------------------------------

    def start(self, owner: Owner, params: Any, schedule: Schedule | None) -> None:
        """Make the groups that the constructor is given, and the state if that is a module."""
        label, rule = type(owner).__name__, owner._rule
        if rule is None:
            raise TypeError(f"{label}: params is None; give the parameters to optimize")
        is_module = params is None or is_mlx_module(params)
        for index, given in enumerate([{}] if is_module else params):
            where = label if is_module else group_label(owner, index, given)
            values = with_first_value(rule, {**owner.defaults, **given}, where)
            group = Group({"params": [], **check_values(rule, owner.rules, values, where)})
            if "name" in given:
                group["name"] = given["name"]
            group.settings = settle(rule, group, where)
            if not is_module:
                group.selection = as_selection(given["params"], f"{where}: params")
            own = given.get(rule.rate, schedule)
            group.schedule = own if is_schedule(own) else None
            owner.param_groups.append(group)
        self._watch_schedules(owner)
        if params is not None and is_module:
            self.init(owner, params)

    def _watch_schedules(self, owner: Owner) -> None:
        """Let no schedule be forgotten when lr is set."""
        if any(group.schedule for group in owner.param_groups):
            self._ready(owner)

    def _ready(self, owner: Owner) -> list[GroupState]:
        """The state of each group; the values of groups are checked where they were written to."""
        label, rule, groups = type(owner).__name__, owner._rule, owner.param_groups
        assert rule is not None
        labels = [label]
        if groups[0].selection is not None:
            labels = [group_label(owner, i, group) for i, group in enumerate(groups)]
        for group, where in zip(groups, labels, strict=True):
            if group.settings is None:
                settle_again(owner, rule, group, where)
        if not self._members:
            needed_mlx(f"{label}: a tree of arrays")
            from .group_state import GroupState
            from .update import Common

            has_masters = bool(owner._options.get("master_weights"))
            common = Common(rule, label, gpu_kernels(owner.kernel), self._no_decay, has_masters)
            states = [self.state]
            if len(groups) > 1:
                states = self.state.setdefault("groups", [{} for _ in groups])
            self._members = [
                GroupState(common, group, own, where)
                for group, own, where in zip(groups, states, labels, strict=True)
            ]
        return self._members

    def init(self, owner: Owner, params: Any) -> None:
        """Make the state for these parameters in place of any there is; one just assigned stays."""
        members, label = self._ready(owner), type(owner).__name__
        arrays = dict(leaves(tree_of(params, f"{label}: params")))
        for name, array in arrays.items():
            _check_array(label, name, array)
        if not arrays:
            raise ValueError(f"{label}: the tree holds no MLX arrays")
        if self._no_decay is not None:
            check_names(self._no_decay, arrays, label)
        assigned = bool(not self.shapes and members[0].state)
        parts = self._parts(label, arrays, assigned)
        if assigned:
            for member, part in zip(members, parts, strict=True):
                check_entries(member, {name: array.shape for name, array in part.items()})
        for member, part in zip(members, parts, strict=True):
            if assigned:
                member.complete(part)
            else:
                member.start(part)
        if owner.max_grad_norm is not None:
            # A place for the norm, so that a step that is captured finds it there.
            import mlx.core as mx

            self.state.setdefault(GRAD_NORM, mx.array(0.0))
        self.shapes.clear()
        self.shapes.update({name: tuple(array.shape) for name, array in arrays.items()})

    def _parts(self, label: str, arrays: Mapping[str, Array], keep: bool) -> list[dict[str, Array]]:
        """The parameters of each group: where their state is, else as the groups select them."""
        members = self._members
        if members[0].group.selection is None:
            return [dict(arrays)]
        homes: dict[str, int] = {}
        if keep:
            for index, member in enumerate(members):
                homes |= {name: index for name in member.entries if name in arrays}
        rest = {name: array for name, array in arrays.items() if name not in homes}
        selections = [member.group.selection for member in members]
        labels = [member.label for member in members]
        homes |= routed(selections, rest, labels, label, late=keep)
        parts: list[dict[str, Array]] = [{} for _ in members]
        for name, array in arrays.items():
            parts[homes[name]][name] = array
        return parts

    # -- updates ----------------------------------------------------------------------------------

    def apply_gradients(self, owner: Owner, grads: Any, params: Any) -> Any:
        """The tree of updated parameters. Those without a gradient stay as they are."""
        members, label = self._ready(owner), type(owner).__name__
        params, grads = tree_of(params, f"{label}: params"), tree_of(grads, f"{label}: grads")
        kernels = members[0].common.kernels
        if kernels is not None and kernels != ANY:
            demand(kernels, label)
        if not self.shapes:
            self.init(owner, params)
        arrays, gradients = dict(leaves(params)), dict(leaves(grads))
        self._check_gradients(label, arrays, gradients)
        kept = {name for member in members for name in member.entries}
        here = {name: w for name, w in arrays.items() if name in kept or name in gradients}
        parts = self._parts(label, here, keep=True)
        scale, max_grad_norm = None, owner.max_grad_norm
        if max_grad_norm is not None:
            norm = mlx_norm(gradients.values())
            scale = factor(norm, max_grad_norm) if max_grad_norm < math.inf else None
            self.state[GRAD_NORM] = norm
        new: dict[str, Array] = {}
        for member, part in zip(members, parts, strict=True):
            own = {name: grad for name, grad in gradients.items() if name in part}
            new |= member.apply(part, own, scale)
        self.shapes.update({name: tuple(arrays[name].shape) for name in gradients})
        return replaced(params, new)

    def _check_gradients(
        self, label: str, arrays: dict[str, Array], gradients: dict[str, Array]
    ) -> None:
        entries = {name: entry for m in self._members for name, entry in m.entries.items()}
        for name, grad in gradients.items():
            if name not in arrays:
                hint = nearest(name, arrays)
                raise ValueError(f"{label}: gradient {name!r} has no parameter; {hint}")
            w = arrays[name]
            _check_array(label, name, w)
            if not is_floating(grad):
                raise TypeError(f"{label}: the gradient of {name!r} is of type {grad.dtype}")
            if grad.shape != w.shape:
                raise ValueError(
                    f"{label}: the gradient of {name!r} has shape {grad.shape}, the parameter "
                    f"{w.shape}"
                )
            for state in self._members[0].rule.arrays:
                found = entries.get(name, {}).get(state.key)
                if found is not None and found.shape != state.shape(w.shape):
                    raise ValueError(
                        f"{label}: parameter {name!r} has shape {w.shape}, its state "
                        f"{state.key!r} {found.shape}; call init(params) after a change of shape"
                    )

    @property
    def grad_norm(self) -> Any:
        return self.state.get(GRAD_NORM)

    def step(self, owner: Owner, closure: Callable[[], Any] | None) -> NoReturn:
        raise RuntimeError(
            f"{type(owner).__name__}: constructed without parameters, so there is nothing to step; "
            f"give it parameters, or use update(model, grads)"
        )

    def add_hook(self, owner: Owner, hook: Any, is_before: bool) -> NoReturn:
        raise RuntimeError(
            f"{type(owner).__name__}: hooks are called around step(), which trees of arrays do "
            f"without; call the function after update()"
        )

    # -- changes from outside ---------------------------------------------------------------------

    def add_group(self, owner: Owner, given: Mapping[str, Any]) -> NoReturn:
        raise RuntimeError(
            f"{group_label(owner, len(owner.param_groups))}: the groups of an optimizer without "
            f"parameters are given when it is made"
        )

    def learning_rate(self, owner: Owner) -> Array:
        return self._ready(owner)[0].learning_rate

    def assign(self, owner: Owner, state: Any) -> None:
        self.put(self.checked(owner, state))

    def check_change(self, key: str, old: Any, new: Any, group: int = 0) -> None:
        """Refuse a change that a traced step would not notice."""
        if self._members:  # else nothing has been traced yet
            self._members[group].check_change(key, old, new)

    def check_accumulation(self, label: str, count: int) -> None:
        if count > 1:
            raise ValueError(
                f"{label}: update() applies what it is given; add up gradients with tree_map"
            )

    def checked(self, owner: Owner, value: Any) -> dict[str, Any]:
        """What ``put`` puts in the place of the state: one that was taken from ``state``.

        It may have been flattened and unflattened in between.

        Raises
        ------
        TypeError, ValueError
            If it does not fit.
        """
        members = self._ready(owner)
        found = self._assigned_groups(type(owner).__name__, value)
        states = [parsed(member, own) for member, own in zip(members, found, strict=True)]
        if self.shapes:
            for member, state in zip(members, states, strict=True):
                shapes = {name: self.shapes[name] for name in member.entries}
                check_entries(member, shapes, state["params"], complete=True)
                for name in shapes:
                    state["params"].setdefault(name, {})
        norm = value.get(GRAD_NORM, self.state.get(GRAD_NORM))
        return {"groups": states, **({} if norm is None else {GRAD_NORM: norm})}

    def put(self, checked: Mapping[str, Any]) -> None:
        """Replace the state by a checked one."""
        for member, state in zip(self._members, checked["groups"], strict=True):
            member.assign(state)
        if GRAD_NORM in checked:
            self.state[GRAD_NORM] = checked[GRAD_NORM]

    def _assigned_groups(self, label: str, value: Any) -> Iterator[Any]:
        """The part of each group in an assigned state."""
        if not isinstance(value, Mapping):
            raise TypeError(f"{label}: a state must be a dict, got {type(value).__name__}")
        if len(self._members) == 1:
            return iter([value])
        groups = value.get("groups")
        if not isinstance(groups, list) or len(groups) != len(self._members):
            raise ValueError(
                f"{label}: the state must have a list 'groups' of {len(self._members)}, as many as "
                f"the optimizer has"
            )
        return iter(groups)

    # -- saving and loading -----------------------------------------------------------------------

    def targets(self, owner: Owner) -> list[list[Target]]:
        label = type(owner).__name__
        if not self.shapes:
            raise RuntimeError(
                f"{label}: call init(params) first, so that its parameters are known"
            )
        return [
            [
                Target(name, name, self.shapes[name], entry, f"{label}: parameter {name!r}")
                for name, entry in member.saved_entries().items()
            ]
            for member in self._members
        ]

    def saved_values(self, group: int) -> dict[str, Any]:
        return self._members[group].saved_values()

    def saved_entry(self, target: Target) -> dict[str, Any]:
        entry = dict(target.entry)
        for state in self._members[0].rule.scalar_states:
            if state.key in entry:
                entry[state.key] = float(entry[state.key].item())
        if "step" in entry:
            entry["step"] = int(entry["step"].item())
        return entry

    def load(
        self,
        owner: Owner,
        groups: Sequence[Loaded],
        entries: Sequence[tuple[Target, dict[str, Any]]],
        updates: Sequence[int | None],
        accumulated: int,
    ) -> None:
        loaded = {target.handle: entry for target, entry in entries}
        states = []
        for member, (_, settings), count in zip(self._members, groups, updates, strict=True):
            own = {name: loaded[name] for name in member.entries}
            assert settings is not None
            states.append(member.loaded(settings, own, count))
        for member, (values, settings), state in zip(self._members, groups, states, strict=True):
            assert settings is not None
            member.load(values, settings, state)
        self.accumulated = accumulated

    def kept(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "shapes": self.shapes,
            "no_decay": self._no_decay,
            "accumulated": self.accumulated,
        }

    @classmethod
    def restored(cls, owner: Owner, kept: Mapping[str, Any]) -> TreeEngine:
        made = cls(kept["no_decay"])
        made.state, made.shapes = kept["state"], kept["shapes"]
        made.accumulated = kept["accumulated"]
        if made.state:
            made._ready(owner)
        made._watch_schedules(owner)
        return made


def _check_array(label: str, name: str, array: Array) -> None:
    if not is_floating(array):
        raise TypeError(
            f"{label}: parameter {name!r} is of type {array.dtype}; only real floating types can "
            f"be optimized"
        )
