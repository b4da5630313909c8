"""Ours goes on where another library stopped, from what that library saved, as it would have."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import keras_runs
import numpy as np
import optax_runs
import pytest
import pytorch_optimizer_runs
from cases import RESUME_AT, STEPS, loss_of
from compare import FLOAT64, Tolerance, differences
from declared import declared
from resume_cases import NAMES, Named, Resume, Stopped, named_gradients

import lucidgen
import lucidgen.optim

OPTAX, KERAS = Stopped("optax"), Stopped("keras")
PYTORCH_OPTIMIZER = Stopped("pytorch_optimizer")


def in_dialects(runs: Mapping[str, Resume]) -> list[tuple[str, str]]:
    """The runs, by name, each with every dialect that goes on with it."""
    return [(run.name, dialect) for run in runs.values() for dialect in run.dialects]


def resumed(run: Resume, dialect: str, weights: Named, state: Any) -> Named:
    """The weights after the last step, from those at the stop and the state, saved there."""
    parameters = {name: lucidgen.Parameter(w.copy()) for name, w in weights.items()}
    cls = getattr(lucidgen.optim, run.ours)
    optimizer = cls(parameters.items(), **run.arguments, dialect=dialect)
    optimizer.load_state_dict(state)
    for step, grads in enumerate(named_gradients()[RESUME_AT:], start=RESUME_AT + 1):
        for name, parameter in parameters.items():
            parameter.grad = grads[name]
        optimizer.step(loss=loss_of(run.ours, step))
    return {name: np.asarray(parameter.data) for name, parameter in parameters.items()}


def assert_gone_on(ours: Named, stopped: Stopped, case: str, tolerance: Tolerance) -> None:
    """Hold the weights at the end against those of the library, which did not stop."""
    begin, end = stopped.weights(case, RESUME_AT), stopped.weights(case, STEPS)
    lines = differences(
        [{"w": ours[name]} for name in NAMES],
        [{"w": end[name]} for name in NAMES],
        [begin[name] for name in NAMES],
        STEPS - RESUME_AT,
        tolerance,
    )
    assert not lines, "\n".join([case, *lines])


def optax_state(value: Any) -> Any:
    """NamedTuples like optax's from the recorded names and fields."""
    if isinstance(value, dict) and value.keys() == {"class", "fields"}:
        fields = {key: optax_state(item) for key, item in value["fields"].items()}
        return namedtuple(value["class"], list(fields))(**fields)  # type: ignore[misc]
    if isinstance(value, Mapping):
        return {key: optax_state(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(optax_state(item) for item in value)
    return value


@pytest.mark.parametrize(
    ("stopped", "runs", "version"),
    [
        (OPTAX, optax_runs.RUNS, "0.2.8"),
        (KERAS, keras_runs.RUNS, "3.15.1"),
        (PYTORCH_OPTIMIZER, pytorch_optimizer_runs.RUNS, "4.1.0"),
    ],
    ids=["optax", "keras", "pytorch_optimizer"],
)
def test_every_declared_conversion_is_recorded(
    stopped: Stopped, runs: Mapping[str, Resume], version: str
) -> None:
    assert stopped.about["version"] == version
    assert stopped.cases == list(runs)
    run_here = {(run.ours, dialect) for run in runs.values() for dialect in run.dialects}
    assert run_here == declared(stopped.about["library"])


@pytest.mark.parametrize(("name", "dialect"), in_dialects(optax_runs.RUNS))
def test_goes_on_where_optax_stopped(name: str, dialect: str) -> None:
    saved = lucidgen.from_optax(optax_state(OPTAX.state(name)), step=RESUME_AT)
    ours = resumed(optax_runs.RUNS[name], dialect, OPTAX.weights(name, RESUME_AT), saved)
    assert_gone_on(ours, OPTAX, name, FLOAT64)


@pytest.mark.parametrize(("name", "dialect"), in_dialects(keras_runs.RUNS))
def test_goes_on_where_keras_stopped(name: str, dialect: str) -> None:
    weights, saved = KERAS.weights(name, RESUME_AT), KERAS.state(name)
    ours = resumed(keras_runs.RUNS[name], dialect, weights, saved)
    assert_gone_on(ours, KERAS, name, FLOAT64)


@pytest.mark.parametrize(("name", "dialect"), in_dialects(pytorch_optimizer_runs.RUNS))
def test_goes_on_where_pytorch_optimizer_stopped(name: str, dialect: str) -> None:
    weights, saved = PYTORCH_OPTIMIZER.weights(name, RESUME_AT), PYTORCH_OPTIMIZER.state(name)
    ours = resumed(pytorch_optimizer_runs.RUNS[name], dialect, weights, saved)
    assert_gone_on(ours, PYTORCH_OPTIMIZER, name, FLOAT64)
