"""Updates of parameters that hold gradients: ``step()``, as in torch.

Owns ``ParameterEngine``: the states by parameter, and in which order accumulated gradients, masters
of half-precision weights and hooks come into a step. What one step does is in ``stepping``; trees
of arrays have an engine of their own (``trees.engine``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn

from ..checking import shown
from ..engine import Loaded, Owner, Target
from ..groups.grouping import group_label, new_group, settled
from ..groups.parameters import describe
from ..groups.settings import is_note
from ..groups.states import States
from ..rules.rule import rate_of
from . import stepping
from .accumulation import Accumulation
from .hooks import Handle, Hook, Hooks
from .last_step import LastStep
from .masters import Masters


class ParameterEngine:
    """Updates parameters by the gradients that they hold."""

    kind: ClassVar[str] = "parameters"

    def __init__(self, owner: Owner) -> None:
        self.state = States()
        self.grad_norm: Any = None
        self._accumulation = Accumulation()
        self._masters = Masters() if owner._options.get("master_weights") else None
        self._hooks: Hooks | None = None
        self._last_step = LastStep()

    # -- updates ----------------------------------------------------------------------------------

    def step(self, owner: Owner, closure: Callable[[], Any] | None) -> Any:
        if closure is not None and not callable(closure):
            raise TypeError(
                f"{type(owner).__name__}: step takes a function that returns the loss, or nothing, "
                f"got {shown(closure)}"
            )
        if self._hooks is None:
            return self._step(owner, closure)
        given = [] if closure is None else [closure]
        return self._hooks.around(owner, partial(self._step, owner), *given)

    def _step(self, owner: Owner, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else closure()
        rule = owner._rule
        if rule is None:
            raise NotImplementedError(f"{type(owner).__name__} has no rules: define step() in it")
        groups, states = settled(owner, rule), self.state
        sums, count = self._accumulation, owner.accumulation_steps
        if sums.waiting or count > 1:
            sums.add(groups, states)
            if sums.waiting < count:
                return loss
            groups = sums.means(groups, states)
        stepped = groups
        if self._masters is not None:
            stepped, states = self._masters.stand_in(groups, states), self._masters.states
        self.grad_norm = stepping.step(
            stepped, states, self._last_step, owner.kernel, owner.max_grad_norm
        )
        if self._masters is not None:
            self._masters.store(stepped, self.state)
        if sums.waiting:
            sums.clear(groups, self.state)
        return loss

    def add_hook(self, owner: Owner, hook: Hook, is_before: bool) -> Handle:
        if owner._rule is None:
            raise RuntimeError(
                f"{type(owner).__name__} defines step() itself, which calls no hooks"
            )
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks.add(self._hooks.before if is_before else self._hooks.after, hook)

    def init(self, owner: Owner, params: Any) -> NoReturn:
        self._refuse_trees(owner)

    def apply_gradients(self, owner: Owner, grads: Any, params: Any) -> NoReturn:
        self._refuse_trees(owner)

    def _refuse_trees(self, owner: Owner) -> NoReturn:
        raise RuntimeError(
            f"{type(owner).__name__}: constructed with parameters, so call step(); for "
            f"update(model, grads) construct it without"
        )

    # -- changes from outside ---------------------------------------------------------------------

    def add_group(self, owner: Owner, given: Mapping[str, Any]) -> None:
        owner.param_groups.append(new_group(owner, given))

    def learning_rate(self, owner: Owner) -> Any:
        return owner.param_groups[0][rate_of(owner._rule)]

    def assign(self, owner: Owner, state: Mapping[Any, Any]) -> None:
        if not isinstance(state, States) and not _is_by_parameter(state):
            raise TypeError(
                f"{type(owner).__name__}: a state must be a dict that has a dict for each "
                f"parameter, got {shown(state)}"
            )
        self.state = state if isinstance(state, States) else States(state)

    def check_change(self, key: str, old: Any, new: Any, group: int = 0) -> None:
        """Everything is read again at every step."""

    def check_accumulation(self, label: str, count: int) -> None:
        """Any count will do."""

    @property
    def accumulated(self) -> int:
        return self._accumulation.waiting

    # -- saving and loading -----------------------------------------------------------------------

    def targets(self, owner: Owner) -> list[list[Target]]:
        found = []
        for index, group in enumerate(owner.param_groups):
            names = group.get("param_names")
            targets = []
            for i, param in enumerate(group["params"]):
                name = names[i] if names else None
                label = f"{group_label(owner, index)}: {describe(i, name)}"
                entry = self.state.get(param, {})
                targets.append(Target(param, name, tuple(param.data.shape), entry, label))
            found.append(targets)
        return found

    def saved_values(self, group: int) -> dict[str, Any]:
        return {}

    def saved_entry(self, target: Target) -> dict[str, Any]:
        return target.entry

    def load(
        self,
        owner: Owner,
        groups: Sequence[Loaded],
        entries: Sequence[tuple[Target, dict[str, Any]]],
        updates: Sequence[int | None],
        accumulated: int,
    ) -> None:
        rule = owner._rule
        for present, (values, _) in zip(owner.param_groups, groups, strict=True):
            for key in [key for key in present if is_note(rule, key) and key not in values]:
                del present[key]
            present.update(values)
        self.state.clear()
        for target, entry in entries:
            if entry:
                self.state[target.handle] = entry
        self._accumulation = Accumulation(accumulated)

    def kept(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "accumulation": self._accumulation,
            "grad_norm": self.grad_norm,
        }

    @classmethod
    def restored(cls, owner: Owner, kept: Mapping[str, Any]) -> ParameterEngine:
        made = cls(owner)
        made.state, made.grad_norm = kept["state"], kept["grad_norm"]
        made._accumulation = kept["accumulation"]
        return made


def _is_by_parameter(state: Any) -> bool:
    """Whether this is a dict of dicts."""
    return isinstance(state, Mapping) and all(isinstance(own, dict) for own in state.values())
