"""Whether a step was traced by ``mx.compile``, which fixes all that is no array in it.

Owns the one way to find out. MLX does not say that a function is being traced, but it puts
placeholders in the place of the arrays that the step captured, and those cannot be evaluated once
the trace is over. So a step count that others put into the state is kept until somebody asks, and
evaluated then: within an update nothing may be. Does not own what is refused after a trace.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

Array = Any


class Tracing:
    """What is known of the traces of one group's updates, by its step count."""

    def __init__(self) -> None:
        self._ours: Array = None  # the count as the group itself left it
        self._foreign: list[Array] = []  # counts put there by others: mx.compile, a user
        self._found = False

    def put(self, count: Array) -> None:
        """Note a count that the group puts into its state."""
        self._ours = count

    def see(self, count: Array) -> None:
        """Note the count that an update starts from."""
        if count is not self._ours:
            self._foreign.append(count)

    def has_happened(self) -> bool:
        """Whether an update ran inside ``mx.compile``; it stays so. Not to be asked within one."""
        for count in self._foreign:
            try:
                mx.eval(count)
            except (RuntimeError, ValueError):
                self._found = True
        self._foreign = []
        return self._found
