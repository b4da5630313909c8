"""Which random numbers a parameter gets: what identifies it, and its stream in a step.

Owns the identity of parameters. One that has a name is known by that: the same name has the same
numbers in whatever group it is, in whatever order, as a parameter or as a leaf of a tree. One
without is known by the number of its group and its place there. So nothing that is added later
changes the numbers of what was there before, nor does a resumed run. What the numbers are is in
``rules.philox``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from ..rules import philox
from .bucket import Part


@lru_cache(maxsize=65_536)
def of_name(name: str) -> int:
    """The identity of a parameter of this name: 64 bits of a hash.

    >>> hex(of_name("layers.0.weight"))
    '0xd3a21df0ad7c4568'
    """
    return int.from_bytes(sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "little")


def of_place(group: int, place: int) -> int:
    """The identity of a parameter without a name: that of the group above, its place below."""
    return group << 32 | place


def identities(groups: Sequence[tuple[Sequence[Any], Sequence[str] | None]]) -> dict[int, int]:
    """The identity of each parameter of some groups with their names, by its id()."""
    return {
        id(param): of_place(group, place) if names is None else of_name(names[place])
        for group, (params, names) in enumerate(groups)
        for place, param in enumerate(params)
    }


def give_streams(parts: Sequence[Part], known: dict[int, int]) -> None:
    """Give every part that draws the streams of its parameters in this step."""
    for part in parts:
        settings = part.bucket.settings
        if settings.rule.draws:
            own = np.array([known[id(slot.param)] for slot in part.slots], dtype=np.uint64)
            part.streams = philox.streams(settings.seed, part.bucket.t, own)
