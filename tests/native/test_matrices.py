"""Loops of rules that work on rows and columns, next to the NumPy step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from readings import rule_of, sample

from lucidgen import Parameter, optim
from lucidgen.package.catalog import Entry
from lucidgen.spec import (
    Abs,
    Eq,
    OptimizerSpec,
    column_max,
    column_mean,
    column_norm,
    columns,
    exp,
    flag,
    grad,
    hyper,
    largest,
    mean,
    norm,
    normal,
    row_mean,
    row_norm,
    row_total,
    rows,
    series,
    sqrt,
    t,
    total,
    w,
    when,
)
from lucidgen.verify.emitted import build

lr, by_row = hyper("lr", 0.1), flag("by_row", True)
r, c, x, y = map(series, "rcxy")

READINGS = [p for p in sample("cpp") if rule_of(*p.values).shaped]

#: Matrices that are one piece, several of one band, several bands, and several of each; and none.
SHAPES = [
    *((), (1,), (7,), (3_000,), (0,), (1, 40), (40, 1), (0, 3), (3, 0), (2, 0, 3)),
    *((33, 65), (5, 3_000), (2_000, 3), (70, 8_300), (2, 3, 5), (4, 3, 2, 5), (3, 130, 7)),
]


def left(cls: Any, kernel: str, dtype: Any, shapes: Any = SHAPES, **chosen: Any) -> list[Any]:
    """Weights and states after three steps."""
    rng = np.random.default_rng(0)

    def numbers(shape: tuple[int, ...]) -> Any:
        return np.asarray(rng.standard_normal(shape)).astype(dtype)

    parameters = [Parameter(numbers(shape)) for shape in shapes]
    optimizer = cls(parameters, kernel=kernel, **chosen)
    for _ in range(3):
        for parameter, shape in zip(parameters, shapes, strict=True):
            parameter.grad = numbers(shape)
        with np.errstate(all="ignore"):  # means of nothing, and 0 / 0 of an empty row's
            optimizer.step()
    states = [np.asarray(v) for p in parameters for v in optimizer.state[p].values()]
    return [*(parameter.data for parameter in parameters), *states]


@pytest.mark.parametrize("reading", READINGS)
def test_every_shape_gets_what_it_gets_in_numpy(reading: Entry) -> None:
    """To what the order of a few thousand terms of a sum can make of it in three steps."""
    cls, dialect = getattr(optim, reading.main.name), reading.spec.reading
    results = [left(cls, kernel, np.float64, dialect=dialect) for kernel in ("cpp", "numpy")]
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("matrices", ["last", "first"])
def test_a_tensor_of_more_axes_is_the_matrices_that_the_spec_says(
    matrices: str, tmp_path: Path
) -> None:
    equations = (
        Eq(r[t], r[t - 1] + row_norm(grad[t]) / columns),
        Eq(c[t], c[t - 1] + column_norm(grad[t]) / rows),
        Eq(w[t], w[t - 1] - lr * grad[t] / (r[t] + c[t - 1] + 1)),
    )
    spec = OptimizerSpec("Many", (lr,), equations, matrices=matrices)
    cls = build([spec], tmp_path).Many
    shapes = [(4, 3), (2, 3, 4), (3, 2, 5, 4)]
    results = [left(cls, kernel, np.float64, shapes) for kernel in ("cpp", "numpy")]
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


EQUATIONS = {
    "margins of margins": (
        Eq(x[t], exp(row_mean(grad[t]) - largest(row_mean(grad[t])))),
        Eq(y[t], x[t] / total(x[t])),
        Eq(r[t], r[t - 1] * total(y[t] * r[t - 1]) + y[t]),
        Eq(w[t], w[t - 1] - lr * grad[t] * r[t] * (1 + column_max(r[t]))),
    ),
    "sums of what only margins are": (
        Eq(r[t], r[t - 1] + row_norm(grad[t])),
        Eq(c[t], c[t - 1] + column_norm(grad[t])),
        Eq(w[t], w[t - 1] - lr * grad[t] / total(r[t - 1] * c[t] + 1) * norm(r[t] * c[t - 1])),
    ),
    "margins that need no element": (
        Eq(r[t], 1 + 2 * r[t - 1]),
        Eq(w[t], w[t - 1] - lr * grad[t] / r[t] + 0 * row_mean(grad[t])),
    ),
    "a margin or a number": (
        Eq(x[t], when(by_row, row_mean(grad[t] ** 2), mean(grad[t] ** 2))),
        Eq(w[t], w[t - 1] - lr * grad[t] / (1 + x[t])),
    ),
    "margins of random numbers": (
        Eq(x[t], normal()),
        Eq(r[t], r[t - 1] / 2 + row_total(x[t] * grad[t])),
        Eq(w[t], w[t - 1] - lr * grad[t] * r[t] / norm(x[t]) - x[t] / 100),
    ),
}


@pytest.mark.parametrize("named", EQUATIONS)
def test_margins_are_made_as_soon_as_they_can_be(named: str, tmp_path: Path) -> None:
    arguments = (lr, by_row) if "number" in named and "random" not in named else (lr,)
    cls = build([OptimizerSpec("Margins", arguments, EQUATIONS[named])], tmp_path).Margins
    shapes = [(4, 3), (2, 300, 5), (3, 1_100)]
    for chosen in ({"by_row": False}, {"by_row": True}) if by_row in arguments else ({},):
        results = [left(cls, kernel, np.float64, shapes, **chosen) for kernel in ("cpp", "numpy")]
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_sums_are_right(axis: int, dtype: Any, tmp_path: Path) -> None:
    """Of terms that a running sum would lose.

    Of a row at most 128 floats are added in a row, of a column they are added in double; of doubles
    at most 1,024.
    """
    norms = (row_norm, column_norm)[1 - axis](grad[t])
    equations = (Eq(r[t], r[t - 1] + norms), Eq(w[t], w[t - 1] - lr * r[t]))
    spec = OptimizerSpec("Long", (lr,), equations)
    cls = build([spec], tmp_path).Long
    grads = np.full((2, 2_000_003) if axis else (2_000_003, 2), 0.1, dtype)
    grads[0, 0] = 3e3
    parameter = Parameter(np.zeros_like(grads))
    optimizer = cls([parameter], kernel="cpp")
    parameter.grad = grads
    optimizer.step()
    exact = np.sqrt(float(dtype(0.1)) ** 2 * (grads.shape[axis] - 1) + 9e6)
    found = float(optimizer.state[parameter]["r"].ravel()[0])
    error = (132 if axis else 4) * 2.0**-24 if dtype is np.float32 else 1_100 * 2.0**-53
    assert abs(found - exact) <= error * exact


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_states_of_rows_and_columns_are_of_the_type_of_the_weights(dtype: Any) -> None:
    parameter = Parameter(mx.ones((2, 40, 60), dtype))
    optimizer = optim.Adafactor([parameter], kernel="cpp")
    for _ in range(2):
        parameter.grad = mx.full((2, 40, 60), 0.5, dtype)
        optimizer.step()
    kept = optimizer.state[parameter]
    assert [(v.shape, v.dtype) for v in kept.values() if getattr(v, "ndim", 0)] == [
        ((2, 40, 1), dtype),
        ((2, 1, 60), dtype),
    ]
    assert np.all(np.array(kept["row_var"].astype(mx.float32)) == 0.25)


def test_weights_that_lie_column_by_column_are_left_to_numpy() -> None:
    results = []
    for order in "CF":
        parameter = Parameter(np.asarray(np.ones((40, 60)), order=order))
        optimizer = optim.Adafactor([parameter], kernel="cpp")
        parameter.grad = np.linspace(-1, 1, 2400).reshape(40, 60)
        optimizer.step()
        assert parameter.data.flags[f"{order}_CONTIGUOUS"]
        results.append(parameter.data)
    np.testing.assert_allclose(*results, rtol=1e-14)


def test_margins_in_cases_that_are_known_at_different_times(tmp_path: Path) -> None:
    """What is made of a margin finds it, whichever of its cases holds."""
    early = flag("early", True)
    of_rows = Eq(r[t], r[t - 1] + row_mean(grad[t] ** 2))
    late = column_mean(grad[t] ** 2 * r[t])
    root = Eq(w[t], w[t - 1] - lr * grad[t] * sqrt(r[t] * c[t]))
    cube = Eq(w[t], w[t - 1] - lr * grad[t] * c[t] ** 3)
    cases = when(early, column_mean(Abs(grad[t])), late)
    first = Eq(c[1], column_mean(grad[t] ** 2))
    specs = [
        OptimizerSpec("First", (lr,), (of_rows, first, Eq(c[t], c[t - 1] + late), root)),
        OptimizerSpec("Cubed", (lr,), (of_rows, first, Eq(c[t], c[t - 1] + late), cube)),
        OptimizerSpec("Chosen", (lr, early), (of_rows, Eq(c[t], cases), cube)),
    ]
    made = build(specs, tmp_path)
    for spec in specs:
        for chosen in ({}, {"early": False}) if spec.flags else ({},):
            cls, shapes = getattr(made, spec.name), [(2, 3), (33, 65)]
            ours, theirs = (left(cls, k, np.float64, shapes, **chosen) for k in ("cpp", "numpy"))
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11)
