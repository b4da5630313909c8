"""Compiled loops on NumPy's arrays, in place: all the tensors of a part in one call.

Owns which parameters a loop can work on: their arrays must be of one type, for which there are
loops, and lie in memory alike. Does not own the arrays (``numpy_arrays``), how loops come to be
(``compiler``) nor what they are called with (``pointer_table``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...groups.bucket import Part
from ...groups.states import Seen, Slot
from ...rules.rule import Rule
from ..numpy_arrays import bind, keep
from . import compiler
from .pointer_table import NAME, Loop, Table, bound, chosen

#: Compiled steps by the type of the weights.
Steps = dict[Any, compiler.Step]


class Loops:
    """The backend. A loop that is not demanded is left out while it is being compiled."""

    def __init__(self, demanded: bool) -> None:
        self.demanded = demanded

    def prepare(self, parts: Sequence[Part], own: dict[str, Any]) -> tuple[list[Call], list[Part]]:
        """Prepare what loops can update.

        Raises
        ------
        TypeError, Unavailable
            If loops are demanded that cannot be had.
        """
        calls: list[Call] = []
        new = []
        for part in parts:
            kept = bound(part.members)
            if kept.takes_all:
                calls += [Call(loop, part) for loop in kept.loops.values()]
            else:
                new.append((part, self._steps(part)))  # what must be refused is refused here
        rest: list[Part] = []
        for part, steps in new:
            if steps:
                bind(part)
            loops = [_loop(part, *pair) for pair in steps.items()]
            calls += [Call(loop, part) for loop in loops if loop.places != []]
            left = _left(part, loops)
            bound(part.members).takes_all = not left and [] not in [loop.places for loop in loops]
            rest += left
        return calls, rest

    def _steps(self, part: Part) -> Steps:
        """The compiled steps that there are, or must be, for these parameters."""
        rule, kept = part.bucket.settings.rule, bound(part.members)
        steps: Steps = {}
        for type_ in kept.types if "cpp" in rule.targets else ():
            if type_ in kept.loops:
                steps[type_] = kept.loops[type_].step
            elif type_.isnative and type_.name in compiler.TYPES:
                found = compiler.step(rule, type_.name, self.demanded)
                if found is not None:
                    steps[type_] = found
            elif self.demanded:
                raise TypeError(f'kernel="cpp": there are no C++ loops for arrays of type {type_}')
        return steps


def _left(part: Part, loops: Sequence[Loop]) -> list[Part]:
    """What is in none of the loops."""
    taken: set[int] = set()
    for loop in loops:
        if loop.places is None:
            return []
        taken.update(loop.places)
    if not taken:
        return [part]
    left = [i for i in range(len(part.slots)) if i not in taken]
    return [part.only(left)] if left else []


def _loop(part: Part, type_: Any, step: compiler.Step) -> Loop:
    """The loop over the parameters of a type that can be: kept as long as the members are."""
    kept, rule = bound(part.members), part.bucket.settings.rule
    if type_ not in kept.loops:
        found = {}
        for i in chosen(range(len(part.slots)), kept.types[type_]):
            addresses = _addresses(part.slots[i], rule)
            if addresses:
                found[i] = addresses
        seen: list[Any] = [part.slots[i].seen for i in found]
        sizes, orders = [s.data.size for s in seen], [s.order for s in seen]
        shapes = [s.shape for s in seen]
        table = Table(part.bucket, list(found.values()), sizes, orders, shapes)
        places = None if len(found) == len(part.slots) else list(found)
        kept.loops[type_] = Loop(step, table, places)
    return kept.loops[type_]


def _addresses(slot: Slot, rule: Rule) -> tuple[int, ...]:
    """The addresses of a parameter's arrays, 0 for a state that is not live.

    Empty if a loop cannot work on them: they must be of one type and lie in memory alike.
    """
    seen: Any = slot.seen
    found: tuple[int, ...] | None = seen.own.get(NAME)
    if found is None:
        found = seen.own[NAME] = _addresses_of(seen, rule)
    return found


def _addresses_of(seen: Seen, rule: Rule) -> tuple[int, ...]:
    own = {state: array for state, (_, array) in zip(seen.arrays, seen.sources, strict=True)}
    shapes = [seen.shape, *(state.shape(seen.shape) for state in own)]
    for array, shape in zip((seen.data, *own.values()), shapes, strict=True):
        flags = array.flags
        # Loops over rows take them one behind the other.
        by_columns = seen.order == "F" and not rule.shaped
        flat = flags.f_contiguous if by_columns else flags.c_contiguous
        if not (flat and flags.behaved and array.dtype == seen.dtype and array.shape == shape):
            return ()
    states = (own[state].ctypes.data if state in own else 0 for state in rule.arrays)
    return (seen.data.ctypes.data, *states)


class Call:
    """One call of a compiled step."""

    def __init__(self, loop: Loop, part: Part) -> None:
        self.loop, self.part = loop, part
        loop.table.pack(part.bucket)

    def run(self) -> None:
        """The step itself."""
        keep(self.part.members)
        part, (step, table, places) = self.part, self.loop
        if places is None:
            table.run(step, part.grads, part.grad_dtypes, part.streams)
        else:
            streams = None if part.streams is None else part.streams[places]
            table.run(step, chosen(part.grads, places), streams=streams)
