"""Which NumPy arrays are the runtime's own: the data of parameters, and states.

Owns one registry for the process, so that two optimizers over one model share a parameter's private
copy, and the question whether a gradient lies in such an array. Does not own what steps do with
them (``numpy_backend``).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import numpy as np

from ..groups.states import Slot

Array = np.ndarray[Any, np.dtype[Any]]

_base = attrgetter("base")

_made: dict[int, tuple[weakref.ref[Array], Callable[[], Any]]] = {}


def mark_private(array: Array, param: Any) -> None:
    """Remember that the runtime made this array, as the data of this parameter or, None, states."""
    key = id(array)

    def forget(_: object) -> None:
        _made.pop(key, None)

    try:
        owner: Callable[[], Any] = weakref.ref(param)
    except TypeError:  # a class with __slots__ and no __weakref__
        token = id(param)
        owner = _Identity(token)
    _made[key] = (weakref.ref(array, forget), owner)


class _Identity:
    """Stands in for a weak reference to an object that allows none."""

    __slots__ = ("token",)

    def __init__(self, token: int) -> None:
        self.token = token

    def __call__(self) -> _Identity:
        return self


def is_private(array: Array, param: Any) -> bool:
    """Whether the runtime itself made this array for this parameter."""
    known = _made.get(id(array))
    if known is None or known[0]() is not array:
        return False
    owner = known[1]()
    return owner is param or (isinstance(owner, _Identity) and owner.token == id(param))


def shares_memory(gradients: Iterable[Array]) -> bool:
    """Whether a gradient is data or states of a parameter, of whatever optimizer, or a view."""
    gradients = list(gradients)
    seen = set(map(id, gradients))
    seen.update(map(id, map(_base, gradients)))
    return not _made.keys().isdisjoint(seen)


def apart(gradient: Array, slot: Slot) -> Array:
    """The gradient; a copy if it is data or state, which a step changes while it reads."""
    for _, array in slot.sources:
        if array is gradient or array is gradient.base:
            return gradient.copy()
    return gradient.copy() if shares_memory((gradient,)) else gradient


def private(param: Any) -> Array:
    """The parameter's data as an array that only the runtime's own parameters share."""
    data: Any = param.data
    if isinstance(data, np.ndarray) and is_private(data, param):
        return data
    mine = np.array(data, order="K")
    if not (mine.flags.c_contiguous or mine.flags.f_contiguous):
        mine = np.array(data, order="C")
    param.data = mine
    if param.data is not mine:  # a property that stores a view or a copy
        mine = np.asarray(param.data)
    mark_private(mine, param)
    return mine
