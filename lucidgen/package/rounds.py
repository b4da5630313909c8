"""What is computed of whole groups before their parameters step, compiled.

Owns the functions of a round and the text of its data. What a round is, and what its shares and
numbers are made of, is `ir.groups`'; rules are `module`'s, and shares are rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..ir.lower import LoweredRound
from ..passes import optimize
from ..passes.capture import capture
from ..targets.common.host import HostFunction, host_function
from ..targets.common.names import Words, renamed


@dataclass(frozen=True)
class Values:
    """The function of a round that makes numbers of a group, on the host and in a captured step."""

    name: str
    title: str
    host: HostFunction
    captured: HostFunction


@dataclass(frozen=True)
class CompiledRound:
    """A round: the sums by their names, each with how shares are joined, and its functions.

    `shares` is the rule of what parameters give to the sums, as `module` compiles it.
    """

    sums: Mapping[str, str]
    shares: Any
    values: Values | None

    @property
    def text(self) -> str:
        """It as `Round(...)`."""
        parts = []
        if self.shares is not None:
            sums = ", ".join(f'"{name}": "{kind}"' for name, kind in self.sums.items())
            parts += [f"sums={{{sums}}}", f"shares={constant(self.shares)}"]
        if self.values is not None:
            parts.append(f"values={self.values.name}")
        return f"Round({', '.join(parts)})"


def constant(shares: Any) -> str:
    """What the rule of shares is called among a module's data."""
    return f"_{shares.name.upper()}"


def values_of(lowered: LoweredRound, name: str, title: str, taken: Words) -> Values | None:
    """The function that makes numbers of a group of the sums of a round."""
    if lowered.values is None:
        return None
    program, _ = renamed(optimize(lowered.values), taken.free)
    captured = capture(program).check()
    return Values(name, title, host_function(program), host_function(captured))
