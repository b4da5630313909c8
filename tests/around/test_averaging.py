"""The exponential moving average of weights."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import MADGRAD, SGD, ExponentialMovingAverage

MAKES: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda values: np.array(values, np.float32),
    "numpy half": lambda values: np.array(values, np.float16),
    "mlx": lambda values: mx.array(values, mx.float32),
    "mlx half": lambda values: mx.array(values, mx.bfloat16),
}


def wide(array: Any) -> Any:
    return np.array(array.astype(mx.float32) if isinstance(array, mx.array) else array, np.float64)


@pytest.mark.parametrize("warmup", [False, True])
@pytest.mark.parametrize("name", MAKES)
def test_the_average_obeys_its_equation(name: str, warmup: bool) -> None:
    rng = np.random.default_rng(4)
    make = MAKES[name]
    found = [Parameter(make(rng.standard_normal(shape))) for shape in ((3, 2), (), (140_000,))]
    average = ExponentialMovingAverage(found, decay=0.9, warmup=warmup)
    expected = [wide(p.data) for p in found]
    for t in range(1, 6):
        for p in found:
            p.data = make(rng.standard_normal(p.data.shape))
        average.update()
        d = min(0.9, (1 + t) / (10 + t)) if warmup else 0.9
        expected = [d * a + (1 - d) * wide(p.data) for a, p in zip(expected, found, strict=True)]
    for index, values in enumerate(expected):
        own = average.state["averages"][index]
        assert str(own.dtype).endswith("float32")
        np.testing.assert_allclose(wide(own), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MAKES)
def test_weights_are_averages_within_a_block_and_themselves_after_it(name: str) -> None:
    make = MAKES[name]
    found = Parameter(make([0.0, 4.0]))
    average = ExponentialMovingAverage([("w", found)], decay=0.75)
    data = found.data = make([8.0, 4.0])
    average.update()
    with average.averaged():
        assert found.data.dtype == data.dtype
        np.testing.assert_array_equal(wide(found.data), [2, 4])
        with pytest.raises(RuntimeError, match="the averages already"), average.averaged():
            pass
        with pytest.raises(RuntimeError, match="update after the block"):
            average.update()
    assert found.data is data
    with pytest.raises(KeyError), average.averaged():
        raise KeyError
    assert found.data is data


def test_training_goes_on_after_a_block_as_without_it() -> None:
    def trained(look: bool) -> Any:
        found = Parameter(np.ones(3))
        optimizer = SGD([found], lr=0.1, momentum=0.9)
        average = ExponentialMovingAverage(optimizer, decay=0.5)
        for step in range(4):
            found.grad = np.full(3, float(step))
            optimizer.step()
            average.update()
            if look:
                with average.averaged():
                    found.data *= 0  # of the averages' copy, which nobody keeps
        return found.data, average.state["averages"][0]

    for a, b in zip(trained(False), trained(True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_follows_the_updates_of_an_optimizer() -> None:
    found = Parameter(np.ones(1))
    found.grad = np.ones(1)
    optimizer = SGD([found], lr=1.0, accumulation_steps=2)
    average = ExponentialMovingAverage(optimizer, decay=0.5)
    handle = average.follow(optimizer)
    for _ in range(4):
        optimizer.step()
    assert average.state["updates"] == 2
    assert average.state["averages"][0] == 0.5 * (0.5 * 1 + 0.5 * 0) + 0.5 * -1
    handle.remove()
    optimizer.step()
    optimizer.step()
    assert average.state["updates"] == 2


@pytest.mark.parametrize("name", MAKES)
def test_averages_are_saved_loaded_and_pickled(name: str) -> None:
    make = MAKES[name]

    def fresh() -> tuple[Parameter, ExponentialMovingAverage]:
        found = Parameter(make([1.0, 2.0]))
        return found, ExponentialMovingAverage([("w", found)], decay=0.5, warmup=True)

    found, average = fresh()
    found.data = make([3.0, 3.0])
    average.update()
    saved = average.state_dict()
    loaded = fresh()
    loaded[0].data = make([3.0, 3.0])
    loaded[1].load_state_dict(saved)
    others = [loaded, pickle.loads(pickle.dumps((found, average)))]
    for own, other in [(found, average), *others]:
        own.data = make([7.0, 9.0])
        other.update()
        np.testing.assert_array_equal(
            wide(other.state["averages"]["w"]), wide(average.state["averages"]["w"])
        )
    assert saved["updates"] == 1
    expected = [1 + 2 * (1 - 2 / 11), 2 + (1 - 2 / 11)]  # d = min(0.5, 2 / 11)
    np.testing.assert_allclose(wide(saved["averages"]["w"]), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"averages": {}}, "the parameters differ: w"),
        ({"averages": {"w": np.ones(3)}}, r"saved with shape \(3,\), the parameter has \(2,\)"),
        ({"averages": [np.ones(2)]}, "the saved averages must be a dict"),
        ({"averages": {"w": "much"}}, "the saved 'w' must be of real numbers"),
        ({"warmup": "no"}, "warmup must be True or False, got 'no'"),
        ({"decay": 1.5}, "decay must be from 0 to 1, got 1.5"),
        ({"updates": 1.5}, "updates must be a whole number"),
    ],
)
def test_a_dict_that_does_not_fit_changes_nothing(change: dict[str, Any], message: str) -> None:
    average = ExponentialMovingAverage([("w", Parameter(np.ones(2)))])
    before = average.state_dict()
    with pytest.raises((ValueError, TypeError), match=message):
        average.load_state_dict({**before, "averages": {"w": np.zeros(2)}, **change})
    after = average.state_dict()
    assert after["averages"]["w"].tolist() == [1, 1]
    assert (after["decay"], after["updates"]) == (before["decay"], before["updates"])
    with pytest.raises(TypeError, match="expected a state dict, got NoneType"):
        average.load_state_dict(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'decay' not in the dict"):
        average.load_state_dict({k: v for k, v in before.items() if k != "decay"})


def test_wrong_arguments_are_refused() -> None:
    found = [Parameter(np.ones(1))]
    with pytest.raises(ValueError, match=r"decay must be from 0 to 1, got -0\.1"):
        ExponentialMovingAverage(found, -0.1)
    with pytest.raises(TypeError, match="warmup must be True or False"):
        ExponentialMovingAverage(found, warmup=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no parameters to average"):
        ExponentialMovingAverage([])
    average = ExponentialMovingAverage(found)
    found[0].data = np.ones(2)
    with pytest.raises(ValueError, match=r"parameter 0 has shape \(2,\), its average \(1,\)"):
        average.update()


@pytest.mark.parametrize("warmup", [False, True])
def test_a_captured_step_can_average(warmup: bool) -> None:
    def trained(captured: bool) -> Any:
        mx.random.seed(3)
        model = nn.Linear(3, 2)
        optimizer = SGD(model, lr=0.1)
        average = ExponentialMovingAverage(model, decay=0.9, warmup=warmup)
        x = mx.random.normal((5, 3))
        gradients = nn.value_and_grad(model, lambda m: mx.sum(m(x) ** 2))

        def step() -> None:
            optimizer.update(model, gradients(model)[1])
            average.update()

        state = [model.state, optimizer.state, average.state]
        run = mx.compile(step, inputs=state, outputs=state) if captured else step
        for number in range(4):
            if number == 2:
                average.decay = 0.5  # takes effect; nothing is compiled again
            run()
            mx.eval(state)
        return model, average

    (model, average), (_, eager) = trained(True), trained(False)
    own, expected = average.state["averages"]["weight"], eager.state["averages"]["weight"]
    np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)
    weight = model.weight
    with average.averaged():
        assert mx.array_equal(model.weight, own)
    assert mx.array_equal(model.weight, weight)


def test_a_large_captured_step_can_average() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 3), nn.LayerNorm(3)

        def __call__(self, x: mx.array) -> mx.array:
            return self.norm(self.linear(x))

    model = Model()
    optimizer = MADGRAD(lr=0.05, weight_decay=0.1, no_decay="*bias")
    optimizer.init(model.trainable_parameters())
    average = ExponentialMovingAverage(model)

    def loss(x: mx.array) -> mx.array:
        return (model(x) ** 3).sum()

    def step(x: mx.array) -> None:
        optimizer.update(model, nn.value_and_grad(model, loss)(x)[1])
        average.update()

    state = [model.state, optimizer.state, average.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    for _ in range(3):
        compiled(mx.ones((5, 4)))
    assert average.state["updates"].item() == 3
