"""Many small MLX tensors in one call of a GPU kernel.

Owns which tensors of a bucket share a call, and the flat arrays in which their states lie one after
the other: as many tensors as the kernel has buffers for, w, gradient and new w of each, and two for
each state of all. What is shown in ``optimizer.state`` are views of the flat arrays; as long as
they are there untouched, the next step takes the flat arrays as they are, else it joins the states
anew. Nothing that was handed out ever changes: a call's outputs are new arrays.

What sharing saves is a dispatch, some microseconds for each tensor. `MOST_PACKED` float32 elements
are 7 MB of traffic under Adam, several times what any GPU moves in such a time: above it nothing is
to be gained, and a flat array, which lives as long as one of its views does, would keep more memory
from being freed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from ...groups.states import Slot
from .call import FEW
from .trial import Tried

Array = Any

#: Under which name a parameter's place in a flat array is kept.
PLACE = "mlx"

#: Tensors of more elements have a call of their own, as those with fewer than `FEW` have.
MOST_PACKED = 2**18


class Flat:
    """The states of `count` parameters: for each live state one array."""

    __slots__ = ("arrays", "count")

    def __init__(self, arrays: list[Array], count: int) -> None:
        self.arrays = arrays
        self.count = count


class New(NamedTuple):
    """What a step gives for one parameter: the new w and live states, and where those lie."""

    arrays: list[Array]
    place: tuple[Flat, int] | None = None


#: A parameter's record, its gradient, its live states before the step, and, where the rule draws
#: random numbers, its stream.
Member = tuple[Slot, Any, list[Array], tuple[Array, ...]]


def run(step: Tried, members: Sequence[Member], values: list[Array]) -> list[New]:
    """The step of parameters that have one type, in as few calls as there can be."""
    found: list[New | None] = [None] * len(members)
    small = [
        i for i, (slot, *_) in enumerate(members) if FEW <= slot.param.data.size <= MOST_PACKED
    ]
    most = step.most()
    for start in range(0, len(small), most):
        chunk = small[start : start + most]
        if len(chunk) > 1 and step.serves(len(chunk)):
            for i, new in zip(
                chunk, _shared(step, [members[i] for i in chunk], values), strict=True
            ):
                found[i] = new
    return [
        new or New(step.run(slot.param.data, grad, states, values, *stream))
        for new, (slot, grad, states, stream) in zip(found, members, strict=True)
    ]


def _shared(step: Tried, members: Sequence[Member], values: list[Array]) -> list[New]:
    """The step of some parameters in one call."""
    ws, streams = [slot.param.data for slot, *_ in members], [s for *_, own in members for s in own]
    grads = [grad for _, grad, *_ in members]
    new_ws, arrays = step.together(ws, grads, _flat(members), values, streams)
    flat = Flat(arrays, len(members))
    found, end = [], 0
    for k, (w, new_w) in enumerate(zip(ws, new_ws, strict=True)):
        start, end = end, end + w.size
        views = [array[start:end].reshape(w.shape) for array in arrays]
        found.append(New([new_w, *views], (flat, k)))
    return found


def _flat(members: Sequence[Member]) -> list[Array]:
    """The states of some parameters, one after the other: as they lie already, or joined."""
    places = [None if s.seen is None else s.seen.own.get(PLACE) for s, *_ in members]
    if places[0] is not None:
        flat: Flat = places[0][0]
        if len(members) == flat.count and places == [(flat, k) for k in range(flat.count)]:
            return flat.arrays
    columns = zip(*(states for _, _, states, _ in members), strict=True)
    return [mx.concatenate([state.reshape(-1) for state in states]) for states in columns]
