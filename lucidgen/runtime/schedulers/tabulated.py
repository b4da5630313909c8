"""A scheduler as a function of the number of steps, for who asks for the rate in a captured step.

Owns the table of values behind such a function. A table serves every scheduler, compositions and
users' own included, and its numbers are the scheduler's, computed in double.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checking import as_count
from .recursions import ReduceLROnPlateau
from .scheduler import Bare, LRScheduler, place_of


def tabulate(scheduler: LRScheduler, steps: int, group: int = 0) -> Callable[[Any], Any]:
    """The values of a scheduler as a function of the number of steps.

    The function takes a number, or an MLX array, traced ones included, and so can be the learning
    rate of ``mlx.optimizers``. Beyond the last step it stays at the last value, and before the
    first one at the first. The scheduler and its optimizer are left alone.

    Parameters
    ----------
    scheduler : LRScheduler
        Any that needs no metric.
    steps : int, at least 1
        How many values the table holds: those of steps 0 to steps - 1.
    group : int, default 0
        The parameter group whose values are wanted.

    Raises
    ------
    TypeError, ValueError
        If there are no steps, or one that the scheduler refuses; no such group; or no scheduler.
    """
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError(
            f"tabulate: expected a scheduler that needs no metric, got {type(scheduler).__name__}"
        )
    steps = as_count(steps, "tabulate: steps")
    groups = len(scheduler.optimizer.param_groups)
    if as_count(group, "tabulate: group", at_least=0) >= groups:
        raise ValueError(f"tabulate: no group {group}; there are {groups}, counted from 0")
    twin = _from_the_start(scheduler)
    values = np.empty(steps)
    for step in range(steps):
        if step:
            twin.step()
        values[step] = twin.get_last_lr()[group]

    def value(t: Any) -> Any:
        """The value at step t."""
        if not type(t).__module__.startswith("mlx."):
            return float(values[max(0, min(int(t), steps - 1))])
        import mlx.core as mx

        table = mx.array(values.astype(np.float32))
        return table[mx.clip(t, 0, steps - 1).astype(mx.int32)]

    return value


def _from_the_start(scheduler: LRScheduler) -> LRScheduler:
    """A copy of a scheduler before its second step, on groups of its own."""
    bare = Bare(scheduler.optimizer, scheduler.optimizer.param_groups)
    twin = copy.deepcopy(scheduler, {id(scheduler.optimizer): bare})
    twin.verbose = False
    for hyper in sorted(twin._hypers()):
        place = place_of(bare, hyper, "tabulate")
        for group in bare.param_groups:
            if f"initial_{hyper}" in group:
                place.write(group, group[f"initial_{hyper}"])
    twin._start_anew()
    return twin
