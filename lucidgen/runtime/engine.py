"""What an optimizer, its engine and its checkpoints know of each other.

Owns three types. An ``Engine`` brings updates about and keeps the state that this needs; there are
two, for parameters that hold gradients (``step.engine``) and for trees of MLX arrays
(``trees.engine``), and an optimizer has one of them for life. ``Owner`` is the optimizer as the
other two see it: what it was told. ``Target`` is a parameter as saving and loading see it. Does
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from .groups.grouping import Grouped
from .groups.options import Options
from .groups.settings import Settings


@dataclass(frozen=True)
class Target:
    """A present parameter. ``handle`` is what the state is kept under."""

    handle: Any
    name: str | None
    shape: tuple[int, ...]
    entry: dict[str, Any]
    label: str


#: The checked values of a loaded group, and what they mean; None for a class without rules.
Loaded = tuple[dict[str, Any], Settings | None]


class Owner(Grouped, Protocol):
    """An optimizer: its rules and groups, and what it was told besides."""

    kernel: str
    _options: Options

    @property
    def _engine(self) -> Engine:
        """What updates, and keeps the state."""

    @property
    def _steps_by_itself(self) -> bool:
        """Whether a subclass overrides step(), and may keep states of its own."""

    @property
    def max_grad_norm(self) -> float | None:
        """To which norm gradients are clipped."""

    @property
    def accumulation_steps(self) -> int:
        """How many calls of step() make one update."""

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group."""


class Engine(Protocol):
    """How an optimizer updates what it is given, with the state that this keeps.

    What one engine does without, such as ``step`` of trees, it refuses by an error that says what
    to call instead. An engine holds no optimizer: each call brings its ``owner`` along.
    """

    #: Its name in pickles.
    kind: ClassVar[str]

    @property
    def state(self) -> Any:
        """The states, by parameter or as a tree."""

    @property
    def grad_norm(self) -> Any:
        """The norm of all gradients at the last update, before clipping; None without clipping."""

    @property
    def accumulated(self) -> int:
        """How many batches wait for their update."""

    # -- updates

    def step(self, owner: Owner, closure: Callable[[], Any] | None, loss: Any) -> Any:
        """Update every parameter that has a gradient; the loss is returned."""

    def add_hook(self, owner: Owner, hook: Any, is_before: bool) -> Any:
        """Call a function before or after every step; what is returned removes it."""

    def init(self, owner: Owner, params: Any) -> None:
        """Make the state for a tree of arrays, or for a module."""

    def apply_gradients(self, owner: Owner, grads: Any, params: Any, loss: Any) -> Any:
        """The updated tree of parameters."""

    # -- changes from outside

    def add_group(self, owner: Owner, given: Mapping[str, Any]) -> None:
        """Check a group and add it to those of the optimizer."""

    def learning_rate(self, owner: Owner) -> Any:
        """That of the first group."""

    def assign(self, owner: Owner, state: Mapping[Any, Any]) -> None:
        """Put a state in the place of the present one."""

    def check_change(self, key: str, old: Any, new: Any, group: int = 0) -> None:
        """Refuse a change of a value that updates would not notice."""

    def check_accumulation(self, label: str, count: int) -> None:
        """Refuse a count of batches for one update."""

    # -- saving and loading

    def targets(self, owner: Owner) -> list[list[Target]]:
        """The present parameters of each group."""

    def saved_values(self, group: int) -> dict[str, Any]:
        """What a state dict has of a group besides its values."""

    def saved_entry(self, target: Target) -> dict[str, Any]:
        """The state of a parameter as a state dict has it: counts as numbers."""

    def load(
        self,
        owner: Owner,
        groups: Sequence[Loaded],
        entries: Sequence[tuple[Target, dict[str, Any]]],
        updates: Sequence[int | None],
        accumulated: int,
    ) -> None:
        """Put what was checked in place. What cannot be kept is refused, and nothing changes.

        ``updates`` are the counts of updates of each group, where they were saved.
        """

    def kept(self) -> dict[str, Any]:
        """What copies and pickles have of the engine."""

    @classmethod
    def restored(cls, owner: Owner, kept: Mapping[str, Any]) -> Engine:
        """An engine that goes on with what another one kept."""
