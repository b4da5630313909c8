"""Training scripts of MLX users: run with mlx.optimizers, and again after changing an import."""

import json
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as theirs
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

import lucidgen.optim as ours

#: With this, AdamW of MLX computes what torch's does; else it is our dialect "mlx".
READING = {"bias_correction": True}


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 8), nn.Linear(8, 1)]
        self.scale = {"out": {"gain": mx.ones(1)}}

    def __call__(self, x):
        return self.layers[1](mx.tanh(self.layers[0](x))) * self.scale["out"]["gain"]


def data():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((32, 4)).astype(np.float32)
    return mx.array(x), mx.array(np.sin(x.sum(axis=1, keepdims=True)))


def made():
    mx.random.seed(5)
    model = MLP()
    mx.eval(model.parameters())
    return model


def loss_of(model, x, y):
    return mx.mean((model(x) - y) ** 2)


def trained(optimizer, model=None, steps=50, clip=None, between=lambda step: None, captured=False):
    """The losses of a training script as MLX's documentation has it, and the number of traces.

    MLX compiles what is ``captured`` with g++, for seconds, so only ours is, and only where the
    test is about that.
    """
    model = made() if model is None else model
    if not captured:
        mx.disable_compile()
    x, y = data()
    loss_and_grad = nn.value_and_grad(model, loss_of)
    state = [model.state, optimizer.state]
    traces = []

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        traces.append(1)
        loss, grads = loss_and_grad(model, x, y)
        if clip is not None:
            grads, _ = theirs.clip_grad_norm(grads, max_norm=clip)
        optimizer.update(model, grads)
        return loss

    losses = []
    for i in range(steps):
        between(i)
        loss = step(x, y)
        mx.eval(model.parameters(), optimizer.state)
        losses.append(loss.item())
    mx.enable_compile()
    return np.array(losses), len(traces)


def agree(a, b, steps=50):
    """Whether losses are equal but for single precision, whose error grows with the steps.

    The gradients of one model differ in their last bits from run to run: MLX's products of matrices
    do not add in the same order each time. From a gradient to the next loss some 16 roundings of
    2^-23 follow each other, and here no step amplifies what the ones before it left.
    """
    np.testing.assert_allclose(a, b, rtol=2e-6 * steps)


def cosine():
    warmup = theirs.linear_schedule(0, 1e-2, 10)
    return theirs.join_schedules([warmup, theirs.cosine_decay(1e-2, 30)], [10])


def falling():
    return theirs.exponential_decay(1e-2, 0.95)


def test_a_script_switches_by_changing_an_import():
    expected, _ = trained(theirs.AdamW(learning_rate=1e-2, **READING))
    found, traces = trained(ours.AdamW(learning_rate=1e-2), captured=True)
    agree(found, expected)
    assert found[-1] < 0.5 * found[0]
    assert traces <= 2


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("Adam", {"betas": [0.8, 0.99]}),
        ("AdamW", {"weight_decay": 0.1, "eps": 1e-6}),
        ("Adamax", {}),
        ("Adagrad", {}),
        ("Lion", {"weight_decay": 0.1}),
        ("RMSprop", {"alpha": 0.9}),
        ("AdaDelta", {}),
    ],
)
def test_the_optimizers_of_mlx_are_dialects_of_ours(name, arguments):
    expected, _ = trained(getattr(theirs, name)(learning_rate=1e-3, **arguments))
    cls = getattr(ours, name)
    agree(trained(cls(learning_rate=1e-3, dialect="mlx", **arguments))[0], expected)


def test_a_script_that_clips_with_mlx_switches():
    expected, _ = trained(theirs.SGD(0.1, momentum=0.9), clip=0.2)
    found, _ = trained(ours.SGD(0.1, momentum=0.9), clip=0.2)
    agree(found, expected)
    fused, _ = trained(ours.SGD(0.1, momentum=0.9, max_grad_norm=0.2))
    agree(fused, expected)


@pytest.mark.parametrize(
    "schedule",
    [cosine(), theirs.step_decay(1e-2, 0.5, 7), lambda step: 1e-2],
    ids=["warmup and cosine", "steps", "constant"],
)
def test_a_schedule_goes_with_the_steps(schedule):
    found, _ = trained(ours.AdamW(schedule))
    # The numbers of Python are what schedules of mlx.optimizers may not return.
    other = theirs.AdamW(lambda step: mx.array(schedule(step)), **READING)
    agree(found, trained(other)[0])


def test_a_schedule_goes_with_the_steps_of_a_captured_step():
    other, one = theirs.AdamW(falling(), **READING), ours.AdamW(falling())
    expected, _ = trained(other)
    found, traces = trained(one, captured=True)
    agree(found, expected)
    np.testing.assert_allclose(one.learning_rate.item(), other.learning_rate.item(), rtol=1e-6)
    assert traces <= 2


def test_the_learning_rate_follows_the_schedule_step_by_step_as_in_mlx():
    seen = []
    for library in (theirs, ours):
        model, optimizer = made(), library.SGD(cosine())
        optimizer.init(model.trainable_parameters())
        seen.append([optimizer.learning_rate.item()])

        def note(i, optimizer=optimizer):
            seen[-1].append(optimizer.learning_rate.item())

        trained(optimizer, model, 45, between=note)
    assert seen[0] == seen[1]
    assert seen[1][0] == 0.0
    assert max(seen[1]) == pytest.approx(1e-2)


def test_a_learning_rate_that_is_set_between_captured_steps_is_used():
    found = []
    for library, arguments in ((theirs, READING), (ours, {})):
        optimizer = library.AdamW(learning_rate=1e-2, **arguments)

        def halve(i, optimizer=optimizer):
            if i in (10, 20):
                optimizer.learning_rate = optimizer.learning_rate * 0.5

        losses, traces = trained(optimizer, between=halve, captured=library is ours)
        found.append(losses)
        assert traces <= 2 or library is theirs
        assert optimizer.learning_rate.item() == np.float32(2.5e-3)
    agree(*found)


def test_a_scheduler_between_captured_steps_is_used_and_nothing_is_traced_again():
    optimizer = ours.AdamW(learning_rate=1e-2)
    optimizer.init(made().trainable_parameters())
    scheduler = ours.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.5)
    found, traces = trained(
        optimizer, between=lambda i: scheduler.step() if i else None, captured=True
    )
    expected, _ = trained(theirs.AdamW(theirs.step_decay(1e-2, 0.5, 7), **READING))
    agree(found, expected)
    assert traces == 1


def test_a_run_goes_on_from_a_file_that_mlx_wrote_of_the_flattened_state(tmp_path):
    path = str(tmp_path / "optimizer.safetensors")
    model, optimizer = made(), ours.AdamW(falling())
    before, _ = trained(optimizer, model, 20, captured=True)
    mx.save_safetensors(path, dict(tree_flatten(optimizer.state)))
    weights = tree_map(mx.array, model.parameters())
    expected, _ = trained(optimizer, model, 20, captured=True)
    for initialised in (False, True):
        model.update(weights)
        fresh = ours.AdamW(falling())
        if initialised:
            fresh.init(model.trainable_parameters())
        fresh.state = tree_unflatten(list(mx.load(path).items()))
        found, _ = trained(fresh, model, 20, captured=True)
        agree(found, expected, 20)
    whole, _ = trained(ours.AdamW(falling()), steps=40, captured=True)
    agree(whole, np.concatenate([before, expected]))


def test_a_run_goes_on_from_our_file_with_its_schedule(tmp_path):
    path = tmp_path / "optimizer.safetensors"
    model, optimizer = made(), ours.SGD(cosine(), momentum=0.0)  # which keeps no step count
    trained(optimizer, model, 20)
    optimizer.save(path)
    weights = tree_map(mx.array, model.parameters())
    expected, _ = trained(optimizer, model, 20)
    model.update(weights)
    fresh = ours.SGD(cosine(), momentum=0.0)
    fresh.init(model.trainable_parameters())
    fresh.load(path)
    found, _ = trained(fresh, model, 20)
    agree(found, expected, 20)
    metadata = mx.load(str(path), return_metadata=True)[1]
    assert json.loads(metadata["lucidgen"])["param_groups"][0]["updates"] == 20


def test_an_adapter_is_trained_and_the_frozen_weights_stay():
    found = []
    for library, arguments in ((theirs, READING), (ours, {})):
        model = made()
        model.layers[0].freeze()
        frozen = mx.array(model.layers[0].weight)
        losses, _ = trained(library.AdamW(learning_rate=1e-2, **arguments), model)
        assert mx.array_equal(model.layers[0].weight, frozen).item()
        found.append(losses)
    agree(*found)


def test_weights_that_are_frozen_and_unfrozen_in_a_run_go_on():
    model, optimizer = made(), ours.AdamW(learning_rate=1e-2)
    optimizer.init(model.trainable_parameters())
    trained(optimizer, model, 5)
    model.layers[0].freeze()
    kept = mx.array(model.layers[0].weight)
    trained(optimizer, model, 5)
    assert mx.array_equal(model.layers[0].weight, kept).item()
    model.unfreeze()
    trained(optimizer, model, 5)
    assert not mx.array_equal(model.layers[0].weight, kept).item()
    saved = optimizer.state_dict()
    steps = dict(zip(saved["param_groups"][0]["param_names"], saved["state"].values(), strict=True))
    assert steps["layers.0.weight"]["step"] == 10
    assert steps["layers.1.weight"]["step"] == 15


def test_several_optimizers_share_a_model_as_in_mlx():
    found = []
    for library, arguments in ((theirs, {}), (ours, {"dialect": "mlx"})):
        optimizer = library.MultiOptimizer(
            [library.AdamW(learning_rate=falling(), **arguments), library.SGD(learning_rate=0.1)],
            [lambda path, w: w.ndim == 2],
        )
        losses, traces = trained(optimizer, captured=library is ours)
        found.append(losses)
    agree(*found)
    assert traces <= 2
    first, second = optimizer.state["states"]
    assert {path for path, _ in tree_flatten(first["layers"])} == {
        f"{layer}.weight.{key}" for layer in (0, 1) for key in ("m", "v")
    }
    assert set(second["params"]) == {"layers.0.bias", "layers.1.bias", "scale.out.gain"}
