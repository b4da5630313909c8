"""Compiled loops do what the NumPy step does, bit for bit, whatever the arrays are like."""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from readings import rule_of, sample

from lucidgen import Parameter, optim
from lucidgen.package.catalog import Entry
from lucidgen.runtime.backends.loops import compiler, pointer_table
from lucidgen.verify.emitted import arguments, settings
from lucidgen.verify.setting import Setting

Arrays = list[np.ndarray[Any, Any]]
Among = Callable[[list[Setting]], Sequence[Setting]]

#: C's functions may differ from NumPy's in the last bits; there the oracle's bound alone decides.
INEXACT = ("cbrt", "pow", "exp", "log", "tanh")


def is_exact(reading: Entry) -> bool:
    """Whether the loop of a reading is one of operations that all round correctly.

    Sums are taken in another order, and more precisely (``test_phases``).
    """
    source = compiler.build_of(rule_of(reading), "float32", ["c++"]).source.read_text()
    return rule_of(reading).elementwise and not any(f"std::{name}" in source for name in INEXACT)


EXACT = [parameter for parameter in sample("cpp") if is_exact(*parameter.values)]

#: Enough elements for several threads, and shapes at which loops tend to go wrong.
SHAPES = [(), (1,), (0, 3), (7,), (33, 65), (4, 3, 5), (300, 301)]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    """Random numbers of mixed scale, and some that are none."""
    found = rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 3, shape)
    with np.errstate(all="ignore"):
        found = np.asarray(found).astype(dtype)
        special = [np.inf, -np.inf, np.nan, -0.0, np.finfo(dtype).smallest_subnormal, 1e30]
        where = rng.random(shape) < 0.05
        return np.where(where, rng.choice(np.array(special, dtype), shape), found).astype(dtype)


def other_layout(array: Any, turn: int) -> Any:
    """The same numbers, laid out in another way each turn."""
    if array.ndim == 0 or turn == 0:
        return array
    if turn == 1:
        return np.asfortranarray(array)
    if turn == 2:
        wide = np.repeat(array, 3, axis=-1)
        return wide[..., ::3]
    if turn == 3:
        return array[::-1].copy()[::-1]
    raw = np.zeros(array.nbytes + 1, np.uint8)  # begins in the middle of a word
    shifted = raw[1:].view(array.dtype)[: array.size].reshape(array.shape)
    shifted[...] = array
    return shifted


def train(kernel: str, cls: Any, dtype: Any, steps: int = 7, **chosen: Any) -> Arrays:
    """Weights and states after some steps, with gradients laid out in every way."""
    rng = np.random.default_rng(3)
    start = [numbers(rng, shape, dtype) for shape in SHAPES]
    parameters = [Parameter(np.asfortranarray(w) if i % 2 else w) for i, w in enumerate(start)]
    optimizer = cls(parameters, kernel=kernel, **chosen)
    for step in range(steps):
        for i, parameter in enumerate(parameters):
            grad = other_layout(numbers(rng, SHAPES[i], dtype), (step + i) % 5)
            grad.flags.writeable = False
            parameter.grad = None if (step, i) == (3, 4) else grad
        optimizer.step()
    states = [optimizer.state[parameter] for parameter in parameters]
    return [p.data for p in parameters] + [np.asarray(v) for s in states for v in s.values()]


def assert_equal(ours: Arrays, theirs: Arrays) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        assert np.array_equal(mine, other, equal_nan=True)
        assert np.array_equal(np.signbit(mine[mine == 0]), np.signbit(other[other == 0]))


@pytest.mark.parametrize("reading", EXACT)
def test_a_loop_gives_what_numpy_gives_whatever_the_static_choices(
    reading: Entry, among: Among
) -> None:
    cls = getattr(optim, reading.main.name)
    for setting in among(list(settings(reading.spec, reading.main))):
        chosen = {"dialect": reading.spec.reading, **arguments(setting, reading.main)}
        assert_equal(
            train("cpp", cls, np.float32, **chosen), train("numpy", cls, np.float32, **chosen)
        )


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
@pytest.mark.parametrize("cls", [optim.AdamW, optim.SGD], ids=lambda cls: cls.__name__)
def test_a_loop_gives_what_numpy_gives_in_every_type(cls: Any, dtype: Any) -> None:
    chosen = {"momentum": 0.9} if cls is optim.SGD else {"amsgrad": True}
    assert_equal(train("cpp", cls, dtype, **chosen), train("numpy", cls, dtype, **chosen))


def configuration(seed: int) -> dict[str, Any]:
    """Arguments and options of an optimizer, with the static choices of few loops."""
    chance = random.Random(seed)
    chosen: dict[str, Any] = {
        "lr": chance.choice([0.0, 1e-3, 0.5, 30.0]),
        "weight_decay": chance.choice([1e-2, 0.3, 2.0]),
    }
    if chance.random() < 0.5:
        chosen |= {"betas": (chance.random(), chance.random()), "eps": chance.choice([1e-8, 1.0])}
    else:
        chosen |= {"momentum": chance.uniform(0.1, 0.99), "dampening": chance.random()}
    if chance.random() < 0.5:
        chosen["max_grad_value"] = chance.choice([0.0, 0.01, 0.5])
        chosen["max_grad_norm"] = chance.choice([None, 0.1, 100.0, math.inf])
        chosen["accumulation_steps"] = chance.choice([1, 1, 2, 3])
    return chosen


@pytest.mark.parametrize("count", [8, pytest.param(500, marks=pytest.mark.complete)])
def test_a_loop_gives_what_numpy_gives_with_random_arguments_and_options(count: int) -> None:
    for seed in range(count):
        chosen = configuration(seed)
        cls = optim.SGD if "momentum" in chosen else optim.AdamW
        ours, theirs = (train(kernel, cls, np.float32, 4, **chosen) for kernel in ("cpp", "numpy"))
        assert_equal(ours, theirs)


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 1000])
def test_the_number_of_threads_makes_no_difference(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train("numpy", optim.AdamW, np.float32)
    monkeypatch.setattr(pointer_table, "threads", lambda: threads)
    assert_equal(train("cpp", optim.AdamW, np.float32), expected)


def test_gradients_are_found_without_reading_objects_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pointer_table.data_offset() > 0, "NumPy's arrays are laid out as expected here"
    monkeypatch.setattr(pointer_table, "data_offset", lambda: -1)
    assert_equal(train("cpp", optim.Adam, np.float32), train("numpy", optim.Adam, np.float32))


def test_an_array_of_a_foreign_byte_order_is_left_to_numpy() -> None:
    for kernel in ("auto", "numpy"):
        parameter = Parameter(np.arange(4.0).astype(">f8"))
        optimizer = optim.SGD([parameter], lr=0.5, kernel=kernel)
        parameter.grad = np.ones(4)
        optimizer.step()
        assert parameter.data.tolist() == [-0.5, 0.5, 1.5, 2.5]


def test_two_thousand_small_tensors_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    run = pointer_table.Table.run

    def counted(table: Any, step: Any, grads: Any, *types: Any) -> None:
        sizes.append(len(grads))
        run(table, step, grads, *types)

    monkeypatch.setattr(pointer_table.Table, "run", counted)
    parameters = [Parameter(np.full(3, i, np.float32)) for i in range(2000)]
    optimizer = optim.AdamW(parameters, kernel="cpp")
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = np.ones(3, np.float32)
        optimizer.step()
    assert sizes == [2000, 2000, 2000]


def test_a_table_is_made_again_only_when_arrays_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    init = pointer_table.Table.__init__

    def counted(table: Any, *given: Any) -> None:
        made.append(table)
        init(table, *given)

    monkeypatch.setattr(pointer_table.Table, "__init__", counted)
    parameters = [Parameter(np.ones(3)) for _ in range(4)]
    optimizer = optim.Adam(parameters, kernel="cpp")
    for step in range(6):
        for parameter in parameters:
            parameter.grad = np.full(3, 0.5)
        if step == 3:
            parameters[2].data = np.zeros(3)
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
        optimizer.step()
    assert len(made) == 2


def test_model_and_optimizer_copy_and_pickle_together() -> None:
    parameters = [Parameter(np.ones((2, 3))), Parameter(np.ones(4))]
    optimizer = optim.AdamW(parameters, kernel="cpp")

    def step(which: Any) -> list[Any]:
        optimizer, parameters = which
        for parameter in parameters:
            parameter.grad = np.full(parameter.data.shape, 0.5)
        optimizer.step()
        return [parameter.data.tolist() for parameter in parameters]

    for _ in range(3):
        step((optimizer, parameters))
    pairs = [
        copy.deepcopy((optimizer, parameters)),
        pickle.loads(pickle.dumps((optimizer, parameters))),
    ]
    before = [parameter.data.copy() for parameter in parameters]
    results = [step(pair) for pair in pairs]
    assert all(np.array_equal(p.data, w) for p, w in zip(parameters, before, strict=True))
    assert results == [step((optimizer, parameters))] * 2


def test_two_optimizers_share_a_model() -> None:
    results = []
    for kernels in (("cpp", "cpp"), ("cpp", "numpy"), ("numpy", "numpy")):
        parameter = Parameter(np.linspace(0, 1, 10))
        one = optim.AdamW([parameter], kernel=kernels[0])
        two = optim.SGD([parameter], lr=0.1, momentum=0.9, kernel=kernels[1])
        for step in range(6):
            parameter.grad = np.full(10, 0.25 * step)
            (one, two)[step % 2].step()
        results.append(parameter.data.tolist())
    assert results[0] == results[1] == results[2]


def test_the_callers_array_and_the_gradient_are_never_written_to() -> None:
    mine, grad = np.ones(5), np.full(5, 0.5)
    parameter = Parameter(mine)
    optimizer = optim.Adam([parameter], kernel="cpp", maximize=True)
    for _ in range(2):
        parameter.grad = grad
        optimizer.step()
    assert mine.tolist() == [1.0] * 5
    assert grad.tolist() == [0.5] * 5


def test_a_type_without_loops_is_an_error_where_loops_are_demanded() -> None:
    parameter = Parameter(np.ones(3, np.longdouble))
    optimizer = optim.Adam([parameter], kernel="cpp")
    parameter.grad = np.ones(3, np.longdouble)
    if parameter.data.dtype.name in compiler.TYPES:
        pytest.fail("long double is double here")
    with pytest.raises(TypeError, match="no C\\+\\+ loops for arrays of type"):
        optimizer.step()
    assert parameter.data.tolist() == [1.0] * 3
    assert not optimizer.state[parameter]
