"""The kernels of a rule in a language of GPUs: those for MLX, and complete ones.

Owns which of them a rule has, and why it lacks others. What they look like is their target's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir.program import Program
from . import gpu
from .loops import NoPhases, Phases
from .target import Unserved


@dataclass(frozen=True)
class Kernels:
    """The kernels of a rule, ready for a template.

    `step` is the function for one element, which kernels for MLX call, or `without` says why there
    is none. Complete ones call that function, too (`standalone`), or run loops that wait for each
    other (`phases`), or `incomplete` says why there are none.
    """

    step: gpu.Kernel | None
    without: str
    standalone: Any
    phases: Phases | None
    incomplete: str

    @property
    def step_helpers(self) -> tuple[str, ...]:
        """The functions of ours that the function for one element calls."""
        return self.step.helpers if self.step else ()

    @property
    def helpers(self) -> tuple[str, ...]:
        """The functions of ours that they call."""
        return (*self.step_helpers, *(self.phases.helpers if self.phases else ()))

    @property
    def is_complete(self) -> bool:
        """Whether there are complete kernels."""
        return bool(self.standalone or self.phases)


def kernels(
    program: Program,
    step: Callable[[Program], gpu.Kernel],
    standalone: Callable[[gpu.Kernel], Any],
    phases: Callable[[Program], Phases],
) -> Kernels:
    """The kernels of a program.

    Parameters
    ----------
    program : Program
        As it leaves the passes.
    step, phases : callable
        What makes them, or raises `Unserved`.
    standalone : callable
        What makes the complete kernel around a step; None if elements are not all that it needs.

    Raises
    ------
    Unserved
        If there are none at all: the compiled MLX function serves.
    """
    found, without = None, ""
    try:
        found = step(program)
    except Unserved as reason:
        without = str(reason)
    alone = None if found is None else standalone(found)
    reducing, incomplete = None, ""
    if alone is None:
        try:
            reducing = phases(program)
        except Unserved as reason:
            incomplete = str(reason)
            if found is None:
                also = "" if isinstance(reason, NoPhases) else f"; and without MLX {incomplete}"
                raise Unserved(f"{without}{also}") from None
    return Kernels(found, without, alone, reducing, incomplete)


def of_module(found: Sequence[Kernels]) -> Mapping[str, Any]:
    """What the templates of a module are given of the kernels of its rules."""
    return {
        "helpers": gpu.helpers(kernels.helpers for kernels in found),
        "has_elements": any(kernels.standalone for kernels in found),
        "has_phases": any(kernels.phases for kernels in found),
    }
