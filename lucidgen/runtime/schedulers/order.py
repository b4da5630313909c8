"""Whether an optimizer steps before its scheduler does, and the warning if it does not.

Owns how it is known whether an optimizer has made a step. Does not own what a step writes.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from ..checking import warning_level

#: What torch's optimizers note, and optimizers from here: whether step() was called.
_NOTE = "_opt_called"


#: The ``step`` that each optimizer itself had when its last scheduler was made, by its id: not its
#: class's, but one that was put into its place. Pickles and copies know nothing of it.
_steps: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


class Stepping(Protocol):
    """A scheduler, as far as the order goes."""

    optimizer: Any
    _step_count: int
    _is_part: bool


def watch(optimizer: Any) -> None:
    """Know the optimizer's ``step``; let one that has hooks like torch's note that it steps."""
    with suppress(TypeError):  # what cannot be referred to weakly
        _steps[optimizer] = id(_replaced(optimizer))
    if hasattr(optimizer, _NOTE) or not hasattr(optimizer, "register_step_post_hook"):
        return
    optimizer._opt_called = False
    optimizer.register_step_post_hook(_note)


def _replaced(optimizer: Any) -> Any:
    """What was put into the place of the class's ``step``, or None."""
    return getattr(optimizer, "__dict__", {}).get("step")


def _known_step(optimizer: Any, otherwise: int) -> int:
    """The id of the ``step`` that was there when the last scheduler was made, if that is known."""
    with suppress(TypeError):
        return _steps.get(optimizer, otherwise)
    return otherwise


def _note(optimizer: Any, *_: Any) -> None:
    optimizer._opt_called = True


def warn_if_first(scheduler: Stepping) -> None:
    """Warn at a scheduler's first step if its optimizer has made none, as far as that is known.

    Nothing is known of an optimizer whose ``step`` was replaced, or that has no hooks; if it was
    replaced after the scheduler was made, that is said, as in torch. The parts of a composition
    leave the warning to it.
    """
    if scheduler._step_count != 1 or scheduler._is_part:
        return
    optimizer, name = scheduler.optimizer, type(scheduler).__name__
    replaced = _replaced(optimizer)
    if _known_step(optimizer, id(replaced)) != id(replaced):
        _warn(
            f"{name}: `optimizer.step()` has been overridden after the scheduler was made, so that "
            f"nobody knows whether it is called first; call optimizer.step() before "
            f"scheduler.step()"
        )
    elif (
        replaced is None
        and not getattr(optimizer, "_steps_by_itself", False)
        and not getattr(optimizer, _NOTE, True)
    ):
        _warn(
            f"{name}: step() was called before the optimizer's step(), so that the first value of "
            f"the schedule is never used; call optimizer.step() first"
        )


def _warn(message: str) -> None:
    warnings.warn(
        f"{message}. See https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate",
        UserWarning,
        stacklevel=warning_level(),
    )
