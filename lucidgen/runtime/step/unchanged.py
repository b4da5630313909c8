"""Groups in which nothing has changed since the last step but the gradients.

Owns the quick check that this is so. It asks the same questions as ``stepping`` does of each
parameter, but of all parameters of a group at once, in loops that run inside the interpreter: with
thousands of small tensors these questions are what a step costs. Whatever it does not recognise
takes the long way. Does not own what the step computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import attrgetter, is_, itemgetter
from typing import Any

import numpy as np

from ..backends.loops.pointer_table import Table
from ..backends.private_arrays import shares_memory
from ..groups.bucket import Bucket
from ..groups.settings import Settings
from ..groups.states import Slot

_data = attrgetter("data")
_dtype, _shape = attrgetter("dtype"), attrgetter("shape")

#: Step count, and the values of the scalar states, that all parameters of a group share.
Shared = tuple[int, tuple[float, ...]]


def _same(found: Iterable[Any], known: Iterable[Any]) -> bool:
    """Whether these are the very same objects; both must be of one length."""
    return all(map(is_, found, known))


class Steady:
    """A group whose parameters were all updated by one call of a compiled step.

    What it remembers of them is what they had after that call.
    """

    def __init__(
        self, params: Sequence[Any], settings: Settings, table: Table, step: Callable[..., None]
    ) -> None:
        self.params = list(params)
        self.ids = list(map(id, params))
        self.rule, self.arrays, self.scalars = settings.rule, settings.arrays, settings.scalars
        self.table, self.step = table, step
        self.slots = list(table.slots)
        self.entries = [slot.entry for slot in self.slots]
        self.datas = [slot.data for slot in self.slots]
        self.shapes = [slot.shape for slot in self.slots]
        columns = zip(*(slot.sources for slot in self.slots), strict=True)
        self.sources = [(column[0][0], [array for _, array in column]) for column in columns]

    def fits(
        self,
        params: Sequence[Any],
        grads: list[Any],
        settings: Settings,
        slots: dict[int, Slot],
    ) -> bool:
        """Whether nothing but the gradients is new, and they are as they were."""
        if (
            settings.rule is not self.rule
            or settings.arrays is not self.arrays
            or len(params) != len(self.params)
            or not _same(params, self.params)
            or not _same(map(slots.get, self.ids), self.slots)
            or not _same(map(_data, params), self.datas)
        ):
            return False
        for key, arrays in self.sources:
            if not _same(map(dict.get, self.entries, repeat(key)), arrays):
                return False
        return (
            _same(map(type, grads), repeat(np.ndarray))
            and list(map(_dtype, grads)) == self.table.dtypes
            and list(map(_shape, grads)) == self.shapes
            and not shares_memory(grads)
        )

    def shared(self) -> Shared | None:
        """The step count and the scalar states before this step, if all have the same."""
        keys = ["step"] if self.rule.counts_steps else []
        keys += [state.key for state in self.scalars]
        values = []
        try:
            for key in keys:
                found = list(map(itemgetter(key), self.entries))
                if found.count(found[0]) != len(found):
                    return None
                values.append(found[0])
        except KeyError:
            return None
        t = values.pop(0) if self.rule.counts_steps else 0
        if type(t) is not int or not all(type(value) is float for value in values):
            return None
        return t, tuple(values)

    def run(self, bucket: Bucket, grads: Sequence[Any]) -> None:
        """The step itself."""
        self.table.run(self.step, bucket, grads)

    def store(self, values: dict[str, Any]) -> None:
        """Store the step count and the scalar states."""
        for key, value in values.items():
            for entry in self.entries:
                entry[key] = value
