"""float32 copies of half-precision weights, on which steps are computed.

Owns ``master_weight`` in the state of a parameter of type float16 or bfloat16. A step runs on a
stand-in, a parameter whose data is the master: its states, too, are of float32. The parameter then
gets the master, rounded. A master follows its parameter: where the weight is not what the master
rounds to, somebody has set it, and it is taken over.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import as_mlx, as_numpy, in_single, is_half, is_mlx, plain
from ..backends.numpy_arrays import private
from ..groups.parameters import Parameter
from ..groups.states import MASTER_WEIGHT, Slot, States
from .sorting import Checked


class Masters:
    """The stand-ins of one optimizer's parameters, and the states under which they step."""

    def __init__(self) -> None:
        self.states = States()
        self._stand_ins: dict[int, StandIn] = {}

    def __reduce__(self) -> Any:
        return Masters, ()  # what there is to keep is in the states of the parameters

    def stand_in(self, groups: Sequence[Checked], states: States) -> list[Checked]:
        """The groups with stand-ins in the place of half-precision parameters that will step."""
        found: list[Checked] = []
        for where, settings, params, names, grads in groups:
            chosen = [
                self._chosen(param, grad, states) for param, grad in zip(params, grads, strict=True)
            ]
            found.append((where, settings, chosen, names, grads))
        return found

    def _chosen(self, param: Any, grad: Any, states: States) -> Any:
        slot = states.slots.get(id(param)) or states.slot(param)
        if grad is None or not is_half(param.data):
            if grad is not None:
                slot.entry.pop(MASTER_WEIGHT, None)  # it has another type now
            self.states.slots[id(param)] = slot
            return param
        stand_in = self._stand_ins.get(id(param))
        if stand_in is None:
            stand_in = self._stand_ins[id(param)] = StandIn(param)
        own = self.states.slots.get(id(stand_in))
        if own is None or own.entry is not slot.entry:
            # Somebody may look at the parameter's state, which is this one's, at any time.
            self.states.slots[id(stand_in)] = Slot(stand_in, slot.entry, shared=True)
        stand_in.follow(slot.entry)
        return stand_in

    def store(self, groups: Sequence[Checked], states: States) -> None:
        """Give the parameters their masters, rounded."""
        made = []
        for _, _, params, _, grads in groups:
            for stand_in, grad in zip(params, grads, strict=True):
                if isinstance(stand_in, StandIn) and grad is not None:
                    made.append(stand_in.store(states.slot(stand_in.param).entry))
        lazy = [data for data in made if is_mlx(data)]
        if lazy:
            sys.modules["mlx.core"].eval(lazy)


class StandIn(Parameter):
    """A parameter whose data is the master of another one's."""

    __slots__ = ("param", "seen")

    def __init__(self, param: Any) -> None:
        super().__init__(in_single(param.data))
        self.param = param
        self.seen: Any = None  # an MLX array that the master was rounded to

    def follow(self, entry: dict[str, Any]) -> None:
        """Take over what was loaded, and what was set."""
        data, saved = self.param.data, entry.get(MASTER_WEIGHT)
        if saved is None or tuple(saved.shape) != tuple(data.shape):
            self.data, self.seen = in_single(data), data
            return
        if saved is not self.data or is_mlx(saved) is not is_mlx(data):
            self.data, self.seen = _converted(saved, data), None
        if data is self.seen:
            return
        if isinstance(data, np.ndarray):
            data = plain(data)
            np.copyto(self.data, data, where=_rounded(self.data, data) != data)
        else:
            self.data = master_of(data, self.data)

    def store(self, entry: dict[str, Any]) -> Any:
        """The parameter's new data."""
        entry[MASTER_WEIGHT] = self.data
        data = self.param.data
        if isinstance(data, np.ndarray):
            data = private(self.param)
            with np.errstate(over="ignore"):
                np.copyto(data, self.data, casting="same_kind")
        else:
            data = self.param.data = self.seen = _rounded(self.data, data)
        return data


def master_of(weight: Any, master: Any) -> Any:
    """The master of an MLX array: the one there is, or the weight where that has been set."""
    wide = in_single(weight)
    if master is None or tuple(master.shape) != tuple(weight.shape):
        return wide
    same = master.astype(weight.dtype) == weight
    return sys.modules["mlx.core"].where(same, master, wide)


def _converted(saved: Any, like: Any) -> Any:
    """A copy of a saved master as an array of the library of ``like``."""
    if isinstance(like, np.ndarray):
        made = np.empty_like(plain(like), dtype=np.float32)
        np.copyto(made, as_numpy(saved), casting="same_kind")
        return made
    return as_mlx(saved, sys.modules["mlx.core"].float32)


def _rounded(master: Any, like: Any) -> Any:
    """A master in the type of its parameter's data."""
    if isinstance(master, np.ndarray):
        with np.errstate(over="ignore"):
            return master.astype(like.dtype)
    return master.astype(like.dtype)
