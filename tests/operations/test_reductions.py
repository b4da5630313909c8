"""Reductions of long lines: of any layout, in half types, of nothing, with a nan anywhere.

The table's rows and their special values are in the tests beside this; here is what takes many
elements to go wrong, and steps that reduce along every axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import lucidgen
from lucidgen.ir.lower import lower
from lucidgen.operations import OPERATIONS, called_in
from lucidgen.operations.bounds import additions
from lucidgen.operations.reals import REALS, real
from lucidgen.passes import optimize
from lucidgen.runtime.rules import mlx_functions, numpy_functions
from lucidgen.runtime.rules.summation import in_a_row
from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    column_max,
    column_mean,
    column_norm,
    column_total,
    count,
    grad,
    hyper,
    largest,
    mean,
    norm,
    row_max,
    row_mean,
    row_norm,
    row_total,
    series,
    t,
    total,
    w,
    when,
)
from lucidgen.verify.emitted import build
from lucidgen.verify.replay import Run, replay
from lucidgen.verify.setting import Setting

#: What float32 can be off by, relative to a sum of positive terms that was added pairwise.
PAIRWISE = 16 * 2.0**-24

RNG = np.random.default_rng(1)

#: Arrays of many elements: lines of all lengths, and layouts in which neighbours lie apart.
ARRAYS: dict[str, Any] = {
    "one long line": RNG.random(500_009, np.float32),
    "long rows": RNG.random((3, 200_000), np.float32),
    "long columns": RNG.random((200_001, 3), np.float32),
    "columns in a row": np.asfortranarray(RNG.random((3, 200_000), np.float32)),
    "every other element": RNG.random((2_000, 600), np.float32)[:, ::2],
    "many matrices": RNG.random((5, 30_000, 4), np.float32),
}

#: What they are in double, which holds them: of an array, along an axis.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "total": np.sum,
    "mean": np.mean,
    "norm": lambda x, **how: np.sqrt(np.sum(x * x, **how)),
}


@pytest.mark.parametrize("layout", ARRAYS)
def test_sums_of_many_terms_are_as_good_as_pairwise_ones(layout: str) -> None:
    array = ARRAYS[layout]
    double = np.array(array, np.float64, order="C")
    for name, function in FUNCTIONS.items():
        for axis in (None, -1, -2)[: 1 + 2 * (array.ndim > 1)]:
            truth = function(double, axis=axis, keepdims=axis is not None)
            for of, library in ((array, numpy_functions), (mx.array(array), mlx_functions)):
                found = np.asarray(getattr(library, name)(of, axis))
                assert found.dtype == np.float32
                assert found.shape == np.shape(truth)
                assert np.max(np.abs(found / truth - 1)) < PAIRWISE, (library, name, axis)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_types_are_added_in_single_precision(name: str) -> None:
    values = RNG.random(100_000)
    for array in (mx.array(values).astype(mx.float16), mx.array(values).astype(mx.bfloat16)):
        truth = FUNCTIONS[name](np.array(array.astype(mx.float32), np.float64))
        assert getattr(mlx_functions, name)(array).item() == pytest.approx(truth, rel=PAIRWISE)
    half = values.astype(np.float16)
    truth = FUNCTIONS[name](half.astype(np.float64))
    assert getattr(numpy_functions, name)(half) == pytest.approx(truth, rel=PAIRWISE)


def test_no_term_is_in_more_additions_than_the_bound_says() -> None:
    for length in [*range(1, 30_000, 7), 10**6, 10**7 + 19]:
        for lines in (1, 1_000):
            left, size, done = length, length * lines, 0
            while (many := in_a_row(left, size)) < left:
                left, done = -(-left // many), done + many - 1
                size = left * lines
            assert done + left - 1 <= additions(length), (length, lines)


@pytest.mark.parametrize("name", sorted(called_in("numpy")))
def test_a_nan_among_many_elements_is_seen(name: str) -> None:
    for place in (0, 5, 999, 2_500, 4_999):
        for shape, axis in (((5_000,), None), ((1, 5_000), -1), ((5_000, 1), -2)):
            line = np.linspace(-1, 1, 5_000, dtype=np.float32)
            line[place] = math.nan
            for library, make in ((numpy_functions, np.asarray), (mlx_functions, mx.array)):
                found = getattr(library, name)(make(line.reshape(shape)), axis)
                assert math.isnan(np.asarray(found).item()), (library, place, axis)


@pytest.mark.parametrize("row", [r for r in OPERATIONS.values() if r.leaves], ids=lambda r: r.name)
def test_what_has_no_elements_or_one_or_zeros_is_reduced_as_it_means(row: Any) -> None:
    """A sum of nothing is 0, a mean nan, and the largest of nothing -inf."""
    text = row.texts["numpy"]
    axis = {"tensor": None, "row": -1, "column": -2}[row.leaves]
    for shape in ((0, 3), (3, 0), (2, 0, 3), (1, 1), (2, 1_000)):
        array = np.zeros(shape, np.float32)
        truth = row.meaning(real(array))
        for library, make in ((numpy_functions, np.asarray), (mlx_functions, mx.array)):
            with np.errstate(all="ignore"):
                found = np.asarray(getattr(library, text.partition("(")[0])(make(array), axis))
            assert found.shape == np.shape(truth)
            for a, b in zip(np.ravel(found), np.ravel(truth), strict=True):
                assert a == b or (math.isnan(a) and REALS.isnan(b)), (library, shape)


def test_a_norm_is_infinite_where_squares_are() -> None:
    for library, make in ((numpy_functions, np.asarray), (mlx_functions, mx.array)):
        with np.errstate(all="ignore"):
            found = library.norm(make(np.array([1e20, 3.0], np.float32)))
        assert np.asarray(found).item() == math.inf
        half = make(np.array([6e4, 6e4], np.float16))  # the square needs single precision
        assert np.asarray(library.norm(half)).item() == pytest.approx(math.sqrt(2) * 6e4, rel=1e-3)


m, rows, columns, matrices, whole = (series(x) for x in ("m", "rows", "columns", "mats", "whole"))
lr = hyper("lr", 0.25, at_least=0)

#: Every reduction, and states of everything that reductions leave.
REDUCING = OptimizerSpec(
    "Reducing",
    arguments=(lr,),
    equations=(
        Eq(m[t], m[t - 1] / 2 + grad[t]),
        Eq(rows[t], rows[t - 1] / 2 + row_norm(m[t]) - row_max(grad[t]) + row_mean(m[t])),
        Eq(columns[t], columns[t - 1] + column_max(m[t]) * column_total(grad[t] ** 2)),
        Eq(matrices[t], matrices[t - 1] + column_mean(rows[t]) - row_max(columns[t])),
        Eq(
            whole[t],
            total(when(m[t] > 0, grad[t], 0)) / (1 + count(m[t] > 0))
            + largest(m[t])
            + mean(rows[t])
            + norm(row_total(column_norm(grad[t])))
            + total(matrices[t] * whole[t - 1]),
        ),
        Eq(
            w[t],
            w[t - 1]
            - lr
            * grad[t]
            * matrices[t]
            / (1 + rows[t] ** 2 + whole[t] ** 2 + column_mean(m[t]) ** 2),
        ),
    ),
)


WHOLE = OptimizerSpec(
    "Whole",
    arguments=(lr,),
    equations=(
        Eq(whole[t], whole[t - 1] + 1 + norm(grad[t])),
        Eq(w[t], w[t - 1] - lr * grad[t] * whole[t]),
    ),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The classes; MLX compiles nothing, which would take a second for each of a dozen kernels."""
    mx.disable_compile()
    try:
        yield build([REDUCING, WHOLE], tmp_path_factory.mktemp("built"))
    finally:
        mx.enable_compile()


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 1)])
def test_a_step_reduces_each_matrix_of_a_tensor_by_itself(
    made: Any, shape: tuple[int, ...]
) -> None:
    """On both libraries, against the oracle, with states of every shape."""
    program = optimize(lower(REDUCING))
    for dtype, machines in ((np.float64, ("numpy",)), (np.float32, ("mlx",))):
        weights, *grads = RNG.standard_normal((3, *shape)).astype(dtype)
        steps = Run(made.Reducing, Setting(REDUCING), program, weights, grads, {})
        findings = replay(steps, machines)
        assert {finding.name for finding in findings} == {
            "w",
            "m",
            "rows",
            "columns",
            "mats",
            "whole",
        }
        for finding in findings:
            assert len(finding.comparison.ratios) > 0, str(finding)
            assert finding.comparison.worst <= 1, str(finding)


def test_states_are_of_the_shape_of_what_reductions_leave(made: Any) -> None:
    parameter = lucidgen.Parameter(np.ones((2, 3, 4)))
    optimizer = made.Reducing([parameter])
    parameter.grad = np.ones((2, 3, 4))
    optimizer.step()
    shapes = {key: np.shape(value) for key, value in optimizer.state[parameter].items()}
    assert shapes == {
        "m": (2, 3, 4),
        "rows": (2, 3, 1),
        "columns": (2, 1, 4),
        "mats": (2, 1, 1),
        "whole": (),
    }


@pytest.mark.parametrize("name", ["Reducing", "Whole"])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (2, 0, 4)])
def test_a_step_of_a_parameter_without_elements_is_the_same_on_both_libraries(
    made: Any, name: str, shape: tuple[int, ...]
) -> None:
    found = []
    for make in (np.asarray, mx.array):
        parameter = lucidgen.Parameter(make(np.zeros(shape, np.float32)))
        optimizer = getattr(made, name)([parameter])
        parameter.grad = make(np.zeros(shape, np.float32))
        optimizer.step()
        assert parameter.data.shape == shape
        found.append({key: np.array(x) for key, x in optimizer.state[parameter].items()})
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][key], err_msg=key)
