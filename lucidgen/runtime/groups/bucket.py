"""What the parameters of a group that are updated by one call have in common.

Owns the arithmetic on scalars for them. Does not touch arrays.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ..rules.calling import evaluate
from ..rules.rule import Rule

if TYPE_CHECKING:
    from .settings import Settings


class Bucket:
    """What the parameters of a group with equal step count, scalars and choices have in common.

    ``values`` is everything a step function may name, arrays apart; ``choices`` the part of it that
    is static, ``scalars`` the new values of the scalar states by key.
    """

    __slots__ = ("arguments", "choices", "packed", "scalars", "settings", "t", "values")

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
        self.packed: Any = None  # the compiled step's
        self.arguments: dict[Any, tuple[Any, ...]] = {}  # the NumPy step's, by type of the weights

    def scaled(self, factor: Any) -> Bucket:
        """The bucket with gradients that are multiplied by a number, or by an MLX array."""
        made = copy.copy(self)
        made.choices = {**self.choices, "scale_grad": True}
        made.values = {**self.values, "scale_grad": True}
        made.values["grad_factor"] = factor * self.values["grad_factor"]
        made.packed, made.arguments = None, {}
        return made
