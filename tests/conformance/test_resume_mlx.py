"""Ours goes on where the installed mlx.optimizers stopped, as that does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest
from cases import RESUME_AT, STEPS
from compare import CAPTURED, FLOAT32, FLOAT64, Tolerance, differences
from declared import declared
from mlx.utils import tree_flatten
from resume_cases import Named, begin, named_gradients, nested

import lucidgen
import lucidgen.optim

#: By name: the optimizer of MLX, its arguments, ours, its arguments, its dialects.  The learning
#: rate of ours is the saved one.
RUNS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], tuple[str, ...]]] = {
    "SGD": ("SGD", {"momentum": 0.9}, "SGD", {"momentum": 0.9}, ("mlx", "torch")),
    "dampened": (
        *("SGD", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        *("SGD", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}, ("mlx", "torch")),
    ),
    "Adam": ("Adam", {}, "Adam", {}, ("mlx",)),
    "corrected": ("Adam", {"bias_correction": True}, "Adam", {}, ("torch",)),
    "corrected in MLX": (*("Adam", {"bias_correction": True}) * 2, ("mlx",)),
    "AdamW": ("AdamW", {"weight_decay": 0.1}, "AdamW", {"weight_decay": 0.1}, ("mlx",)),
    "corrected AdamW": ("AdamW", {"bias_correction": True}, "AdamW", {}, ("torch",)),
    "Adamax": ("Adamax", {}, "Adamax", {}, ("mlx",)),
    "RMSprop": ("RMSprop", {"alpha": 0.9}, "RMSprop", {"alpha": 0.9}, ("mlx", "torch")),
    "Adagrad": ("Adagrad", {}, "Adagrad", {"eps": 1e-8}, ("mlx", "torch")),
    "AdaDelta": ("AdaDelta", {}, "Adadelta", {}, ("mlx", "torch")),
    "Lion": ("Lion", {"weight_decay": 0.1}, "Lion", {"weight_decay": 0.1}, ("mlx", "paper")),
}
EACH = [(name, dialect) for name, run in RUNS.items() for dialect in run[-1]]


def test_every_declared_conversion_is_run() -> None:
    assert {(run[2], dialect) for run in RUNS.values() for dialect in run[-1]} == declared("mlx")


@pytest.fixture(autouse=True)
def on_the_cpu() -> Iterator[None]:
    """Float64 is for processors."""
    with mx.stream(mx.cpu):
        yield


class Theirs:
    """A run of MLX's optimizer."""

    def __init__(self, name: str, dtype: mx.Dtype) -> None:
        library, given, *_ = RUNS[name]
        self._dtype = dtype
        self.weights = self._tree(begin())
        self.optimizer = getattr(mlx.optimizers, library)(0.01, **given)
        self.optimizer.init(self.weights)
        self.optimizer.state["learning_rate"] = mx.array(0.01, dtype=dtype)
        self._step = 0

    def go_to(self, step: int) -> None:
        """Go on to a step."""
        for grads in named_gradients()[self._step : step]:
            self.weights = self.optimizer.apply_gradients(self._tree(grads), self.weights)
            mx.eval(self.weights, self.optimizer.state)
        self._step = step

    def _tree(self, values: Named) -> dict[str, Any]:
        return nested({key: mx.array(value, dtype=self._dtype) for key, value in values.items()})

    def named(self) -> Named:
        """The weights by name."""
        return {name: np.array(w, dtype=np.float64) for name, w in tree_flatten(self.weights)}


def assert_gone_on(ours: Named, theirs: Theirs, begin: Named, tolerance: Tolerance) -> None:
    """Let theirs go on as well, and compare."""
    theirs.go_to(STEPS)
    end = theirs.named()
    lines = differences(
        [{"w": ours[name]} for name in end],
        [{"w": w} for w in end.values()],
        [begin[name] for name in end],
        STEPS - RESUME_AT,
        tolerance,
    )
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(("name", "dialect"), EACH)
def test_goes_on_from_the_state(name: str, dialect: str) -> None:
    theirs = Theirs(name, mx.float64)
    theirs.go_to(RESUME_AT)
    weights = theirs.named()
    parameters = {key: lucidgen.Parameter(w.copy()) for key, w in weights.items()}
    *_, ours, arguments, _ = RUNS[name]
    optimizer = getattr(lucidgen.optim, ours)(parameters.items(), **arguments, dialect=dialect)
    optimizer.load_state_dict(theirs.optimizer.state)
    for grads in named_gradients()[RESUME_AT:]:
        for key, parameter in parameters.items():
            parameter.grad = grads[key]
        optimizer.step()
    ended = {key: np.asarray(parameter.data) for key, parameter in parameters.items()}
    # MLX has its powers of beta in float32, whatever the type of the weights.
    assert_gone_on(ended, theirs, weights, CAPTURED if "corrected" in name else FLOAT64)


@pytest.mark.parametrize(("name", "dialect"), EACH)
def test_goes_on_from_a_file_in_the_idiom_of_mlx(name: str, dialect: str, tmp_path: Path) -> None:
    theirs = Theirs(name, mx.float32)
    theirs.go_to(RESUME_AT)
    path = str(tmp_path / "optimizer.safetensors")
    mx.save_safetensors(path, dict(tree_flatten(theirs.optimizer.state)))
    weights, begin = theirs.weights, theirs.named()
    *_, ours, arguments, _ = RUNS[name]
    optimizer = getattr(lucidgen.optim, ours)(**arguments, dialect=dialect)
    optimizer.init(weights)
    optimizer.load_state_dict(mx.load(path))
    for grads in named_gradients()[RESUME_AT:]:
        made = nested({key: mx.array(grad, dtype=mx.float32) for key, grad in grads.items()})
        weights = optimizer.apply_gradients(made, weights)
        mx.eval(weights, optimizer.state)
    ended = {key: np.array(w, dtype=np.float64) for key, w in tree_flatten(weights)}
    assert_gone_on(ended, theirs, begin, FLOAT32)
