"""Schedules as functions of the step count, as mlx.optimizers has them: ``lr=cosine_decay(...)``.

Owns what counts as one and its value: a 0-d array in the graph, so that it goes with the step in a
training step captured whole. Schedulers that write to groups are in ``schedulers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from ..arrays import needed_mlx
from ..groups.settings import as_hyper
from ..rules.rule import Hyper, Rule

Schedule = Callable[[Any], Any]


def is_schedule(value: Any) -> bool:
    """Whether a value is a function, and no module or parameter that can be called."""
    return callable(value) and not hasattr(value, "parameters") and not hasattr(value, "data")


def value_at(schedule: Schedule, step: Any, label: str) -> Any:
    """The value for the update after ``step`` updates: a 0-d float32 array."""
    mx = needed_mlx(f"{label}: a schedule that is a function")
    found = schedule(step)
    if isinstance(found, Real):
        found = mx.array(float(found))
    if not isinstance(found, mx.array) or found.shape != ():
        kind = f"shape {found.shape}" if isinstance(found, mx.array) else type(found).__name__
        raise TypeError(f"{label}: a schedule must return one number, got {kind}")
    return found.astype(mx.float32)


def with_first_value(rule: Rule, values: Mapping[str, Any], label: str) -> dict[str, Any]:
    """The values with the first value of a schedule in its place."""
    rate = rule.rate
    argument = None if rate is None else rule.arguments[rate]
    if rate is None or not is_schedule(values.get(rate)) or not isinstance(argument, Hyper):
        return dict(values)
    mx = needed_mlx(f"{label}: a schedule that is a function")
    first = value_at(values[rate], mx.array(0), label)
    return {**values, rate: as_hyper(argument, first, label)}
