"""Gradients of another type than their weights: as if cast by NumPy first, but never copied."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_arrays import LARGE, values

from lucidgen import Parameter, optim
from lucidgen.runtime.backends.loops import pointer_table

TYPES = ("float16", "float32", "float64")
PAIRS = list(itertools.permutations(TYPES, 2))

#: On either side of 8, 512 and 2048, which loops and copies go by, and enough for some threads.
SIZES = (0, 1, 7, 8, 513, 2047, 2049, 70_001)


def hard(dtype: Any, narrow: Any) -> Any:
    """Numbers of a type that are hard to round to another one.

    Midway between two of them, a little off the middle in either direction, with digits of either
    parity; largest and subnormal numbers, both zeros, infinities and nan.
    """
    info, wide = np.finfo(narrow), np.finfo(dtype)
    own = np.array([1, 1 + float(info.eps), 1.5, 2 - float(info.eps)])
    scales = [1.0, 2.0**-3, float(info.smallest_normal), float(info.smallest_subnormal)]
    units = np.array([0, 0.25, 0.5, 0.75, 1]) * float(info.eps)
    nudges = np.array([-1, 0, 1]) * float(wide.eps)
    found = (own[:, None, None] + units[:, None]) * (1 + nudges)
    found = np.outer(scales, found).ravel()
    top = float(info.max)
    special = [0.0, np.inf, np.nan, top, top * (1 + float(info.eps) / 4), top * 2, float(wide.tiny)]
    everything = np.concatenate([found, special, [float(wide.max), float(wide.smallest_subnormal)]])
    with np.errstate(all="ignore"):
        return np.concatenate([everything, -everything]).astype(dtype)


def as_it_is(array: Any) -> Any:
    return array


def every_third(array: Any) -> Any:
    return np.repeat(array, 3, axis=-1)[..., ::3]


def backwards(array: Any) -> Any:
    return array[::-1].copy()[::-1]


def transposed(array: Any) -> Any:
    return np.asfortranarray(array)


def in_the_middle_of_a_word(array: Any) -> Any:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    shifted = raw[1:].view(array.dtype)[: array.size].reshape(array.shape)
    shifted[...] = array
    return shifted


LAYOUTS = (as_it_is, every_third, backwards, transposed, in_the_middle_of_a_word)


def stepped(gradients: list[Any], dtype: Any, kernel: str, cls: Any = optim.SGD) -> list[Any]:
    parameters = [Parameter(np.zeros(g.shape, dtype)) for g in gradients]
    optimizer = cls(parameters, lr=1.0, kernel=kernel)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
        parameter.grad.flags.writeable = False
    optimizer.step()
    return [parameter.data for parameter in parameters]


@pytest.mark.parametrize("kernel", ["cpp", "numpy"])
@pytest.mark.parametrize(("weights", "gradients"), PAIRS)
def test_a_gradient_is_rounded_as_numpy_rounds(weights: str, gradients: str, kernel: str) -> None:
    numbers = hard(gradients, weights)
    given = [np.resize(numbers, size) for size in SIZES]
    given += [np.resize(numbers, (3, 50, 7)), numbers[5:6].reshape(())]
    with np.errstate(all="ignore"):
        expected = [-g.astype(weights) for g in given]
    for layout in LAYOUTS:
        made = [layout(g) if g.size and g.ndim else g.copy() for g in given]
        for found, right in zip(stepped(made, weights, kernel), expected, strict=True):
            assert found.dtype == weights
            np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("turned", [as_it_is, np.transpose])
def test_layouts_are_told_apart_by_the_size_of_an_element(turned: Any) -> None:
    """Every other element of a float32 gradient is as far from the next as those of a float64."""
    total = np.zeros((6, 8), np.float32)
    parameter = Parameter(turned(total.copy()))
    optimizer = optim.SGD([parameter], lr=1.0, kernel="cpp")
    for step, kind in enumerate("dfdf"):
        grad = values(step, (6, 16))[:, ::2].astype(kind)
        if kind == "f":
            grad = np.repeat(grad, 2, axis=-1)[:, ::2]
        assert grad.strides == (64, 8)
        parameter.grad = turned(grad)
        total -= grad.astype(np.float32)
        optimizer.step()
        np.testing.assert_array_equal(parameter.data, turned(total))


@pytest.mark.parametrize("cls", [optim.AdamW, optim.LARS], ids=lambda cls: cls.__name__)
def test_a_step_gives_what_it_gives_by_cast_gradients(cls: Any) -> None:
    results = []
    for cast in (False, True):
        parameters = [Parameter(values(i, (40, 30))) for i in range(4)]
        optimizer = cls(parameters)
        for step in range(5):
            for i, parameter in enumerate(parameters):
                kind = "dfe"[(step + i) % 3] if step < 3 else "d"
                grad = values(10 * step + i, (40, 30)).astype(kind)
                parameter.grad = grad.astype(np.float32) if cast else grad
            optimizer.step()
        results.append([parameter.data for parameter in parameters])
    np.testing.assert_array_equal(*results)


def test_no_gradient_is_cast_or_copied_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Any]] = []
    run = pointer_table.Table.run

    def watched(table: Any, step: Any, grads: Any, *types: Any) -> None:
        seen.append(list(grads))
        run(table, step, grads, *types)

    monkeypatch.setattr(pointer_table.Table, "run", watched)
    parameters = [Parameter(np.zeros(5, np.float32)) for _ in range(2000)]
    optimizer = optim.AdamW(parameters, kernel="cpp")
    for step in range(3):
        grads = [np.full(5, float(step)) for _ in parameters]
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad
        optimizer.step()
        assert len(seen) == step + 1
        assert all(map(lambda a, b: a is b, seen[-1], grads))


def test_steps_on_gradients_of_one_type_need_no_closer_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lucidgen.runtime.step import last_step

    looked: list[int] = []
    sort: Callable[..., Any] = last_step.sort

    def watched(*given: Any) -> Any:
        looked.append(step)
        return sort(*given)

    monkeypatch.setattr(last_step, "sort", watched)
    parameter = Parameter(np.zeros(5, np.float32))
    optimizer = optim.AdamW([parameter], kernel="cpp")
    for step in range(7):
        parameter.grad = np.ones(5, "ddddfff"[step])
        optimizer.step()
    assert looked == [0, 4]


MLX_TYPES = (mx.float32, mx.float16, mx.bfloat16, mx.float64)


@pytest.mark.parametrize("weights", MLX_TYPES, ids=str)
@pytest.mark.parametrize("gradients", MLX_TYPES, ids=str)
@pytest.mark.parametrize("size", [5, LARGE])
def test_mlx_gradients_are_rounded_as_mlx_rounds(weights: Any, gradients: Any, size: int) -> None:
    grad = mx.array(np.resize(hard(np.float32, np.float16), size)).astype(gradients)
    parameter = Parameter(mx.zeros(size, weights))
    parameter.grad = grad
    optim.SGD([parameter], lr=1.0, kernel="cpp").step()
    found, right = (np.array(x.astype(mx.float32)) for x in (parameter.data, -grad.astype(weights)))
    np.testing.assert_array_equal(found, right)
