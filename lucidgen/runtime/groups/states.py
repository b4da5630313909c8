"""Per-parameter state: a mapping from parameters, by identity, to dicts as in torch.

Owns ``States`` (what ``optimizer.state`` is), ``Slot``, the record behind one parameter, and
``Seen``, the arrays that the last step left there. What was seen can always be looked at again: it
is left out of copies and pickles. A slot also notes whether anybody outside may have its state: MLX
arrays that somebody may have seen are not written to. Does not own how states are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from .. import cpython
from ..rules.rule import State

#: Entries of a parameter's state that belong to no rule: a master in float32, and the sum of the
#: gradients of several batches.
MASTER_WEIGHT, GRAD_SUM = "master_weight", "grad_sum"


class Seen:
    """The arrays of one parameter as a step left them.

    It holds for as long as they are the very same objects, and goes when they are not: other arrays
    have another ``Seen``. So whatever is made of them needs no rule of its own for when it is out
    of date. A backend keeps what it made of one parameter's arrays in ``own``, under its name;
    what is made of several parameters' holds for as long as their ``Seen`` are the very same.

    ``arrays`` are the states that were live, ``sources`` their keys and arrays. ``private`` arrays
    are written to in place although arrays of their kind are values: nobody outside may have them.
    """

    __slots__ = (
        "arrays",
        "data",
        "dtype",
        "kind",
        "order",
        "own",
        "private",
        "shape",
        "sources",
    )

    def __init__(
        self,
        data: Any,
        arrays: tuple[State, ...],
        sources: tuple[tuple[str, Any], ...],
        order: str = "C",
        private: bool = False,
    ) -> None:
        self.data, self.arrays, self.sources = data, arrays, sources
        self.kind, self.dtype, self.shape, self.order = type(data), data.dtype, data.shape, order
        self.private = private
        self.own: dict[str, Any] = {}

    def holds(self, data: Any, entry: dict[str, Any], arrays: tuple[State, ...]) -> bool:
        """Whether a parameter still has these arrays, as they were, and needs the same states."""
        if self.data is not data or self.arrays is not arrays:
            return False
        for key, array in self.sources:
            if entry.get(key) is not array:
                return False
        if self.kind is np.ndarray:
            return True  # MLX's arrays change in place by becoming others
        return bool(data.dtype == self.dtype and data.shape == self.shape)

    def is_like(self, grad: Any) -> bool:
        """Whether a gradient is of the very kind, type and shape of the weights."""
        return (
            type(grad) is self.kind and grad.dtype == self.dtype and bool(grad.shape == self.shape)
        )


class Slot:
    """One parameter, its state, and what the last step saw there, if that still may be trusted.

    ``shared`` means that somebody outside may have the state.
    """

    __slots__ = ("entry", "param", "seen", "shared")

    def __init__(self, param: Any, entry: dict[str, Any], shared: bool = False) -> None:
        self.param = param
        self.entry = entry
        self.shared = shared
        self.seen: Seen | None = None

    def handed_out(self) -> dict[str, Any]:
        """The state, for somebody outside."""
        self.shared = True
        if self.seen is not None and self.seen.private:
            self.seen = None
        return self.entry

    def is_held(self) -> bool:
        """Whether somebody outside still has the state, and may ask it for arrays at any time."""
        return cpython.is_held(self, "entry")


class States(MutableMapping[Any, dict[str, Any]]):
    """The state of each parameter. An unknown parameter gets an empty dict, as in torch."""

    __module__ = __package__  # pickles name the room, not the file

    def __init__(self, pairs: Mapping[Any, Any] | tuple[tuple[Any, Any], ...] = ()) -> None:
        self.slots: dict[int, Slot] = {}
        for param, entry in pairs.items() if isinstance(pairs, Mapping) else pairs:
            self[param] = entry

    def slot(self, param: Any) -> Slot:
        """The record of a parameter, made when there is none."""
        slot = self.slots.get(id(param))
        if slot is None:
            slot = self.slots[id(param)] = Slot(param, {})
        return slot

    def __getitem__(self, param: Any) -> dict[str, Any]:
        return self.slot(param).handed_out()

    def __setitem__(self, param: Any, entry: dict[str, Any]) -> None:
        self.slots[id(param)] = Slot(param, entry, shared=True)

    def __delitem__(self, param: Any) -> None:
        if id(param) not in self.slots:
            raise KeyError(param)
        del self.slots[id(param)]

    def get(self, param: Any, default: Any = None) -> Any:
        """The state of a parameter, or the default; makes nothing."""
        slot = self.slots.get(id(param))
        return default if slot is None else slot.handed_out()

    def __contains__(self, param: object) -> bool:
        return id(param) in self.slots

    def __iter__(self) -> Iterator[Any]:
        return (slot.param for slot in list(self.slots.values()))

    def __len__(self) -> int:
        return len(self.slots)

    def __repr__(self) -> str:
        return repr([(slot.param, slot.entry) for slot in self.slots.values()])

    def __reduce__(self) -> Any:
        return States, (tuple((slot.param, slot.handed_out()) for slot in self.slots.values()),)
