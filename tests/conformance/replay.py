"""Runs the cases with our optimizers and hands out what they hold at the checkpoints.

It uses what any user of the classes has: parameters with data and grad, `param_groups`, `step`,
`state_dict` and `load_state_dict`.  What the right values are is for compare.py to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import mlx.core as mx
import numpy as np
from cases import (
    CHECKPOINTS,
    PARAMETERS,
    RESUME_AT,
    Array,
    Case,
    change,
    gradients,
    starts,
)
from compare import Tolerance, differences
from recording import Recording, State, repeated

import lucidgen
import lucidgen.optim

Make = Callable[[Array], Any]
"""Makes a library's array from float64 values."""

ALL = range(len(PARAMETERS))
NOT_0D = [index for index, p in enumerate(PARAMETERS) if p.shape]  # Lucid 2.9 has no 0-d


def numpy64(values: Array) -> Array:
    """A float64 array of the same layout."""
    return values.copy(order="K")


def numpy32(values: Array) -> Array:
    """A float32 array of the same layout."""
    return values.astype(np.float32, order="K")


def mlx32(values: Array) -> mx.array:
    """A float32 array of MLX."""
    return mx.array(values.astype(np.float32))


@cache
def made_gradients(make: Make, sparse: bool = False) -> list[list[Any]]:
    """The gradients of all steps as arrays of a library; those of NumPy cannot be written to."""
    made = [[None if g is None else make(g) for g in grads] for grads in gradients(sparse)]
    for array in (g for grads in made for g in grads if isinstance(g, np.ndarray)):
        array.flags.writeable = False
    return made


def run(
    case: Case,
    make: Make,
    which: Sequence[int] = ALL,
    library: Any = lucidgen.optim,
    **arguments: Any,
) -> Iterator[tuple[int, list[State]]]:
    """Run a case from its start; after each checkpoint its step and what each parameter holds."""
    parameters = [lucidgen.Parameter(make(w)) for w in _chosen(starts(), which)]
    groups = grouped(case, parameters, which)
    optimizer = getattr(library, case.optimizer)(groups, **case.arguments, **arguments)
    yield from _steps(case, optimizer, parameters, make, which, 1)


def as_recorded(found: Iterator[tuple[int, list[State]]]) -> Iterator[tuple[int, list[State]]]:
    """A run whose states are repeated over the elements, as a recording has them."""
    return ((step, list(map(repeated, states))) for step, states in found)


def resume(
    case: Case,
    make: Make,
    held: Sequence[State],
    saved: Mapping[str, Any],
    which: Sequence[int] = ALL,
    library: Any = lucidgen.optim,
    **arguments: Any,
) -> Iterator[tuple[int, list[State]]]:
    """Go on after RESUME_AT from recorded weights and a state_dict that another library saved."""
    parameters = [lucidgen.Parameter(make(state["w"])) for state in _chosen(held, which)]
    groups = [{"params": group["params"]} for group in grouped(case, parameters, which)]
    optimizer = getattr(library, case.optimizer)(groups, **arguments)
    optimizer.load_state_dict(saved)
    yield from _steps(case, optimizer, parameters, make, which, RESUME_AT + 1)


def saved_dict(recording: Recording, case: Case, which: Sequence[int] = ALL) -> dict[str, Any]:
    """The state_dict that the recorded library had at RESUME_AT, its arrays as NumPy's."""
    held = _chosen(recording.states(case.name, RESUME_AT), which)
    states = [{key: value for key, value in state.items() if key != "w"} for state in held]
    return {
        "state": {index: state for index, state in enumerate(states) if state},
        "param_groups": recording.groups(case.name),
    }


def assert_same(
    run: Iterator[tuple[int, list[State]]],
    recording: Recording,
    case: Case,
    tolerance: Tolerance,
    which: Sequence[int] = ALL,
    since: int = 0,
    ignored: Collection[str] = (),
) -> None:
    """Hold every checkpoint of a run against the recording; report all that differs at once.

    States under the keys `ignored` need not be there on either side.
    """
    held = recording.states(case.name, since) if since else [{"w": w} for w in starts()]
    begin = [state["w"] for state in _chosen(held, which)]
    lines, seen = [], []
    for step, actual in run:
        seen.append(step)
        expected = _chosen(recording.states(case.name, step), which)
        for state in (*actual, *expected):
            for key in ignored:
                state.pop(key, None)
        found = differences(actual, expected, begin, step - since, tolerance)
        lines += [f"step {step}, {line}" for line in found]
    assert seen == [step for step in CHECKPOINTS if step > since]
    assert not lines, "\n".join([f"{case.name} {dict(case.arguments)}", *lines])


def _steps(
    case: Case,
    optimizer: Any,
    parameters: Sequence[Any],
    make: Make,
    which: Sequence[int],
    first: int,
) -> Iterator[tuple[int, list[State]]]:
    schedule = case.schedule()
    for step, grads in enumerate(made_gradients(make, case.sparse), start=1):
        if step < first:
            continue
        change(case, optimizer.param_groups, schedule.get(step, {}))
        for parameter, grad in zip(parameters, _chosen(grads, which), strict=True):
            parameter.grad = grad
        loss = case.loss(step)
        optimizer.step(**({} if loss is None else {"loss": loss}))
        if step in CHECKPOINTS:
            yield step, held_by(optimizer, parameters)


def held_by(optimizer: Any, parameters: Sequence[Any]) -> list[State]:
    """What state_dict says of each parameter, and its data under "w", in float64.

    A parameter that has begun has the numbers of its group besides.
    """
    saved = optimizer.state_dict()
    states, rules = saved["state"], getattr(type(optimizer), "rules", {})
    kept = rules[optimizer.dialect].group_keys if rules else ()
    keys = [key for key in kept if key != "group_step"]
    for group in saved["param_groups"] if keys else ():
        for index in group["params"]:
            if index in states:
                states[index] |= {key: group[key] for key in keys if key in group}
    return [
        {
            "w": np.array(parameter.data, dtype=np.float64),
            **{k: np.array(v, dtype=np.float64) for k, v in states.get(index, {}).items()},
        }
        for index, parameter in enumerate(parameters)
    ]


def grouped(case: Case, parameters: Sequence[Any], which: Sequence[int]) -> list[dict[str, Any]]:
    """The parameter groups, each with its own entries."""
    pairs = list(zip(parameters, _chosen(PARAMETERS, which), strict=True))
    return [
        {"params": [parameter for parameter, p in pairs if p.group == index], **own}
        for index, own in enumerate(case.groups)
    ]


def _chosen(values: Sequence[Any], which: Sequence[int]) -> list[Any]:
    return [values[index] for index in which]
