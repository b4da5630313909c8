"""Whether an optimizer steps before its scheduler does, and the warning if it does not.

Owns how it is known whether an optimizer has made a step. Does not own what a step writes.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

from ..checking import warning_level

#: What torch's optimizers note, and optimizers from here: whether step() was called.
_NOTE = "_opt_called"


class Stepping(Protocol):
    """A scheduler, as far as the order goes."""

    optimizer: Any
    _step_count: int
    _is_part: bool


def watch(optimizer: Any) -> None:
    """Let an optimizer of torch, or with hooks like torch's, note that it makes steps."""
    if hasattr(optimizer, _NOTE) or not hasattr(optimizer, "register_step_post_hook"):
        return
    optimizer._opt_called = False
    optimizer.register_step_post_hook(_note)


def _note(optimizer: Any, *_: Any) -> None:
    optimizer._opt_called = True


def warn_if_first(scheduler: Stepping) -> None:
    """Warn at a scheduler's first step if its optimizer has made none, as far as that is known.

    Nothing is known of an optimizer whose ``step`` was replaced, or that has no hooks. The parts of
    a composition leave the warning to it.
    """
    if scheduler._step_count != 1 or scheduler._is_part:
        return
    optimizer = scheduler.optimizer
    is_replaced = "step" in getattr(optimizer, "__dict__", {}) or getattr(
        optimizer, "_steps_by_itself", False
    )
    if is_replaced or getattr(optimizer, _NOTE, True):
        return
    name = type(scheduler).__name__
    warnings.warn(
        f"{name}: step() was called before the optimizer's step(), so that the first value of the "
        f"schedule is never used; call optimizer.step() first. See "
        f"https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate",
        UserWarning,
        stacklevel=warning_level(),
    )
