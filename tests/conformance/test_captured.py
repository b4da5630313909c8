"""The MLX idiom does what torch's optimizers do: trees of arrays, state captured by mx.compile.

The learning rate is the only setting that may change while a captured step is in use, so the cases
that change others are not here; and there is one group, so parameters of the second, which has no
decay, are only in the cases that have none either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from cases import CASES, CHECKPOINTS, PARAMETERS, Case, change, starts
from compare import CAPTURED
from more_cases import MORE_CASES, PYTORCH_OPTIMIZER
from recording import NUMBERS, Recording, State
from replay import ALL, assert_same, made_gradients, mlx32
from sampling import a_few

import lucidgen.optim

TORCH = Recording("torch")
COMPILED = (
    "SGD-nesterov-weight_decay=0.1",
    "Adam",
    "Adam-weight_decay=0.1-amsgrad-maximize",
    "AdamW-large_eps",
    "NAdam-decoupled_weight_decay",
    "RAdam",
    "RAdam-beta2=0.9999",
    "ASGD-weight_decay=0.1",
    "RMSprop-momentum=0.5-centered",
    "Rprop-narrow",
)
LIBRARY = Recording("pytorch_optimizer")


def unchanging(cases: Mapping[str, Case], names: Iterable[str] | None = None) -> dict[str, Case]:
    """Those of the cases, by their names, in which no setting changes but the learning rate."""
    chosen = cases if names is None else names
    return {name: cases[name] for name in chosen if not cases[name].changes}


def members(optimizer: Any) -> list[int]:
    """The parameters that one group with these settings can hold."""
    decays = optimizer.param_groups[0].get("weight_decay", 0) != 0
    return [index for index in ALL if not (decays and PARAMETERS[index].group)]


def run_tree(case: Case, optimizer: Any, which: list[int]) -> Iterator[tuple[int, list[State]]]:
    """Run a case in the MLX idiom, the whole update compiled with the state captured."""
    names = {index: f"layers.{PARAMETERS[index].name}" for index in which}
    params = {names[index]: mlx32(starts()[index]) for index in which}
    optimizer.init(params)

    def update(grads: dict[str, Any], params: dict[str, Any]) -> Any:
        return optimizer.apply_gradients(grads, params)

    step_fn = mx.compile(update, inputs=optimizer.state, outputs=optimizer.state)
    schedule = case.schedule()
    for step, all_grads in enumerate(made_gradients(mlx32), start=1):
        own = schedule.get(step, {})
        change(case, optimizer.param_groups, own)
        grads = {names[i]: all_grads[i] for i in which if all_grads[i] is not None}
        params = step_fn(grads, params)
        mx.eval(params, optimizer.state)
        if step in CHECKPOINTS:
            yield step, [held(optimizer, names[i], params[names[i]]) for i in which]


def held(optimizer: Any, name: str, w: mx.array) -> State:
    """What the tree holds of a parameter, as state_dict would say it: nothing before step 1."""
    common, entry = optimizer.state, optimizer.state["params"][name]
    numbers = {key: entry.get(key, common.get(key)) for key in NUMBERS}
    found = {"w": w}
    if numbers["step"].item() > 0:
        found |= {**entry, **{key: v for key, v in numbers.items() if v is not None}}
    found.pop("started", None)  # whether a first update has been
    return {key: np.array(value, dtype=np.float64) for key, value in found.items()}


def check(name: str) -> None:
    case = CASES[name]
    optimizer = getattr(lucidgen.optim, case.optimizer)(**case.arguments)
    # The tree counts steps whatever the optimizer; torch's SGD has no count.
    compare(case, optimizer, TORCH, ignored=("step",) if case.optimizer == "SGD" else ())


def compare(case: Case, optimizer: Any, recording: Recording, ignored: tuple[str, ...]) -> None:
    which = members(optimizer)
    ours = run_tree(case, optimizer, which)
    assert_same(ours, recording, case, CAPTURED, which, ignored=ignored)


@pytest.mark.parametrize("name", a_few(unchanging(CASES, TORCH.cases), lambda case: "torch"))
def test_not_compiled(name: str, uncompiled: None) -> None:
    check(name)


@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    "name", a_few(unchanging(MORE_CASES), lambda case: PYTORCH_OPTIMIZER[case.optimizer])
)
def test_optimizers_that_torch_lacks(name: str, uncompiled: None) -> None:
    case = MORE_CASES[name]
    make = getattr(lucidgen.optim, case.optimizer)
    optimizer = make(**case.arguments, dialect=PYTORCH_OPTIMIZER[case.optimizer])
    compare(case, optimizer, LIBRARY, ignored=("step",))
