"""float32 masters of half-precision weights: small updates add up, and nothing else changes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, AdamW, NAdam

HALVES = {
    "numpy": lambda values: np.array(values, dtype=np.float16),
    "float16": lambda values: mx.array(values, dtype=mx.float16),
    "bfloat16": lambda values: mx.array(values, dtype=mx.bfloat16),
}
KERNELS = [
    *(("numpy", kernel) for kernel in ("numpy", "cpp")),
    *((name, kernel) for name in ("float16", "bfloat16") for kernel in ("mlx", "cpp")),
]


def parameter(make: Callable[[Any], Any], values: Any, gradient: Any) -> Parameter:
    found = Parameter(make(values))
    found.grad = make(gradient)
    return found


def wide(array: Any) -> Any:
    return np.array(array.astype(mx.float32) if isinstance(array, mx.array) else array, np.float64)


@pytest.mark.parametrize(("name", "kernel"), KERNELS)
def test_small_updates_add_up_with_masters_and_stall_without(name: str, kernel: str) -> None:
    # Half the distance between 1 and the next half-precision number is 2**-11 or 2**-8.
    size = 2.0**-13 if name != "bfloat16" else 1e-3
    for masters in (False, True):
        found = parameter(HALVES[name], [1.0] * 9, [size] * 9)
        optimizer = SGD([found], lr=1.0, master_weights=masters, kernel=kernel)
        for _ in range(100):
            optimizer.step()
        expected = 1 - 100 * float(wide(found.grad)[0]) if masters else 1.0
        np.testing.assert_allclose(wide(found.data), expected, rtol=2.0**-8)


@pytest.mark.parametrize(("name", "kernel"), KERNELS)
@pytest.mark.parametrize("cls", [AdamW, NAdam])
def test_masters_are_a_float32_run_and_weights_are_its_rounding(
    cls: Any, name: str, kernel: str
) -> None:
    rng = np.random.default_rng(3)
    make = HALVES[name]
    found = [parameter(make, rng.standard_normal(s), np.zeros(s)) for s in ((4, 3), (), (65,))]
    plain = [Parameter(wide(p.data).astype(np.float32)) for p in found]
    arguments: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.1, "max_grad_norm": 2.0}
    optimizer = cls(found, master_weights=True, kernel=kernel, **arguments)
    reference = cls(plain, **arguments)
    for step in range(5):
        for p, q in zip(found, plain, strict=True):
            gradient = make(rng.standard_normal(q.data.shape))
            p.grad = None if step == 2 and q.data.shape == () else gradient
            q.grad = None if p.grad is None else wide(gradient).astype(np.float32)
        optimizer.step()
        reference.step()
        for p, q in zip(found, plain, strict=True):
            master = optimizer.state[p]["master_weight"]
            assert str(master.dtype).endswith("float32")
            assert str(optimizer.state[p]["exp_avg"].dtype).endswith("float32")
            np.testing.assert_allclose(wide(master), q.data, rtol=2e-6, atol=1e-7)
            assert p.data.dtype == make([0.0]).dtype
            np.testing.assert_array_equal(wide(p.data), wide(make(wide(master))))


def test_other_parameters_are_as_without_masters() -> None:
    one, other = (parameter(np.array, [1.0, 2.0], [0.3, 0.1]) for _ in range(2))
    half = parameter(HALVES["numpy"], [1.0], [1.0])
    optimizer = AdamW([one, half], master_weights=True)
    reference = AdamW([other])
    for _ in range(3):
        optimizer.step()
        reference.step()
    assert one.data.tobytes() == other.data.tobytes()
    assert "master_weight" not in optimizer.state[one]
    assert "master_weight" in optimizer.state[half]


@pytest.mark.parametrize("name", HALVES)
def test_a_master_follows_weights_that_are_set(name: str) -> None:
    make = HALVES[name]
    found = parameter(make, [1.0, 2.0, 3.0], [2.0**-13] * 3)
    optimizer = SGD([found], lr=1.0, master_weights=True)
    for _ in range(4):
        optimizer.step()
    set_to = wide(found.data)
    set_to[1] = 5
    found.data = make(set_to)
    optimizer.step()
    lost = 5 * 2.0**-13
    master = wide(optimizer.state[found]["master_weight"])
    np.testing.assert_allclose(master, [1 - lost, 5 - lost / 5, 3 - lost], rtol=1e-6)


def test_a_master_follows_a_change_within_a_numpy_array() -> None:
    found = parameter(HALVES["numpy"], [1.0, 2.0], [2.0**-13] * 2)
    optimizer = SGD([found], lr=1.0, master_weights=True)
    optimizer.step()
    found.data[1] = 7
    optimizer.step()
    master = optimizer.state[found]["master_weight"]
    np.testing.assert_allclose(master, [1 - 2 * 2.0**-13, 7 - 2.0**-13], rtol=1e-6)


def test_a_parameter_that_becomes_float32_needs_no_master() -> None:
    found = parameter(HALVES["numpy"], [1.0], [0.5])
    optimizer = SGD([found], lr=1.0, momentum=0.9, master_weights=True)
    optimizer.step()
    found.data, found.grad = found.data.astype(np.float32), found.grad.astype(np.float32)
    optimizer.step()
    assert "master_weight" not in optimizer.state[found]
    np.testing.assert_allclose(found.data, 1 - 0.5 - 0.95)


def test_the_callers_array_is_not_written_to() -> None:
    array = np.ones(3, np.float16)
    array.flags.writeable = False
    found = Parameter(array)
    found.grad = np.ones(3, np.float16)
    SGD([found], lr=0.5, master_weights=True).step()
    assert (array == 1).all()
    assert (found.data == 0.5).all()


@pytest.mark.parametrize("name", HALVES)
def test_masters_are_saved_loaded_copied_and_pickled(name: str) -> None:
    make = HALVES[name]

    def fresh() -> tuple[Parameter, Any]:
        found = parameter(make, [1.0, 2.0], [2.0**-13] * 2)
        return found, AdamW([found], lr=1e-4, master_weights=True)

    found, optimizer = fresh()
    for _ in range(3):
        optimizer.step()
    saved = optimizer.state_dict()
    others = [
        fresh(),
        copy.deepcopy((found, optimizer)),
        pickle.loads(pickle.dumps((found, optimizer))),
    ]
    others[0][0].data = make(wide(found.data))
    others[0][1].load_state_dict(saved)
    optimizer.step()
    for other, own in others:
        own.step()
        expected, actual = optimizer.state[found], own.state[other]
        assert actual.keys() == expected.keys()
        for key in ("master_weight", "exp_avg"):
            np.testing.assert_array_equal(wide(actual[key]), wide(expected[key]))


def test_a_dict_without_masters_gives_masters_of_the_weights() -> None:
    found = parameter(HALVES["numpy"], [1.0], [0.25])
    without = SGD([found], lr=1.0, momentum=0.5)
    without.step()
    optimizer = SGD([found], lr=1.0, momentum=0.5, master_weights=True)
    optimizer.load_state_dict(without.state_dict())
    optimizer.step()
    assert optimizer.state[found]["master_weight"] == np.float32(0.75 - 0.375)
    with pytest.warns(UserWarning, match="master"):
        without.load_state_dict(optimizer.state_dict())
    assert "master_weight" not in without.state[found]


def test_an_overflow_of_the_rounding_is_infinite_without_a_word() -> None:
    found = parameter(HALVES["numpy"], [60000.0], [-60000.0])
    optimizer = SGD([found], lr=1.0, master_weights=True)
    optimizer.step()
    assert np.isinf(found.data[0])
    assert optimizer.state[found]["master_weight"][0] == 120000


@pytest.mark.parametrize("captured", [False, True])
def test_the_mlx_idiom_has_masters_too(captured: bool) -> None:
    def trained(masters: bool) -> tuple[Any, Any]:
        model = nn.Linear(3, 2)
        model.set_dtype(mx.bfloat16)
        model.weight, model.bias = mx.ones_like(model.weight), mx.ones_like(model.bias)
        optimizer = SGD(model, lr=1.0, master_weights=masters)
        gradients = {key: mx.full(a.shape, 1e-3, a.dtype) for key, a in model.parameters().items()}

        def step() -> None:
            optimizer.update(model, gradients)

        state = [model.state, optimizer.state]
        run = mx.compile(step, inputs=state, outputs=state) if captured else step
        for _ in range(50):
            run()
            mx.eval(state)
        return model, optimizer

    model, optimizer = trained(True)
    assert model.weight.dtype == mx.bfloat16
    assert model.weight[0, 0].item() == pytest.approx(0.95, abs=2.0**-8)
    assert optimizer.state["params"]["bias"]["master_weight"].dtype == mx.float32
    assert trained(False)[0].weight[0, 0].item() == 1
    other = SGD(model, lr=1.0, master_weights=True)
    other.load_state_dict(optimizer.state_dict())
    np.testing.assert_array_equal(
        other.state["params"]["bias"]["master_weight"],
        optimizer.state["params"]["bias"]["master_weight"],
    )


def test_master_weights_is_a_truth_value() -> None:
    with pytest.raises(TypeError, match="master_weights must be True or False, got 1"):
        SGD([parameter(np.array, [1.0], [1.0])], master_weights=1)


def test_a_run_goes_back_to_what_was_saved() -> None:
    found = parameter(HALVES["numpy"], [1.0, 2.0], [2.0**-13] * 2)
    optimizer = AdamW([found], lr=1e-4, master_weights=True)
    optimizer.step()
    saved, weights = optimizer.state_dict(), found.data.copy()
    ends = []
    for _ in range(2):
        optimizer.step()
        optimizer.step()
        ends.append({key: np.copy(value) for key, value in optimizer.state[found].items()})
        optimizer.load_state_dict(saved)
        found.data = weights
    for key, value in ends[0].items():
        np.testing.assert_array_equal(value, ends[1][key])
