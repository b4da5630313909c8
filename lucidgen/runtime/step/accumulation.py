"""Gradient accumulation: the sums of the gradients of several batches, and their means.

Owns ``grad_sum`` in the state of a parameter, and how many batches are in it. Sums are kept in
float32 at least. Gradients are only read: what a batch leaves in them may be thrown away after it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import as_mlx, as_numpy, is_mlx, plain
from ..groups.parameters import describe
from ..groups.states import GRAD_SUM, States
from .sorting import Checked, check_gradient, check_parameter


class Accumulation:
    """The sums of one optimizer's gradients.

    ``waiting`` is the number of batches that are in them. The sums themselves are in the states;
    NumPy arrays are kept from one time to the next.
    """

    __module__ = __package__  # pickles name the room, not the file

    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting
        self._arrays: dict[int, np.ndarray[Any, Any]] = {}

    def __reduce__(self) -> Any:
        return Accumulation, (self.waiting,)

    def add(self, groups: Sequence[Checked], states: States) -> None:
        """Add the gradients of a batch; nothing changes if the step would refuse one of them."""
        given = []
        for where, settings, params, names, grads in groups:
            for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
                if grad is not None:
                    label = f"{where}: {describe(index, names[index] if names else None)}"
                    check_parameter(label, settings, states.slot(param), param.data)
                    given.append((param, check_gradient(label, grad, param.data)))
        lazy = []
        for param, grad in given:
            entry = states.slot(param).entry
            entry[GRAD_SUM] = total = self._sum(param, _so_far(param, entry), grad)
            if is_mlx(total):
                lazy.append(total)
        if lazy:
            sys.modules["mlx.core"].eval(lazy)
        self.waiting += 1

    def _sum(self, param: Any, old: Any, grad: Any) -> Any:
        if is_mlx(grad):
            mx = sys.modules["mlx.core"]
            wide = grad.astype(mx.float32) if grad.dtype.size < 4 else grad
            return wide if old is None else wide + old
        kept = self._arrays.get(id(param))
        kind = np.result_type(grad.dtype, np.float32)
        if kept is None or kept.dtype != kind or kept.shape != grad.shape:
            kept = self._arrays[id(param)] = np.empty_like(plain(param.data), dtype=kind)
        if old is None:
            np.copyto(kept, grad)
        else:
            with np.errstate(all="ignore"):
                np.add(old, grad, out=kept)
        return kept

    def means(self, groups: Sequence[Checked], states: States) -> list[Checked]:
        """The groups with the means of their gradients, which count as one batch from now on."""
        found: list[Checked] = []
        for where, settings, params, names, _ in groups:
            grads: list[Any] = []
            for param in params:
                entry = states.slot(param).entry
                total = _so_far(param, entry)
                if isinstance(total, np.ndarray):
                    np.divide(total, self.waiting, out=total)
                elif total is not None:
                    total = total / float(self.waiting)
                if total is not None:
                    entry[GRAD_SUM] = total
                grads.append(total)
            found.append((where, settings, params, names, grads))
        self.waiting = 1
        return found

    def clear(self, groups: Sequence[Checked], states: States) -> None:
        """Forget the sums."""
        for _, _, params, _, _ in groups:
            for param in params:
                states.slot(param).entry.pop(GRAD_SUM, None)
        self.waiting = 0


def _so_far(param: Any, entry: dict[str, Any]) -> Any:
    """The sum of a parameter's gradients as an array of its library: a loaded one may be another's.

    None if there is none, or the parameter has got another shape.
    """
    total, data = entry.get(GRAD_SUM), param.data
    if total is None or tuple(total.shape) != tuple(data.shape):
        return None
    if is_mlx(data):
        wide = data.dtype if data.dtype.size >= 4 else sys.modules["mlx.core"].float32
        return total if is_mlx(total) else as_mlx(total, wide)
    return np.array(as_numpy(total)) if is_mlx(total) else total
