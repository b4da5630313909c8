"""Updates of trees of MLX arrays, without parameters: the idiom of mlx.optimizers.

Owns ``TreeEngine``: the groups that select from a tree, which array is in which group, the norm of
all gradients, and the checks before an update, which may run inside ``mx.compile``; nothing is
evaluated here. The state is that of the one group (``group_state``), or

    {"groups": [<state of a group>, ...]}

and, where gradients are clipped to a norm, the "grad_norm" of the last update. In MLX's layout, as
there, any dict may be assigned before the first update, and what there is stays when parameters are
made known: it is checked and completed when it is first used. MLX is imported when the states of
groups are first needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from ..arrays import is_floating, is_mlx_module, needed_mlx
from ..backends.gpu import ANY
from ..checking import nearest
from ..engine import Loaded, Owner, Target
from ..groups.grouping import group_label, settle_again
from ..groups.selection import Selection, as_selection, is_selection, routed
from ..groups.settings import Group, Settings, check_values, settle
from ..groups.without_decay import check_names
from ..kernel_choice import demand, gpu_kernels
from ..step.clipping import GRAD_NORM, factor, mlx_norm
from ..step.loss import as_graph_loss, check
from .assigned import check_entries, parsed
from .layout import Layout, layout_of
from .leaves import copied, gradients, replaced, top, tree_of, weights
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
        self._layout: Layout  # of the states of groups
        self._updated = False  # whether there was an update of any parameter
        self._unchecked = False  # whether the state was assigned, and not used since

    # -- set-up -----------------------------------------------------------------------------------

    def start(self, owner: Owner, params: Any, schedule: Schedule | None) -> None:
        """Make the groups that the constructor is given, and the state if that is a module."""
        label = type(owner).__name__
        if owner._rule is None:
            raise TypeError(f"{label}: params is None; give the parameters to optimize")
        self._layout = layout_of(owner._rule)
        rule = self._layout.rule
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
        if self._layout.is_mlx:
            for member in self._ready(owner):
                member.begin()
        if params is not None and is_module:
            self.init(owner, params)

    def _watch_schedules(self, owner: Owner) -> None:
        """Let no schedule be forgotten when lr is set."""
        if any(group.schedule for group in owner.param_groups):
            self._ready(owner)

    def _ready(self, owner: Owner) -> list[GroupState]:
        """The state of each group; the values of groups are checked where they were written to."""
        label, rule, groups = type(owner).__name__, self._layout.rule, owner.param_groups
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
            common = Common(
                self._layout, label, gpu_kernels(owner.kernel), self._no_decay, has_masters
            )
            states = [self.state]
            if len(groups) > 1:
                states = self.state.setdefault("groups", [{} for _ in groups])
            self._members = [
                GroupState(common, group, own, where, self.shapes)
                for group, own, where in zip(groups, states, labels, strict=True)
            ]
        return self._members

    def init(self, owner: Owner, params: Any) -> None:
        """Make the state for these parameters in place of any there is; one just assigned stays.

        In MLX's layout, whatever is there stays.
        """
        members, label = self._ready(owner), type(owner).__name__
        tree = tree_of(params, f"{label}: params")
        arrays = weights(tree, label)
        for name, array in arrays.items():
            _check_array(label, name, array)
        self._check_names(label, tree)
        if self._no_decay is not None and arrays:
            check_names(self._no_decay, arrays, label)
        found: list[dict[str, Any]] = []
        if self._layout.is_mlx or (not self.shapes and members[0].state):
            found = self._found(label, arrays)
        parts = self._parts(label, arrays, [state["params"] for state in found])
        if found:
            triples = list(zip(members, parts, found, strict=True))
            for member, part, state in triples:
                shapes = {**self.shapes, **{name: array.shape for name, array in part.items()}}
                check_entries(member, shapes, state["params"])
            for member, part, state in triples:
                member.complete(tree, part, state)
        else:
            for member, part in zip(members, parts, strict=True):
                member.start(tree, part)
        self._unchecked = False
        if owner.max_grad_norm is not None:
            # A place for the norm, so that a step that is captured finds it there.
            import mlx.core as mx

            self.state.setdefault(GRAD_NORM, mx.array(0.0))
        if not self._layout.is_mlx:
            self.shapes.clear()
        self.shapes.update({name: tuple(array.shape) for name, array in arrays.items()})

    def _found(self, label: str, arrays: Mapping[str, Array]) -> list[dict[str, Any]]:
        """What the state has of each group, checked; of arrays whose shape has changed, nothing."""
        changed = {n for n, w in arrays.items() if self.shapes.get(n, w.shape) != tuple(w.shape)}
        groups = self._assigned_groups(label, self.state)
        states = []
        for member, own in zip(self._members, groups, strict=True):
            member.state = own
            state = parsed(member, own, {**self.shapes, **arrays})
            if not self._unchecked:
                state["params"] = {n: e for n, e in state["params"].items() if n not in changed}
            states.append(state)
        return states

    def _check_names(self, label: str, tree: Any) -> None:
        """Refuse parameters in the places of what MLX's layout has beside them."""
        taken = (*self._layout.beside, GRAD_NORM)
        for key, _ in top(tree) if self._layout.is_mlx else ():
            if key in taken:
                raise ValueError(
                    f"{label}: the tree has {key!r} at its top, and so has the state of the "
                    f"dialect 'mlx'; give it another name, or put the tree into a dict"
                )

    def _parts(
        self,
        label: str,
        arrays: Mapping[str, Array],
        kept: Sequence[Mapping[str, Any]],
        late: bool = False,
    ) -> list[dict[str, Array]]:
        """The parameters of each group: where their state is kept, else as the groups select."""
        members = self._members
        if members[0].group.selection is None:
            return [dict(arrays)]
        homes: dict[str, int] = {}
        for index, entries in enumerate(kept):
            homes |= {name: index for name in entries if name in arrays}
        rest = {name: array for name, array in arrays.items() if name not in homes}
        selections = [member.group.selection for member in members]
        labels = [member.label for member in members]
        homes |= routed(selections, rest, labels, label, late=late or bool(homes) or not arrays)
        parts: list[dict[str, Array]] = [{} for _ in members]
        for name, array in arrays.items():
            parts[homes[name]][name] = array
        return parts

    # -- updates ----------------------------------------------------------------------------------

    def apply_gradients(self, owner: Owner, grads: Any, params: Any, loss: Any) -> Any:
        """The tree of updated parameters. Those without a gradient stay as they are."""
        members, label = self._ready(owner), type(owner).__name__
        if self._layout.rule.reads_loss:
            loss = as_graph_loss(loss, label)
        elif loss is not None:
            check(loss, label)
            loss = None
        params, grads = tree_of(params, f"{label}: params"), tree_of(grads, f"{label}: grads")
        arrays, given = weights(params, label), gradients(grads, label)
        kernels = members[0].common.kernels
        if kernels is not None and kernels != ANY:
            demand(kernels, label)
        if not self.shapes or self._unchecked:
            self.init(owner, params)
        kept = [member.entries for member in members]
        self._check_gradients(label, arrays, given, kept)
        known = {name for entries in kept for name in entries}
        if not known >= given.keys():
            self._check_names(label, params)
        here = {name: w for name, w in arrays.items() if name in known or name in given}
        parts = self._parts(label, here, kept, late=True)
        scale, max_grad_norm = None, owner.max_grad_norm
        if max_grad_norm is not None:
            norm = mlx_norm(given.values())
            scale = factor(norm, max_grad_norm) if max_grad_norm < math.inf else None
            self.state[GRAD_NORM] = norm
        new: dict[str, Array] = {}
        for member, part in zip(members, parts, strict=True):
            own = {name: grad for name, grad in given.items() if name in part}
            new |= member.apply(params, part, own, scale, loss)
        self._updated |= bool(given)
        self.shapes.update({name: tuple(arrays[name].shape) for name in given})
        return replaced(params, new)

    def _check_gradients(
        self,
        label: str,
        arrays: dict[str, Array],
        gradients: dict[str, Array],
        kept: Sequence[Mapping[str, Any]],
    ) -> None:
        entries = {name: entry for own in kept for name, entry in own.items()}
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
    def is_mlx(self) -> bool:
        """Whether the state is laid out as that of mlx.optimizers."""
        return self._layout.is_mlx

    @property
    def grad_norm(self) -> Any:
        return self.state.get(GRAD_NORM)

    def step(self, owner: Owner, closure: Callable[[], Any] | None, loss: Any) -> NoReturn:
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
        self.checked(owner, state)()

    def check_change(self, key: str, old: Any, new: Any, group: int = 0) -> None:
        """Refuse a change that a traced step would not notice."""
        if self._members:  # else nothing has been traced yet
            self._members[group].check_change(key, old, new)

    def check_accumulation(self, label: str, count: int) -> None:
        if count > 1:
            raise ValueError(
                f"{label}: update() applies what it is given; add up gradients with tree_map"
            )

    def checked(self, owner: Owner, value: Any) -> Callable[[], None]:
        """What puts a state in the place of the present one: one that was taken from ``state``.

        It may have been flattened and unflattened in between.

        Raises
        ------
        TypeError, ValueError
            If it does not fit.
        """
        members, label = self._ready(owner), type(owner).__name__
        value = self._layout.moved_in(value)
        if self._layout.is_mlx and not self._updated and isinstance(value, Mapping):
            return partial(self._put_unchecked, copied(value))
        found = self._assigned_groups(label, value)
        states = [
            parsed(member, own, self.shapes) for member, own in zip(members, found, strict=True)
        ]
        if self.shapes:
            for member, state in zip(members, states, strict=True):
                shapes = {name: self.shapes[name] for name in member.entries}
                check_entries(member, shapes, state["params"], complete=True)
                for name in shapes:
                    state["params"].setdefault(name, {})
        norm = value.get(GRAD_NORM, self.state.get(GRAD_NORM))
        return partial(self._put, states, norm)

    def _put(self, states: Sequence[dict[str, Any]], norm: Array | None) -> None:
        """Replace the states of the groups by checked ones."""
        for member, state in zip(self._members, states, strict=True):
            member.assign(state)
        if norm is not None:
            self.state[GRAD_NORM] = norm

    def _put_unchecked(self, state: dict[str, Any]) -> None:
        self.state.clear()
        self.state.update(state)
        self._unchecked = True

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
        members = self._ready(owner)
        if self._unchecked:
            for member, state in zip(members, self._found(label, {}), strict=True):
                shapes = {name: self.shapes[name] for name in state["params"]}
                check_entries(member, shapes, state["params"], complete=True)
        return [
            [
                Target(name, name, self.shapes[name], entry, f"{label}: parameter {name!r}")
                for name, entry in member.saved_entries().items()
            ]
            for member in members
        ]

    def saved_values(self, group: int) -> dict[str, Any]:
        return self._members[group].saved_values()

    def saved_entry(self, target: Target) -> dict[str, Any]:
        entry = dict(target.entry)
        for key in self._layout.ours(dict.fromkeys(self._layout.beside)):
            if key in entry and key != "step":
                entry[key] = float(entry[key].item())
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
            here = Settings(self._layout.rule, settings.given)
            states.append((here, member.loaded(here, own, count)))
        for member, (values, _), state in zip(self._members, groups, states, strict=True):
            member.load(values, *state)
        self.accumulated = accumulated

    def kept(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "shapes": self.shapes,
            "no_decay": self._no_decay,
            "accumulated": self.accumulated,
            "updated": self._updated,
            "unchecked": self._unchecked,
        }

    @classmethod
    def restored(cls, owner: Owner, kept: Mapping[str, Any]) -> TreeEngine:
        made = cls(kept["no_decay"])
        made.state, made.shapes = kept["state"], kept["shapes"]
        made.accumulated = kept["accumulated"]
        made._updated = kept.get("updated", bool(made.shapes))
        made._unchecked = kept.get("unchecked", False)
        assert owner._rule is not None
        made._layout = layout_of(owner._rule)
        found = made.state
        made.state = made._layout.moved_in(found)
        if found or made._layout.is_mlx:
            for member in made._ready(owner):
                if made._layout.is_mlx and not found:
                    member.begin()
                elif made.state is not found:
                    member.adopt({k: member.state[k] for k in made._layout.beside})
        made._watch_schedules(owner)
        return made


def _check_array(label: str, name: str, array: Array) -> None:
    if not is_floating(array):
        raise TypeError(
            f"{label}: parameter {name!r} is of type {array.dtype}; only real floating types can "
            f"be optimized"
        )
