"""Updates of parameters that hold gradients: ``step()``, as in torch.

Owns ``ParameterEngine``: the states by parameter, and the order of things in a step. Nothing
changes before every group, parameter and gradient is known to be good and every backend is
prepared. Names no backend: ``kernel_choice`` says which are asked. Which parameters are updated
alike is in ``sorting``, what is known of them already in ``last_step``; trees of arrays have an
engine of their own (``trees.engine``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn

import numpy as np

from .. import kernel_choice
from ..backends.protocol import Call
from ..checking import shown
from ..engine import Loaded, Owner, Target
from ..groups.bucket import Part
from ..groups.grouping import group_label, new_group, settled
from ..groups.parameters import describe
from ..groups.settings import Group, is_note
from ..groups.states import States
from ..groups.streams import give_streams, identities
from ..rules.rule import rate_of
from . import clipping
from .accumulation import Accumulation
from .hooks import Handle, Hook, Hooks
from .last_step import LastStep
from .loss import as_loss, called, check
from .masters import Masters
from .rounds import Rounds
from .sorting import Checked


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
        self._rounds: Rounds | None = None  # where a rule has some

    # -- updates ----------------------------------------------------------------------------------

    def step(self, owner: Owner, closure: Callable[[], Any] | None, loss: Any) -> Any:
        if self._hooks is None:
            return self._step(owner, closure, loss=loss)
        args = () if closure is None else (closure,)
        kwargs = {} if loss is None else {"loss": loss}
        return self._hooks.around(owner, partial(self._step, owner), *args, **kwargs)

    def _step(
        self, owner: Owner, closure: Callable[[], Any] | None = None, *, loss: Any = None
    ) -> Any:
        if closure is not None:
            loss = called(closure, loss, type(owner).__name__)
        elif loss is not None:
            check(loss, type(owner).__name__)
        rule = owner._rule
        if rule is None:
            raise NotImplementedError(f"{type(owner).__name__} has no rules: define step() in it")
        number = as_loss(loss, type(owner).__name__) if rule.reads_loss else None
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
        self.grad_norm = self._update(owner, stepped, states, number)
        if self._masters is not None:
            self._masters.store(stepped, self.state)
        if sums.waiting:
            sums.clear(groups, self.state)
        return loss

    def _update(
        self, owner: Owner, groups: Sequence[Checked], states: States, loss: float | None
    ) -> Any:
        """Check all, then prepare, then store; the norm of all gradients, if they are clipped."""
        last, norm, max_grad_norm = self._last_step, None, owner.max_grad_norm
        sorted_ = last.parts(groups, states)
        parts = [part for own in sorted_ for part in own]
        if max_grad_norm is not None:
            norm = _norm(parts)
            factor = clipping.factor(norm, max_grad_norm)
            if type(factor) is not float or factor != 1:
                for part in parts:
                    part.bucket = part.bucket.scaled(factor)
        if any(part.bucket.settings.rule.draws for part in parts):
            give_streams(parts, identities([(group[2], group[3]) for group in groups]))
        are_given = bool(owner._rule and owner._rule.given)
        kept = self._give(owner, groups, sorted_, loss) if are_given else []
        for call in _prepared(parts, owner.kernel, last.own):
            call.run()
        for part in parts:
            _advance(part)
        for group, new in kept:
            dict.update(group, new)
        last.remember(groups, sorted_)
        return norm

    def _give(
        self,
        owner: Owner,
        groups: Sequence[Checked],
        sorted_: Sequence[list[Part]],
        loss: float | None,
    ) -> list[tuple[Group, dict[str, Any]]]:
        """Give parts the loss and the numbers of their group; what groups keep after the step."""
        kept: list[tuple[Group, dict[str, Any]]] = []
        kernel, own = kernel_choice.of_shares(owner.kernel), self._last_step.own
        for group, (_, settings, *_), parts in zip(
            owner.param_groups, groups, sorted_, strict=True
        ):
            given = settings.of_loss(loss)
            if parts and settings.rule.rounds:
                if self._rounds is None:
                    self._rounds = Rounds()
                prepare = partial(_prepared, kernel=kernel, own=own)
                given, new = self._rounds.run(settings, group, parts, prepare, given)
                kept.append((group, new))
            for part in parts:
                part.bucket = part.bucket.knowing(given)
        return kept

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

    def apply_gradients(self, owner: Owner, grads: Any, params: Any, loss: Any) -> NoReturn:
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
            kept = () if rule is None else rule.group_keys
            for key in [key for key in present if is_note(rule, key) or key in kept]:
                if key not in values:
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


def _prepared(parts: Sequence[Part], kernel: str, own: dict[str, Any]) -> list[Call]:
    """The calls that update all parts: each backend takes what it can, in its turn."""
    on_mlx = [part for part in parts if part.kind is not np.ndarray]
    on_numpy = [part for part in parts if part.kind is np.ndarray] if on_mlx else parts
    calls: list[Call] = []
    for rest in filter(None, (on_mlx, on_numpy)):
        for backend in kernel_choice.backends(kernel, rest[0].kind):
            made, rest = backend().prepare(rest, own)
            calls += made
            if not rest:
                break
    return calls


def _advance(part: Part) -> None:
    """Store the step count and the scalar states."""
    bucket = part.bucket
    new = {**bucket.scalars, "step": bucket.t} if bucket.t else bucket.scalars
    entries = part.entries or [slot.entry for slot in part.slots]
    for key, value in new.items():
        for entry in entries:
            entry[key] = value


def _norm(parts: Sequence[Part]) -> Any:
    """The norm of all gradients: of MLX arrays alone an array, which nobody waits for."""
    on_numpy = [grad for part in parts if part.kind is np.ndarray for grad in part.grads]
    on_mlx = [grad for part in parts if part.kind is not np.ndarray for grad in part.grads]
    of_mlx = clipping.mlx_norm(on_mlx) if on_mlx else 0.0
    if on_mlx and not on_numpy:
        return of_mlx
    return math.hypot(clipping.numpy_norm(on_numpy), float(of_mlx))
