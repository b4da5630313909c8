"""The NumPy arrays that steps write to: the data of parameters, and states.

Owns the type of the arithmetic, the making of these arrays, and one registry for the process of
those that are in use: so that two optimizers over one model share a parameter's private copy, and a
gradient that lies in one is known. Does not own what steps do with them (``numpy``, ``loops``).
"""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Literal

import numpy as np

from ..arrays import Array, as_numpy, plain
from ..groups.bucket import Members, Part
from ..groups.settings import Settings
from ..groups.states import Seen, Slot
from ..rules.rule import Rule, State, equation_axes


def computing_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which arithmetic on this type is done: float32 for float16."""
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype


_base = attrgetter("base")

_made: dict[int, tuple[weakref.ref[Array], Callable[[], Any]]] = {}


def mark_private(array: Array, param: Any) -> None:
    """Remember an array in use: as the private data of this parameter or, None, as states."""
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


def shares_memory(gradients: Sequence[Array]) -> bool:
    """Whether a gradient is data or states of a parameter, of whatever optimizer, or a view."""
    return not _made.keys().isdisjoint(map(id, chain(gradients, map(_base, gradients))))


def apart(gradient: Array) -> Array:
    """The gradient; a copy if it is data or state, which a step changes while it reads."""
    return gradient.copy() if shares_memory((gradient,)) else gradient


def private(param: Any, order: Literal["C", "K"] = "K") -> Array:
    """The parameter's data as an array that only the runtime's own parameters share.

    It is contiguous; where the order is to be C's, it is that.
    """
    data: Any = param.data
    is_mine = isinstance(data, np.ndarray) and is_private(data, param)
    if is_mine and (order == "K" or data.flags.c_contiguous):
        return data  # type: ignore[no-any-return]
    mine = np.array(data, order=order)
    if not (mine.flags.c_contiguous or mine.flags.f_contiguous):
        mine = np.array(data, order="C")
    param.data = mine
    if param.data is not mine:  # a property that stores a view or a copy
        mine = np.asarray(param.data)
    mark_private(mine, param)
    return mine


def with_equation_axes(array: Array, rule: Rule) -> Array:
    """An array as equations of matrices see it, in whose memory it is if it is contiguous."""
    if rule.matrices == "last":
        return array
    return array.reshape(equation_axes(array.shape, rule.matrices))


def bind(part: Part) -> None:
    """Make the private copies and the states of parameters that have none from the last step.

    Their values are those that there were; ``keep`` puts new states in place.
    """
    if part.members.seen is not None:
        return
    settings, slots = part.bucket.settings, [slot for slot in part.slots if slot.seen is None]
    # Several axes are seen as one without a copy only in C's order.
    as_one = settings.shaped and settings.rule.matrices == "first"
    weights = [
        private(slot.param, "C" if as_one and slot.param.data.ndim > 2 else "K") for slot in slots
    ]
    orders = list(map(_order, weights))
    alike = list(zip(slots, weights, orders, strict=True))
    keys = [state.key for state in settings.arrays]
    columns = [_states(state, alike, settings) for state in settings.arrays]
    for number, (slot, w, order) in enumerate(alike):
        sources = tuple(zip(keys, [column[number] for column in columns], strict=True))
        slot.seen = Seen(w, settings.arrays, sources, order)


def keep(members: Members) -> None:
    """Put states that are new in their places."""
    if members.seen is None:
        for slot in members.slots:
            if slot.seen is not None:
                slot.entry.update(slot.seen.sources)


#: A parameter's record, its weights, and their order in memory.
_Bound = tuple[Slot, Array, str]


def _order(array: Array) -> str:
    return "C" if array.flags.c_contiguous or not array.flags.f_contiguous else "F"


def _states(state: State, bound: Sequence[_Bound], settings: Settings) -> list[Array]:
    """The arrays of a state with the type and the layout of w: those there are, and new ones."""
    new = _zeros(state, [of for of in bound if of[0].entry.get(state.key) is None])
    arrays = []
    for slot, w, order in bound:
        found = slot.entry.get(state.key)
        if found is not None:
            arrays.append(_fitting(found, w, order))
            continue
        made = next(new)
        if state.start is not None:
            made[...] = settings.start(state, w)
        arrays.append(made)
    return arrays


def _zeros(state: State, bound: Sequence[_Bound]) -> Iterator[Array]:
    """New states that are zero, for each type parts of one array.

    What a step runs over lies in a row then, and in large pages where the system has them.
    """
    shapes = [state.shape(w.shape) for _, w, _ in bound]
    ends: Counter[Any] = Counter()
    parts = []
    for (_, w, _), shape in zip(bound, shapes, strict=True):
        start = ends[w.dtype]
        ends[w.dtype] += math.prod(shape)
        parts.append(slice(start, ends[w.dtype]))
    whole = {dtype: np.zeros(size, dtype) for dtype, size in ends.items()}
    for array in whole.values():
        mark_private(array, None)
    for (_, w, layout), shape, part in zip(bound, shapes, parts, strict=True):
        order: Any = layout
        yield whole[w.dtype][part].reshape(shape, order=order)


def _fitting(found: Any, w: Array, layout: str) -> Array:
    """The state as an array that a step can update together with w."""
    order: Any = layout
    if isinstance(found, np.ndarray) and found.dtype == w.dtype and found.flags.writeable:
        own = plain(found)
        if own.flags.f_contiguous if order == "F" else own.flags.c_contiguous:
            if not shares_memory((own,)):  # somebody else's, in use from now on
                mark_private(own, None)
            return own
    fitting: Array = np.array(as_numpy(found), dtype=w.dtype, order=order)
    mark_private(fitting, None)
    return fitting
