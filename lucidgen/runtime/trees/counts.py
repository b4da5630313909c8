"""Step counts as arrays: what they can hold.

Owns the refusal of a count that an array of int32 cannot hold, or not for long, and the reading of
counts that come as arrays of other types than the layout has. What counts mean is in
``group_state``.
"""

from __future__ import annotations

import math
from typing import Any

from ..checking import shown

_MOST = 2_000_000_000  # below 2**31, with many steps to go


def check_count(count: int, label: str) -> None:
    """Refuse a count that is too large."""
    if count > _MOST:
        raise ValueError(
            f"{label}: a step count must be at most {_MOST} in an MLX array, got {shown(count)}"
        )


def as_count(array: Any, label: str, kind: str) -> Any:
    """A 0-d array of a count as one of a type. Only other types are evaluated and checked."""
    import mlx.core as mx

    wanted = getattr(mx, kind)
    if array.dtype == wanted:
        return array
    count = array.item()
    if isinstance(count, complex | bool) or not 0 <= count < math.inf or count != int(count):
        raise ValueError(f"{label}: step must be a whole number in a state, got {shown(count)}")
    check_count(int(count), label)
    return mx.array(int(count), dtype=wanted)
