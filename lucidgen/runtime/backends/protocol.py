"""What a backend is: it prepares parts of a step, changing no value, and then runs.

Owns the protocol. A step asks one backend after the other, in the order of ``kernel_choice``: each
takes what it can of the parts, and leaves the rest to the next. Only when all have prepared is
anything run, which cannot fail any more: so a step that any backend refuses has changed nothing.
Does not own which parameters make a part (``step``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..groups.bucket import Part


class Call(Protocol):
    """What a backend has prepared."""

    def run(self) -> None:
        """Update weights and states, note in each slot what it has from now on. Cannot fail."""


class Backend(Protocol):
    """What updates arrays."""

    def prepare(
        self, parts: Sequence[Part], own: dict[str, Any]
    ) -> tuple[Sequence[Call], Sequence[Part]]:
        """Make ready what can be updated here. Changes no value.

        Parameters
        ----------
        parts : sequence of Part
            All of one kind.
        own : dict
            What backends keep for an optimizer, each under its name.

        Returns
        -------
        calls : sequence of Call
            They remain to be run.
        rest : sequence of Part
            What is left to the next backend.

        Raises
        ------
        Exception
            If what was demanded cannot be had.
        """
