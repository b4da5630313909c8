"""The MLX idiom: trees of arrays, and whole training steps captured by mx.compile."""

import copy
import pickle

import formulas
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from handwritten import SGD, Adam, Clipped, NAdam, Slow
from mlx.utils import tree_map

from lucidgen.runtime import MultiOptimizer, Parameter
from lucidgen.runtime.trees.tracing import Tracing


def tree_of(rng):
    def array(*shape):
        return mx.array(rng.standard_normal(shape).astype(np.float32))

    return {"layers": [{"weight": array(3, 2), "bias": array(3)}, {"scale": array()}]}


def like(tree, rng):
    if isinstance(tree, mx.array):
        return mx.array(np.asarray(rng.standard_normal(tree.shape), dtype=np.float32))
    if isinstance(tree, dict):
        return {key: like(branch, rng) for key, branch in tree.items()}
    return [like(branch, rng) for branch in tree]


def flat(tree):
    return [tree["layers"][0]["weight"], tree["layers"][0]["bias"], tree["layers"][1]["scale"]]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("cls", [Adam, NAdam, SGD, Clipped, Slow])
def test_apply_gradients_agrees_with_step(rng, cls):
    options = {"momentum": 0.9} if cls is SGD else {}
    tree = tree_of(rng)
    params = [Parameter(a) for a in flat(tree)]
    by_tree, by_step = cls(lr=0.01, **options), cls(params, lr=0.01, **options)
    by_tree.init(tree)
    for _ in range(6):
        grads = like(tree, rng)
        for p, g in zip(params, flat(grads), strict=True):
            p.grad = g
        tree = by_tree.apply_gradients(grads, tree)
        by_step.step()
    for p, a in zip(params, flat(tree), strict=True):
        np.testing.assert_allclose(np.array(a), np.array(p.data), rtol=2e-6, atol=2e-6)


@pytest.mark.usefixtures("uncompiled")
def test_the_state_is_a_tree_of_arrays_with_step_and_lr(rng):
    opt = NAdam(lr=0.25)
    opt.init(tree_of(rng))
    assert set(opt.state) == {"step", "lr", "mu_product", "params"}
    assert opt.state["lr"].item() == 0.25
    assert opt.state["step"].item() == 0
    assert set(opt.state["params"]["layers.0.weight"]) == {"exp_avg", "exp_avg_sq"}


@pytest.mark.usefixtures("uncompiled")
def test_a_missing_gradient_leaves_the_parameter_and_its_step_count(rng):
    tree = tree_of(rng)
    opt = Adam(lr=0.1)
    grads = like(tree, rng)
    tree = opt.apply_gradients(grads, tree)
    partial = {"layers": [{"weight": None, "bias": grads["layers"][0]["bias"]}]}
    after = opt.apply_gradients(partial, tree)
    assert mx.array_equal(flat(after)[0], flat(tree)[0]).item()
    assert mx.array_equal(flat(after)[2], flat(tree)[2]).item()
    opt.apply_gradients(grads, after)
    saved = opt.state_dict()["state"]
    assert [saved[i]["step"] for i in range(3)] == [2, 3, 2]


@pytest.mark.usefixtures("uncompiled")
def test_update_trains_an_mlx_module_and_leaves_frozen_weights():
    model = nn.Linear(3, 2)
    model.freeze(keys=["bias"])
    opt = SGD(model, lr=0.5)
    weight, bias = mx.array(model.weight), mx.array(model.bias)
    opt.update(model, {"weight": mx.ones((2, 3))})
    assert mx.allclose(model.weight, weight - 0.5).item()
    assert mx.array_equal(model.bias, bias).item()


@pytest.mark.parametrize("cls", [Adam, SGD, Slow])
def test_a_training_step_captured_whole_agrees_with_torch(rng, cls):
    start = rng.standard_normal(4)
    model = {"w": mx.array(start.astype(np.float32))}
    opt = cls(lr=0.1, **({"momentum": 0.9} if cls is SGD else {}))
    opt.init(model)
    traces = []

    def step(x):
        traces.append(1)
        grads = {"w": mx.grad(lambda w: mx.sum(w * x))(model["w"])}
        model.update(opt.apply_gradients(grads, model))

    captured = mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])
    inputs = [rng.standard_normal(4) for _ in range(8)]
    for x in inputs:
        captured(mx.array(x.astype(np.float32)))
    if cls is Adam:
        expected = formulas.adam(start, inputs, lr=0.1)
    elif cls is SGD:
        expected = formulas.sgd(start, inputs, lr=0.1, momentum=0.9)
    else:
        expected = formulas.sgd(start, inputs[1:], lr=0.1)
    np.testing.assert_allclose(np.array(model["w"]), expected, rtol=1e-5, atol=1e-6)
    assert opt.state["step"].item() == 8
    assert len(traces) == (1 if cls is Adam else 2)


def test_conditions_on_the_step_count_are_selects_in_a_captured_step(rng):
    start = mx.array(rng.standard_normal(4).astype(np.float32))
    model, param = {"w": start}, Parameter(start)
    opt, plain = NAdam(lr=0.1), NAdam([param], lr=0.1)
    opt.init(model)

    def step(g):
        model.update(opt.apply_gradients({"w": g}, model))

    captured = mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])
    for _ in range(6):
        g = mx.array(rng.standard_normal(4).astype(np.float32))
        captured(g)
        param.grad = g
        plain.step()
    np.testing.assert_allclose(np.array(model["w"]), np.array(param.data), rtol=1e-5)
    np.testing.assert_allclose(
        opt.state["mu_product"].item(), plain.state[param]["mu_product"], rtol=1e-5
    )


def test_the_learning_rate_changes_in_a_captured_step_without_a_new_trace():
    model = {"w": mx.zeros(2)}
    opt = SGD(lr=1.0)
    opt.init(model)
    traces = []

    def step(g):
        traces.append(1)
        model.update(opt.apply_gradients({"w": g}, model))

    captured = mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])
    captured(mx.ones(2))
    opt.param_groups[0]["lr"] = 0.5
    captured(mx.ones(2))
    opt.learning_rate = 0.25
    captured(mx.ones(2))
    assert model["w"].tolist() == [-1.75, -1.75]
    assert traces == [1]
    assert opt.learning_rate == opt.state["lr"].item() == 0.25


def test_other_hypers_are_refused_after_the_step_was_traced():
    model = {"w": mx.zeros(2)}
    opt = SGD(lr=1.0)
    opt.init(model)
    opt.param_groups[0]["momentum"] = 0.5

    def step(g):
        model.update(opt.apply_gradients({"w": g}, model))

    mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])(mx.ones(2))
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"SGD: momentum cannot change after the step was"):
            opt.param_groups[0]["momentum"] = 0.9
    opt.param_groups[0]["momentum"] = 0.5
    opt.param_groups[0]["lr"] = 0.1
    opt.init(model)
    opt.param_groups[0]["momentum"] = 0.9


def test_a_trace_is_remembered_when_a_state_is_assigned():
    model = {"w": mx.zeros(2)}
    opt = SGD(lr=1.0)
    opt.init(model)
    before = tree_map(mx.array, opt.state)

    def step(g):
        model.update(opt.apply_gradients({"w": g}, model))

    mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])(mx.ones(2))
    opt.state = before
    with pytest.raises(RuntimeError, match="momentum cannot change after"):
        opt.param_groups[0]["momentum"] = 0.9


def test_a_trace_is_told_from_a_count_that_somebody_put_there():
    tracing = Tracing()
    ours = mx.array(0)
    tracing.put(ours)
    tracing.see(ours)
    tracing.see(mx.array(1) + 1)
    assert not tracing.has_happened()

    def step(count):
        tracing.see(count)
        return count + 1

    captured = mx.compile(step)
    captured(ours)
    assert tracing.has_happened()
    assert tracing.has_happened(), "it stays so"


def test_a_dict_with_other_hypers_is_refused_after_the_step_was_traced():
    model = {"w": mx.zeros(2)}
    opt = SGD(lr=1.0)
    opt.init(model)
    saved = opt.state_dict()

    def step(g):
        model.update(opt.apply_gradients({"w": g}, model))

    mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])(mx.ones(2))
    saved["param_groups"][0]["momentum"] = 0.5
    with pytest.raises(RuntimeError, match="momentum cannot change after"):
        opt.load_state_dict(saved)
    saved["param_groups"][0].update(momentum=0.0, lr=0.5)
    opt.load_state_dict(saved)
    assert opt.state["lr"].item() == 0.5


@pytest.mark.usefixtures("uncompiled")
def test_other_hypers_may_change_between_steps_that_nobody_traced():
    tree = {"w": mx.zeros(2)}
    opt = SGD(lr=1.0)
    tree = opt.apply_gradients({"w": mx.ones(2)}, tree)
    opt.param_groups[0]["momentum"] = 0.9
    tree = opt.apply_gradients({"w": mx.ones(2)}, tree)
    tree = opt.apply_gradients({"w": mx.ones(2)}, tree)
    np.testing.assert_allclose(np.array(tree["w"]), [-3.9, -3.9], rtol=1e-6)


def test_nothing_is_evaluated_inside_an_update(monkeypatch):
    tree = {"w": mx.zeros(2)}
    opt = Adam()
    opt.init(tree)

    def fail(*args):
        raise AssertionError("evaluated")

    monkeypatch.setattr(mx, "eval", fail)
    monkeypatch.setattr(mx, "async_eval", fail)
    opt.apply_gradients({"w": mx.ones(2)}, tree)


@pytest.mark.usefixtures("uncompiled")
def test_a_wrong_value_is_refused_when_it_is_set(rng):
    opt = Adam()
    opt.init(tree_of(rng))
    with pytest.raises(ValueError, match="Adam: lr must be at least 0"):
        opt.learning_rate = -1
    with pytest.raises(ValueError, match="Adam: eps must be at least 0"):
        opt.param_groups[0]["eps"] = -1
    assert opt.learning_rate == 1e-3


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("grads", "error", "message"),
    [
        ({"w": mx.ones(3)}, ValueError, r"gradient of 'w' has shape \(3,\), the parameter \(2,\)"),
        ({"w": mx.ones(2, dtype=mx.int32)}, TypeError, "gradient of 'w' is of type"),
        ({"v": mx.ones(2)}, ValueError, "gradient 'v' has no parameter"),
    ],
)
def test_a_wrong_gradient_is_refused_and_nothing_changes(grads, error, message):
    tree = {"w": mx.zeros(2)}
    opt = Adam()
    opt.init(tree)
    with pytest.raises(error, match=message):
        opt.apply_gradients(grads, tree)
    assert opt.state["step"].item() == 0


@pytest.mark.usefixtures("uncompiled")
def test_integers_and_arrays_of_others_are_refused():
    with pytest.raises(TypeError, match="parameter 'n' is of type"):
        Adam().init({"n": mx.array(3)})
    with pytest.raises(TypeError, match=r"parameter 'w\.0' is of the type ndarray, and an update"):
        Adam().init({"w": [np.ones(2)]})


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("given", [np.ones(2), 1.0, [1.0, 1.0], "ones"])
@pytest.mark.parametrize("make", [Adam, lambda: MultiOptimizer([Adam(), Adam()], ["w"])])
def test_a_gradient_that_is_no_mlx_array_is_refused_beside_those_that_are(given, make):
    """It would be ignored, as a parameter without a gradient is; mlx.optimizers fails, too."""
    opt, tree = make(), {"w": mx.ones(2), "v": [mx.ones(2)]}
    opt.init(tree)
    path = r"v\.0\.0" if isinstance(given, list) else r"v\.0"
    with pytest.raises(TypeError, match=f"the gradient '{path}' is of the type .* mx.array"):
        opt.apply_gradients({"w": mx.ones(2), "v": [given]}, tree)
    with pytest.raises(TypeError, match=r"the parameter 'v\.0' is of the type ndarray"):
        opt.apply_gradients({"w": mx.ones(2), "v": [mx.ones(2)]}, {**tree, "v": [np.ones(2)]})
    new = opt.apply_gradients({"w": mx.ones(2), "v": [None]}, tree)
    assert new["w"].tolist() != [1, 1]
    assert new["v"][0].tolist() == [1, 1]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_like_the_original(rng, copier):
    tree = tree_of(rng)
    opt = NAdam(lr=0.1)
    tree = opt.apply_gradients(like(tree, rng), tree)
    twin = copier(opt)
    twin.learning_rate = 0.5
    assert (opt.state["lr"].item(), twin.state["lr"].item()) == (np.float32(0.1), 0.5)
    twin.learning_rate = 0.1
    grads = like(tree, rng)
    for a, b in zip(
        flat(opt.apply_gradients(grads, tree)), flat(twin.apply_gradients(grads, tree)), strict=True
    ):
        assert mx.array_equal(a, b).item()


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("cls", [NAdam, Slow])
def test_a_saved_state_resumes_by_name(rng, cls):
    tree = tree_of(rng)
    opt = cls(lr=0.1)
    tree = opt.apply_gradients(like(tree, rng), tree)
    partial = like(tree, rng)
    del partial["layers"][0]["bias"]
    tree = opt.apply_gradients(partial, tree)
    fresh = cls(lr=0.9)
    fresh.init(tree)
    fresh.load_state_dict(opt.state_dict())
    assert fresh.state["lr"].item() == np.float32(0.1)
    grads = like(tree, rng)
    for a, b in zip(
        flat(opt.apply_gradients(grads, tree)),
        flat(fresh.apply_gradients(grads, tree)),
        strict=True,
    ):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-6)
    assert [e["step"] for e in fresh.state_dict()["state"].values()] == [3, 2, 3]


@pytest.mark.usefixtures("uncompiled")
def test_a_run_may_move_from_steps_to_the_mlx_idiom(rng):
    tree = {"a": mx.ones(3), "b": mx.ones(2)}
    params = [(name, Parameter(np.array(a))) for name, a in tree.items()]
    for _, p in params:
        p.grad = rng.standard_normal(p.data.shape).astype(np.float32)
    by_step, by_tree = Adam(params), Adam()
    by_step.step()
    by_tree.init(tree)
    by_tree.load_state_dict(by_step.state_dict())
    assert by_tree.state["step"].item() == 1
    np.testing.assert_array_equal(
        np.array(by_tree.state["params"]["a"]["exp_avg"]), by_step.state[params[0][1]]["exp_avg"]
    )


def test_loading_before_init_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"call init\(params\) first"):
        Adam().load_state_dict({"state": {}, "param_groups": [{"params": []}]})


def test_a_group_cannot_be_added_in_the_mlx_idiom():
    with pytest.raises(RuntimeError, match="given when it is made"):
        Adam().add_param_group({"params": [Parameter([1.0])]})


def test_a_state_dict_can_be_taken_right_after_a_change_of_the_rate():
    optimizer = Adam(lr=0.1)
    optimizer.init({"a": mx.ones(3)})
    optimizer.learning_rate = 0.05
    assert optimizer.state_dict()["param_groups"][0]["lr"] == 0.05
