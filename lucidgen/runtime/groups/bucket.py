"""Parameters of a group that are updated alike, and what they have in common.

Owns what is computed with scalars for them: which states start, what the scalar states were, and
what the rule makes of that. Numbers are floats, or arrays in the graph of a step that is captured
whole: the arithmetic is given. Does not touch the arrays of parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from ..rules.calling import evaluate
from ..rules.rule import Rule

if TYPE_CHECKING:
    from .settings import Settings
    from .states import Seen, Slot


class Arithmetic(Protocol):
    """What numbers are, and how a rule's scalars are computed of them."""

    def number(self, value: Any) -> Any:
        """A step count or the value of a scalar state, ready to compute with."""

    def completed(
        self, rule: Rule, values: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, bool]]:
        """The values with the rule's scalars, and those of them that are static choices."""


class Floats:
    """Python floats, in double; conditions are choices."""

    def number(self, value: Any) -> float:
        return float(value)

    def completed(
        self, rule: Rule, values: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, bool]]:
        if rule.scalars is None:
            return values, {}
        found = evaluate(rule.scalars, values)
        values.update(found)
        return values, {name: value for name, value in found.items() if type(value) is bool}


FLOATS = Floats()


def first_updates(
    settings: Settings, entry: Mapping[str, Any], clock: Mapping[str, Any]
) -> tuple[str, ...]:
    """The choices ``first_<state>`` that are True: the state is made in this step.

    ``entry`` has a parameter's arrays, ``clock`` its scalar states; they may be one.
    """
    return tuple(
        [
            f"first_{state.name}"
            for states, kept in ((settings.arrays, entry), (settings.scalars, clock))
            for state in states
            if state.first and kept.get(state.key) is None
        ]
    )


@cache
def _no_firsts(rule: Rule) -> dict[str, bool]:
    """The choices of first updates, where none happens."""
    return {f"first_{state.name}": False for state in rule.states if state.first}


def old_scalars(settings: Settings, clock: Mapping[str, Any], w: Any) -> tuple[Any, ...]:
    """The values of the scalar states before a step: as they are kept, or as they start."""
    found = [(state, clock.get(state.key)) for state in settings.scalars]
    return tuple([settings.start(state, w) if old is None else old for state, old in found])


class Bucket:
    """What the parameters of a group with equal step count, scalars and choices have in common.

    ``values`` is everything a step function may name, arrays apart; ``choices`` the part of it that
    is static, ``scalars`` the new values of the scalar states by key. ``changed`` are values that
    are not those of the settings, and the numbers of a group, without which they are nan;
    ``is_first`` says whether it is the first step of the weights,
    where that is not to be seen from ``t``.
    """

    __slots__ = ("choices", "key", "scalars", "settings", "t", "values")

    def __init__(
        self,
        settings: Settings,
        t: Any,
        firsts: tuple[str, ...],
        scalars: tuple[Any, ...],
        arithmetic: Arithmetic = FLOATS,
        *,
        is_first: bool | None = None,
        changed: Mapping[str, Any] | None = None,
    ) -> None:
        rule, states, number = settings.rule, settings.scalars, arithmetic.number
        self.settings = settings
        self.t = t
        self.key = t, firsts, scalars
        self.choices = {
            **_no_firsts(rule),
            **settings.choices,
            **dict.fromkeys(firsts, True),
            "first_w": t == 1 if is_first is None else is_first,
        }
        values: dict[str, Any] = {"t": number(t), **settings.values, **self.choices}
        values.update(rule.unknown if changed is None else changed)
        olds = dict(zip(states, scalars, strict=True))
        for state in rule.scalar_states:
            # One that these choices do not need is still a parameter of the function.
            values[state.name] = number(olds.get(state, 0.0))
        self.values, conditions = arithmetic.completed(rule, values)
        self.choices.update(conditions)
        self.scalars = {state.key: self.values[state.name] for state in states}

    def knowing(self, given: Mapping[str, Any]) -> Bucket:
        """The bucket with the numbers of its group."""
        return Bucket(self.settings, *self.key, changed=given).scaled_as(self)

    def scaled_as(self, other: Bucket) -> Bucket:
        """This bucket, with gradients that are multiplied as another one's are."""
        for name in ("scale_grad", "grad_factor"):
            self.values[name] = other.values[name]
        self.choices["scale_grad"] = other.choices["scale_grad"]
        return self

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

    ``kind`` is the class of the arrays, ``grads`` are the gradients of this step. ``seen`` is what
    is known of each parameter when the step begins, where each was asked; ``entries`` are the
    states and ``grad_dtypes`` the types of the gradients, where they are known already. ``streams``
    are those of the random numbers (``rules.philox``), where the rule draws any.
    """

    __slots__ = (
        "bucket",
        "entries",
        "grad_dtypes",
        "grads",
        "kind",
        "members",
        "seen",
        "slots",
        "streams",
    )

    def __init__(self, kind: type, bucket: Bucket, members: Members, grads: list[Any]) -> None:
        self.kind, self.bucket, self.members, self.grads = kind, bucket, members, grads
        self.slots = members.slots
        self.seen: list[Seen | None] = []
        self.entries: list[dict[str, Any]] | None = None
        self.grad_dtypes: list[Any] | None = None
        self.streams: Any = None

    def only(self, places: Sequence[int]) -> Part:
        """A part of the parameters in these places alone, for the next backend."""
        members = Members([self.slots[i] for i in places])
        made = Part(self.kind, self.bucket, members, [self.grads[i] for i in places])
        if self.streams is not None:
            made.streams = self.streams[list(places)]
        return made
