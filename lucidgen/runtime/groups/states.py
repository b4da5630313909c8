"""Per-parameter state: a mapping from parameters, by identity, to dicts as in torch.

Owns ``States`` (what ``optimizer.state`` is) and ``Slot``, the record behind one parameter with
what the backends remember of it between steps. What is remembered can always be made again; it is
left out of copies and pickles. ``States`` also notes which states anybody outside has asked for:
MLX arrays that somebody may have seen are not written to. Does not own how states are made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from ..rules.rule import State

#: Entries of a parameter's state that belong to no rule: a master in float32, and the sum of the
#: gradients of several batches.
MASTER_WEIGHT, GRAD_SUM = "master_weight", "grad_sum"


class Slot:
    """One parameter, its state, and the arrays that were seen there at the last step.

    As long as ``data`` and the states in ``sources`` are the very same objects, and ``arrays`` is
    the same tuple of live states, nothing needs to be checked again. ``shared`` means that somebody
    outside may have the state: then nothing is remembered of MLX arrays.
    """

    __slots__ = (
        "arrays",
        "calls",
        "data",
        "dtype",
        "entry",
        "grad_dtype",
        "kind",
        "order",
        "param",
        "place",
        "pointers",
        "shape",
        "shared",
        "sources",
    )

    def __init__(self, param: Any, entry: dict[str, Any], shared: bool = False) -> None:
        self.param = param
        self.entry = entry
        self.shared = shared
        self.grad_dtype: Any = None  # the type of the last gradient that was looked at closely
        self.forget()

    def handed_out(self) -> dict[str, Any]:
        """The state, for somebody outside."""
        self.shared = True
        if self.pointers is not None and self.kind is not np.ndarray:
            self.forget()
        return self.entry

    def is_held(self) -> bool:
        """Whether somebody outside still has the state, and may ask it for arrays at any time."""
        return _references(self) > _OWN_REFERENCES

    def forget(self) -> None:
        """Look at everything again at the next step."""
        self.data: Any = None
        self.arrays: tuple[State, ...] | None = None
        self.sources: tuple[tuple[str, Any], ...] = ()
        self.calls: Any = None  # what the NumPy step is called with, chunk by chunk
        self.pointers: Any = None  # of w and the states, if a compiled loop can work on them
        self.place: Any = None  # the flat arrays that the states are views of, and which views
        self.kind: Any = None  # the class of the arrays
        self.dtype: Any = None
        self.shape: tuple[int, ...] = ()
        self.order = "C"


def _references(slot: Slot) -> int:
    return sys.getrefcount(slot.entry)


_OWN_REFERENCES = _references(Slot(None, {}))


class States(MutableMapping[Any, dict[str, Any]]):
    """The state of each parameter. An unknown parameter gets an empty dict, as in torch."""

    def __init__(self, pairs: Mapping[Any, Any] | tuple[tuple[Any, Any], ...] = ()) -> None:
        self.slots: dict[int, Slot] = {}
        self.steady: dict[int, Any] = {}  # groups that need no closer look, by number
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
