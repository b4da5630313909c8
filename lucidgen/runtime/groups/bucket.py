"""Parameters of a group that are updated alike, and what they have in common.

Owns the arithmetic on scalars for them. Does not touch arrays.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..rules.calling import evaluate
from ..rules.rule import Rule

if TYPE_CHECKING:
    from .settings import Settings
    from .states import Seen, Slot


class Bucket:
    """What the parameters of a group with equal step count, scalars and choices have in common.

    ``values`` is everything a step function may name, arrays apart; ``choices`` the part of it that
    is static, ``scalars`` the new values of the scalar states by key.
    """

    __slots__ = ("choices", "scalars", "settings", "t", "values")

    def __init__(
        self,
        rule: Rule,
        settings: Settings,
        t: int,
        firsts: tuple[str, ...],
        scalars: tuple[float, ...],
    ) -> None:
        self.settings = settings
        self.t = t
        self.choices = settings.choices_at(t, firsts)
        self.values: dict[str, Any] = {"t": float(t), **settings.values, **self.choices}
        states = settings.scalars
        # A scalar state that these choices do not need is still a parameter of the function.
        self.values.update({state.name: 0.0 for state in rule.scalar_states})
        self.values.update({state.name: old for state, old in zip(states, scalars, strict=True)})
        if rule.scalars is not None:
            found = evaluate(rule.scalars, self.values)
            self.values.update(found)
            self.choices.update(
                {name: value for name, value in found.items() if isinstance(value, bool)}
            )
        self.scalars = {state.key: self.values[state.name] for state in states}

    def scaled(self, factor: Any) -> Bucket:
        """The bucket with gradients that are multiplied by a number, or by an MLX array."""
        made = copy.copy(self)
        made.choices = {**self.choices, "scale_grad": True}
        made.values = {**self.values, "scale_grad": True}
        made.values["grad_factor"] = factor * self.values["grad_factor"]
        return made


class Members:
    """The parameters of a part, and what a backend keeps of them together in ``own``.

    The next step finds the same object if its part has the same parameters in the same order, each
    with the arrays that this step left: see ``Seen``. ``seen`` is what they had then; None in the
    first step of these members.
    """

    __slots__ = ("own", "seen", "slots")

    def __init__(self, slots: list[Slot]) -> None:
        self.slots = slots
        self.seen: list[Seen] | None = None
        self.own: dict[str, Any] = {}


class Part:
    """Parameters that are updated alike: of one kind of arrays, with equal scalars and choices.

    ``kind`` is the class of the arrays, ``grads`` are the gradients of this step. ``entries`` are
    the states and ``grad_dtypes`` the types of the gradients, where they are known already.
    """

    __slots__ = ("bucket", "entries", "grad_dtypes", "grads", "kind", "members", "slots")

    def __init__(self, kind: type, bucket: Bucket, members: Members, grads: list[Any]) -> None:
        self.kind, self.bucket, self.members, self.grads = kind, bucket, members, grads
        self.slots = members.slots
        self.entries: list[dict[str, Any]] | None = None
        self.grad_dtypes: list[Any] | None = None

    def only(self, places: Sequence[int]) -> Part:
        """A part of the parameters in these places alone, for the next backend."""
        members = Members([self.slots[i] for i in places])
        return Part(self.kind, self.bucket, members, [self.grads[i] for i in places])
