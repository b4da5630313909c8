"""What a checkpoint is made of and loaded into: the part of an optimizer that it may touch.

Owns that list. The optimizer knows this room; this room does not know the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..groups.options import Options
from ..groups.states import States
from ..rules.rule import Rule
from ..step.accumulation import Accumulation


class Saveable(Protocol):
    """An optimizer, as far as its state goes."""

    dialect: str
    param_groups: list[Any]
    _options: Options
    _states: States
    _masters: Any
    _accumulation: Accumulation
    _tree: Any

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rule of each dialect."""

    @property
    def _rule(self) -> Rule | None:
        """What it computes, or None for a class that defines step by itself."""

    @property
    def _steps_by_itself(self) -> bool:
        """Whether a subclass overrides step(), and may keep states of its own."""

    @property
    def state(self) -> Any:
        """The states, by parameter or as a tree."""

    @property
    def accumulated(self) -> int:
        """How many calls of step() wait for their update."""

    @property
    def accumulation_steps(self) -> int:
        """How many calls of step() make one update."""

    @property
    def max_grad_norm(self) -> float | None:
        """To which norm gradients are clipped."""

    def _label(self, index: int, group: Mapping[str, Any] | None = None) -> str:
        """How errors call a group."""
