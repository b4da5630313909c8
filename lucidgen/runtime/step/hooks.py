"""Hooks around a step: functions that are called before and after it, as in torch.

Owns their order, their removal, and what a hook before a step may change. An optimizer without
hooks never comes here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import count
from typing import Any

from ..checking import shown

#: Called with the optimizer and the arguments of step().
Hook = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


class Handle:
    """Removes a hook: by ``remove()``, or at the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, Hook], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Remove the hook; again is no error."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one optimizer, each kind in the order of registration."""

    def __init__(self) -> None:
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Hook] = {}
        self._keys = count()

    def add(self, hooks: dict[int, Hook], hook: Hook) -> Handle:
        """Add a hook to one kind."""
        if not callable(hook):
            raise TypeError(f"a hook is called, got {type(hook).__name__}")
        key = next(self._keys)
        hooks[key] = hook
        return Handle(hooks, key)

    def around(self, optimizer: Any, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A step with everything before and after it."""
        for hook in list(self.before.values()):
            match hook(optimizer, args, kwargs):
                case None:
                    continue
                case (tuple() as args, dict() as kwargs):
                    _check(optimizer, args, kwargs)
                case other:
                    raise TypeError(
                        f"{type(optimizer).__name__}: a hook before step() returns None or new "
                        f"(args, kwargs), got {shown(other)}"
                    )
        result = step(*args, **kwargs)
        for hook in list(self.after.values()):
            hook(optimizer, args, kwargs)
        return result


def _check(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that a step does not take."""
    try:
        inspect.signature(optimizer.step).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"{type(optimizer).__name__}: a hook before step() returns arguments that step() does "
            f"not take: {error}"
        ) from None
