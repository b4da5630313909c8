"""What an optimizer without parameters offers: the idiom of mlx.optimizers.

Owns the public methods that take trees of arrays, and the groups that select from a tree. The state
and its update are in ``tree``, which is imported, and MLX with it, when they are first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..arrays import is_mlx_module
from ..groups.grouping import Grouped
from ..groups.options import Options
from ..groups.selection import as_selection, is_selection
from ..groups.settings import Group, as_hyper, check_values, settle
from ..groups.states import States
from ..rules.rule import Hyper
from .rate import Schedule, is_schedule, value_at


class MLXIdiom(Grouped):
    """Optimizing trees of MLX arrays, with a state that ``mx.compile`` can capture."""

    kernel: str
    _states: States
    _no_decay: Any
    _masters: Any
    _options: Options

    # -- construction -----------------------------------------------------------------------------

    def _selects(self, params: Any) -> bool:
        """Whether these are groups that select from a tree."""
        if not isinstance(params, list | tuple):
            return False
        found = [isinstance(g, Mapping) and is_selection(g.get("params")) for g in params]
        if any(found) and not all(found):
            raise TypeError(
                f"{type(self).__name__}: either all groups select parameters of a tree by patterns "
                f"or a function, or none does; group {found.index(False)} does not"
            )
        return any(found)

    def _without_schedule(self, values: Mapping[str, Any], label: str) -> dict[str, Any]:
        """The values with the first value of a schedule in its place."""
        rule = self._rule
        argument = None if rule is None else rule.arguments.get("lr")
        if not is_schedule(values.get("lr")) or not isinstance(argument, Hyper):
            return dict(values)
        import mlx.core as mx

        first = value_at(values["lr"], mx.array(0), label)
        return {**values, "lr": as_hyper(argument, first, label)}

    def _start_tree(self, params: Any, schedule: Schedule | None) -> None:
        label, rule = type(self).__name__, self._rule
        if rule is None:
            raise TypeError(f"{label}: params is None; give the parameters to optimize")
        is_module = params is None or is_mlx_module(params)
        for index, given in enumerate([{}] if is_module else params):
            where = label if is_module else self._label(index, given)
            values = self._without_schedule({**self.defaults, **given}, where)
            group = Group({"params": [], **check_values(rule, self.rules, values, where)})
            if "name" in given:
                group["name"] = given["name"]
            group.settings = settle(rule, group, where)
            if not is_module:
                group.selection = as_selection(given["params"], f"{where}: params")
            group.schedule = given.get("lr", schedule)
            if not is_schedule(group.schedule):
                group.schedule = None
            self.param_groups.append(group)
        self._tree = Unready()
        if any(group.schedule for group in self.param_groups):
            self._ready_tree()  # which watches that they are not forgotten
        if params is not None and is_module:
            self.init(params)

    def _ready_tree(self) -> Any:
        """The tree, with checked groups; made when it is first needed."""
        label, rule = type(self).__name__, self._rule
        if self._tree is None or rule is None:
            raise RuntimeError(
                f"{label}: constructed with parameters, so call step(); for update(model, grads) "
                f"construct it without"
            )
        labels = [label]
        if self.param_groups[0].selection is not None:
            labels = [self._label(i, group) for i, group in enumerate(self.param_groups)]
        for group, where in zip(self.param_groups, labels, strict=True):
            if group.settings is None:
                values = check_values(rule, self.rules, group, where)
                settings = settle(rule, values, where)
                dict.update(group, values)
                group.settings = settings
        if isinstance(self._tree, Unready):
            from .tree import Tree
            from .update import Common

            common = Common(rule, label, self.kernel, self._no_decay, self._masters is not None)
            state, shapes = self._tree.state, self._tree.shapes
            self._tree = Tree(common, self.param_groups, labels, state, shapes)
        return self._tree

    # -- use --------------------------------------------------------------------------------------

    def init(self, params: Any) -> None:
        """Make the state for a tree of MLX arrays, or for an mlx.nn.Module.

        A state that was just assigned stays; what it lacks is made.

        Raises
        ------
        TypeError, ValueError
            If there are no floating arrays, no group takes one of them, or a group takes none.
        """
        self._ready_tree().init(params, self._options.get("max_grad_norm") is not None)

    def apply_gradients(self, grads: Any, params: Any) -> Any:
        """The updated tree of parameters, unevaluated; parameters without gradient stay."""
        return self._ready_tree().apply(grads, params, self._options.get("max_grad_norm"))

    def update(self, model: Any, grads: Any) -> None:
        """Update an mlx.nn.Module from a tree of gradients, unevaluated."""
        model.update(self.apply_gradients(grads, model))

    @property
    def state(self) -> Any:
        """The state of each parameter: ``state[param]`` is a dict. In the MLX idiom, a tree.

        The tree is one object for good: what is assigned to ``state`` is checked and put into it,
        so that a step that captured it goes on from there.
        """
        return self._states if self._tree is None else self._tree.state

    @state.setter
    def state(self, value: Mapping[Any, Any]) -> None:
        if self._tree is None:
            self._states = value if isinstance(value, States) else States(value)
        else:
            tree = self._ready_tree()
            tree.put(tree.checked(value))

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the first group; setting it sets that of every group.

        A float; in the MLX idiom a 0-d array, which is part of the state.
        """
        if self._tree is None:
            return self.param_groups[0]["lr"]
        return self._ready_tree().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        for group in self.param_groups:
            group["lr"] = value


class Unready:
    """Stands for the tree until MLX is needed, and in pickles."""

    def __init__(
        self,
        state: dict[str, Any] | None = None,
        shapes: dict[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.state: dict[str, Any] = {} if state is None else state
        self.shapes: dict[str, tuple[int, ...]] = {} if shapes is None else shapes

    def check_change(self, key: str, old: Any, new: Any) -> None:
        """Nothing has been traced yet."""
