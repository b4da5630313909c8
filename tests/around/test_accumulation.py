"""Updates with the mean of the gradients of several batches."""

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
from lucidgen.optim import SGD, AdamW

MAKES = [np.array, mx.array]


def parameters(make: Callable[[Any], Any], count: int = 2) -> list[Parameter]:
    return [Parameter(make(np.linspace(-1, 1, 3 + i).astype(np.float32))) for i in range(count)]


def batches(make: Callable[[Any], Any], number: int) -> list[list[Any]]:
    rng = np.random.default_rng(8)
    return [
        [make(rng.standard_normal(3 + i).astype(np.float32)) for i in range(2)]
        for _ in range(number)
    ]


def give(found: list[Parameter], grads: list[Any]) -> None:
    for parameter, grad in zip(found, grads, strict=True):
        parameter.grad = grad


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("kernel", ["auto", "cpp"])
def test_every_kth_step_is_one_with_the_mean(make: Any, kernel: str) -> None:
    found, plain = parameters(make), parameters(make)
    options: dict[str, Any] = {"lr": 0.1, "max_grad_norm": 1.0, "kernel": kernel}
    optimizer = AdamW(found, accumulation_steps=3, **options)
    reference = AdamW(plain, **options)
    given = batches(make, 6)
    for number, grads in enumerate(given, start=1):
        before = [np.array(p.data) for p in found]
        give(found, grads)
        optimizer.step()
        optimizer.zero_grad()
        assert optimizer.accumulated == number % 3
        if number % 3:
            for p, old in zip(found, before, strict=True):
                np.testing.assert_array_equal(p.data, old)
            continue
        last = given[number - 3 : number]
        give(plain, [make(sum(np.array(g) for g in some) / 3) for some in zip(*last, strict=True)])
        reference.step()
        for p, q in zip(found, plain, strict=True):
            np.testing.assert_allclose(p.data, q.data, rtol=1e-5)
            assert optimizer.state[p]["step"] == number // 3
            assert "grad_sum" not in optimizer.state[p]


def test_a_missing_gradient_counts_as_zeros() -> None:
    a, b, c = (Parameter(np.ones(1)) for _ in range(3))
    optimizer = SGD([a, b, c], lr=1.0, accumulation_steps=2)
    give([a, b, c], [np.array([4.0]), None, None])
    optimizer.step()
    give([a, b, c], [np.array([2.0]), np.array([4.0]), None])
    optimizer.step()
    assert [p.data[0] for p in (a, b, c)] == [-2.0, -1.0, 1.0]
    assert "grad_sum" not in optimizer.state[a]


def test_gradients_are_only_read_and_may_be_reused() -> None:
    (found,) = parameters(np.array, 1)
    gradient = np.ones(3, np.float32)
    found.grad = gradient
    optimizer = SGD([found], lr=1.0, accumulation_steps=2)
    optimizer.step()
    gradient *= 3  # a framework may write the next gradient into the same array
    optimizer.step()
    np.testing.assert_allclose(found.data, np.linspace(-1, 1, 3) - 2)
    assert (gradient == 3).all()


@pytest.mark.parametrize(
    "make", [lambda v: np.array(v, np.float16), lambda v: mx.array(v, mx.float16)]
)
def test_sums_of_half_precision_gradients_are_in_float32(make: Any) -> None:
    found = Parameter(make([1.0]))
    optimizer = SGD([found], lr=1e-4, accumulation_steps=4)
    found.grad = make([60000.0])
    for _ in range(3):
        optimizer.step()
    assert optimizer.state[found]["grad_sum"].item() == 180000
    optimizer.step()
    assert np.array(found.data)[0] == pytest.approx(-5, rel=1e-3)


@pytest.mark.parametrize("make", MAKES)
def test_a_run_goes_on_between_two_batches(make: Any) -> None:
    def fresh() -> tuple[list[Parameter], Any]:
        found = parameters(make)
        return found, AdamW(found, lr=0.1, accumulation_steps=3)

    found, optimizer = fresh()
    given = batches(make, 6)
    for grads in given[:4]:
        give(found, grads)
        optimizer.step()
    saved = optimizer.state_dict()
    assert saved["options"] == {"accumulation_steps": 3, "accumulated": 1}
    others = [copy.deepcopy((found, optimizer)), pickle.loads(pickle.dumps((found, optimizer)))]
    resumed = parameters(make)
    for p, q in zip(resumed, found, strict=True):
        p.data = make(np.array(q.data))
    others.append((resumed, AdamW(resumed)))
    others[-1][1].load_state_dict(saved)
    for own, other in [(found, optimizer), *others]:
        for grads in given[4:]:
            give(own, grads)
            other.step()
        for p, q in zip(own, found, strict=True):
            np.testing.assert_array_equal(p.data, q.data)


def test_the_first_batches_can_be_saved_before_any_update() -> None:
    (found,), (other,) = parameters(np.array, 1), parameters(np.array, 1)
    optimizer = AdamW([found], accumulation_steps=2)
    found.grad = np.ones(3, np.float32)
    optimizer.step()
    resumed = AdamW([other])
    resumed.load_state_dict(optimizer.state_dict())
    assert (resumed.accumulation_steps, resumed.accumulated) == (2, 1)
    np.testing.assert_array_equal(resumed.state[other]["grad_sum"], np.ones(3))


def test_a_dict_in_which_nothing_waits_ends_the_waiting() -> None:
    (found,) = parameters(np.array, 1)
    optimizer = SGD([found], accumulation_steps=2)
    saved = optimizer.state_dict()
    found.grad = np.ones(3, np.float32)
    optimizer.step()
    optimizer.load_state_dict(saved)
    assert optimizer.accumulated == 0


def test_the_number_can_change_while_batches_wait() -> None:
    (found,) = parameters(np.array, 1)
    found.grad = np.ones(3, np.float32)
    optimizer = SGD([found], lr=1.0, accumulation_steps=8)
    for _ in range(3):
        optimizer.step()
    optimizer.accumulation_steps = 1
    optimizer.step()
    np.testing.assert_allclose(found.data, np.linspace(-1, 1, 3) - 1)
    assert optimizer.accumulated == 0


def test_a_gradient_that_does_not_fit_adds_nothing() -> None:
    found = parameters(np.array)
    optimizer = SGD(found, accumulation_steps=2)
    give(found, [np.ones(3, np.float32), np.ones(5, np.float32)])
    with pytest.raises(ValueError, match=r"group 0: parameter 1: the gradient has shape \(5,\)"):
        optimizer.step()
    assert optimizer.accumulated == 0
    assert "grad_sum" not in optimizer.state[found[0]]


def test_an_update_that_fails_can_be_done_again() -> None:
    (found,) = parameters(np.array, 1)
    optimizer = SGD([found], lr=1.0, momentum=0.9, accumulation_steps=2)
    for factor in (0, 2, -1):
        found.grad = np.full(3, factor, np.float32)
        optimizer.step()
    found.grad = np.full(3, 3, np.float32)
    buffer = optimizer.state[found]["momentum_buffer"]
    optimizer.state[found]["momentum_buffer"] = np.ones(7)
    with pytest.raises(ValueError, match="its state 'momentum_buffer' has shape"):
        optimizer.step()
    assert optimizer.accumulated == 1
    optimizer.state[found]["momentum_buffer"] = buffer
    optimizer.step()
    np.testing.assert_allclose(found.data, np.linspace(-1, 1, 3) - 1 - 1.9, rtol=1e-6)


@pytest.mark.parametrize(("before", "after"), [MAKES, MAKES[::-1]])
def test_sums_of_another_library_go_on_without_a_last_gradient(before: Any, after: Any) -> None:
    first, second = parameters(before), parameters(after)
    saving, loading = (AdamW(p, accumulation_steps=2) for p in (first, second))
    give(first, batches(before, 1)[0])
    saving.step()
    loading.load_state_dict(saving.state_dict())
    for found, optimizer in ((first, saving), (second, loading)):
        give(found, [None, None])
        optimizer.step()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(np.array(other.data), np.array(one.data), rtol=1e-6)


def test_the_closures_loss_is_returned_every_time() -> None:
    (found,) = parameters(np.array, 1)
    found.grad = np.ones(3, np.float32)
    optimizer = SGD([found], accumulation_steps=2)
    assert [optimizer.step(lambda: 4.0), optimizer.step(lambda: 5.0)] == [4, 5]


def test_masters_take_means_of_float32() -> None:
    found = Parameter(np.ones(1, np.float16))
    found.grad = np.full(1, 2.0**-13, np.float16)
    optimizer = SGD([found], lr=1.0, accumulation_steps=2, master_weights=True)
    for _ in range(8):
        optimizer.step()
    assert optimizer.state[found]["master_weight"][0] == 1 - 4 * 2.0**-13


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "SGD: accumulation_steps must be at least 1, got 0"),
        (1.5, TypeError, "SGD: accumulation_steps must be a whole number, got 1.5"),
        (True, TypeError, "must be a whole number, got True"),
    ],
)
def test_a_wrong_number_is_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SGD(parameters(np.array), accumulation_steps=value)
    optimizer = SGD(parameters(np.array))
    with pytest.raises(error, match=message):
        optimizer.accumulation_steps = value
    assert optimizer.accumulation_steps == 1


def test_the_mlx_idiom_refuses() -> None:
    with pytest.raises(ValueError, match="add up gradients with tree_map"):
        SGD(nn.Linear(2, 2), accumulation_steps=2)
