"""MLX's arrays as steps need them: their types, and the arrays of states.

Owns the type of the arithmetic, and how a state comes to be. Imported only when an MLX array is
met. Does not own what updates arrays (``mlx`` and ``loops``).
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..arrays import as_mlx
from ..groups.settings import Settings
from ..rules.rule import State

Array = Any  # mlx.core.array has no usable type information for operators


def computing_type(dtype: Any) -> Any:
    """The type in which arithmetic on this type is done: float32 for the half types."""
    return mx.float32 if dtype in (mx.float16, mx.bfloat16) else dtype


def state_array(state: State, entry: dict[str, Any], settings: Settings, w: Array) -> Array:
    """The state's array, of w's type: the one there is, or a new one."""
    found = entry.get(state.key)
    if found is not None:
        if isinstance(found, mx.array) and found.dtype == w.dtype:
            return found
        return as_mlx(found, w.dtype)
    shape = state.shape(w.shape)
    if state.start is None:
        return mx.zeros(shape, dtype=w.dtype)
    made = settings.start(state, w)
    if not isinstance(made, mx.array):
        made = mx.array(made, dtype=w.dtype)
    return mx.broadcast_to(made.astype(w.dtype), shape)
