"""Groups that select from a tree, schedules as functions, and what is wrong with either."""

import copy
import pickle

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from lucidgen.optim import SGD, AdamW, MultiOptimizer, NAdam
from lucidgen.optim.lr_scheduler import StepLR
from lucidgen.runtime import Parameter


@pytest.fixture(autouse=True)
def uncompiled():
    mx.disable_compile()
    yield
    mx.enable_compile()


def tree():
    return {
        "layers": [{"weight": mx.ones((2, 2)), "bias": mx.ones(2)}],
        "norm": {"bias": mx.ones(3)},
    }


def ones(like):
    return {
        "layers": [{k: mx.ones(v.shape) for k, v in like["layers"][0].items()}],
        "norm": {"bias": mx.ones(3)},
    }


MATRICES = {"params": lambda path, w: w.ndim >= 2, "lr": 0.5}
REST = {"params": "*", "lr": 0.25}


def test_groups_take_parameters_by_path_and_array():
    opt = SGD([MATRICES, REST])
    params = tree()
    params = opt.apply_gradients(ones(params), params)
    assert params["layers"][0]["weight"].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert params["layers"][0]["bias"].tolist() == [0.75, 0.75]
    assert params["norm"]["bias"].tolist() == [0.75] * 3


def test_the_first_group_that_selects_a_parameter_takes_it():
    opt = SGD([{"params": ["norm.*"], "lr": 0.5}, {"params": ("*.bias", "*.weight"), "lr": 1.0}])
    opt.init(tree())
    assert [set(group["params"]) for group in opt.state["groups"]] == [
        {"norm.bias"},
        {"layers.0.weight", "layers.0.bias"},
    ]


def test_weight_decay_is_left_out_within_each_group():
    opt = SGD([MATRICES, REST], weight_decay=0.5, no_decay="*.bias")
    params = tree()
    params = opt.apply_gradients({**ones(params), "norm": None}, params)
    assert params["layers"][0]["weight"].tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert params["layers"][0]["bias"].tolist() == [0.75, 0.75]


def test_groups_have_their_own_values_and_clip_to_one_norm():
    opt = AdamW([{**MATRICES, "betas": (0.5, 0.5)}, REST], lr=1.0, max_grad_norm=1.0)
    assert [group["betas"] for group in opt.param_groups] == [(0.5, 0.5), (0.9, 0.999)]
    params = tree()
    opt.apply_gradients(ones(params), params)
    assert opt.grad_norm.item() == pytest.approx(3.0)
    first, second = opt.state["groups"]
    np.testing.assert_allclose(first["params"]["layers.0.weight"]["exp_avg"], 0.5 / 3, rtol=1e-5)
    np.testing.assert_allclose(second["params"]["norm.bias"]["exp_avg"], 0.1 / 3, rtol=1e-5)


def test_a_captured_step_follows_the_learning_rate_of_each_group():
    mx.enable_compile()
    model, opt = {"a": mx.zeros(1), "b": mx.zeros(1)}, SGD([{"params": "a"}, {"params": "b"}])
    opt.init(model)
    traces = []

    def step(g):
        traces.append(1)
        model.update(opt.apply_gradients({"a": g, "b": g}, model))

    captured = mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])
    opt.learning_rate = 1.0
    captured(mx.ones(1))
    opt.param_groups[1]["lr"] = 0.5
    captured(mx.ones(1))
    assert (model["a"].item(), model["b"].item(), traces) == (-2.0, -1.5, [1])
    with pytest.raises(RuntimeError, match=r"SGD: group 1: momentum cannot change after"):
        opt.param_groups[1]["momentum"] = 0.5


@pytest.mark.parametrize("copier", ["pickle", "deepcopy", "state_dict", "state", "file"])
def test_groups_go_on_from_wherever_they_were_kept(copier, tmp_path):
    groups = [{"params": "*.weight", "lr": 0.5, "name": "matrices"}, REST]
    opt = NAdam(groups, max_grad_norm=1.0)
    params = tree()
    params = opt.apply_gradients(ones(params), params)
    partial = {"norm": ones(params)["norm"]}
    params = opt.apply_gradients(partial, params)
    twin = NAdam(groups, max_grad_norm=1.0)
    if copier == "pickle":
        twin = pickle.loads(pickle.dumps(opt))
    elif copier == "deepcopy":
        twin = copy.deepcopy(opt)
    elif copier == "state":
        twin.state = opt.state
    else:
        twin.init(params)
        if copier == "state_dict":
            twin.load_state_dict(opt.state_dict())
        else:
            opt.save(tmp_path / "opt.safetensors")
            twin.load(tmp_path / "opt.safetensors")
    one, two = (o.apply_gradients(ones(params), params) for o in (opt, twin))
    for name in ("weight", "bias"):
        # Scalar states are of single precision, and their saved copies are what a float prints.
        np.testing.assert_allclose(
            one["layers"][0][name], two["layers"][0][name], rtol=1e-6, atol=1e-7
        )
    assert one["norm"]["bias"].tolist() == two["norm"]["bias"].tolist()


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ([{"params": "*.weight"}], ValueError, r"no group takes parameter 'layers\.0\.bias'"),
        (
            [{"params": "*.wieght"}, REST],
            ValueError,
            r"group 0: the pattern '\*\.wieght' of params matches no parameter.*layers\.0\.weight",
        ),
        ([REST, MATRICES], ValueError, "group 1: takes no parameter"),
        (
            [REST, {"params": lambda path, w: False, "name": "odd"}],
            ValueError,
            r"group 1 \('odd'\)",
        ),
    ],
)
def test_groups_that_do_not_fit_the_tree_are_refused_and_nothing_changes(groups, error, message):
    opt = SGD(groups)
    with pytest.raises(error, match=message):
        opt.init(tree())
    assert opt.state in ({}, {"groups": [{}, {}]})


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ([REST, {"params": [Parameter([1.0])]}], TypeError, "group 1 does not"),
        ([{"params": nn.Linear(2, 2).parameters}], TypeError, "module, got method"),
        ([{"params": "*", "lr": -1}], ValueError, "group 0: lr must be at least 0"),
        ([{"params": "*", "lrr": 1}], ValueError, "group 0: unknown key 'lrr'; did you mean 'lr'"),
        ([{"params": "*", "lr": lambda step: -1.0}], ValueError, "group 0: lr must be at least 0"),
    ],
)
def test_wrong_groups_are_refused_when_they_are_given(groups, error, message):
    with pytest.raises(error, match=message):
        SGD(groups)


# -- schedules ------------------------------------------------------------------------------------


def falling(step):
    return 1.0 / (step + 1)


def test_each_group_may_have_a_schedule():
    opt = SGD(
        [{"params": "a", "lr": falling}, {"params": "b"}, {"params": "c", "lr": 0.5}], lr=falling
    )
    params = {name: mx.zeros(1) for name in "abc"}
    for _ in range(2):
        params = opt.apply_gradients({name: mx.ones(1) for name in "abc"}, params)
    assert [params[name].item() for name in "abc"] == [-1.5, -1.5, -1.0]


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
def test_a_copy_keeps_its_schedule(copier):
    fresh, opt = copier(SGD(falling)), SGD(falling)
    params = opt.apply_gradients({"w": mx.ones(1)}, {"w": mx.zeros(1)})
    opt = copier(opt)
    for found in (fresh, opt):
        found.apply_gradients({"w": mx.ones(1)}, params)
    assert [found.learning_rate.item() for found in (fresh, opt)] == [1.0, 0.5]


def test_a_number_takes_the_place_of_a_schedule_before_a_step_is_traced():
    opt = SGD(falling)
    opt.learning_rate = 0.25
    params = opt.apply_gradients({"w": mx.ones(1)}, {"w": mx.zeros(1)})
    assert params["w"].item() == -0.25
    opt.learning_rate = falling
    assert opt.learning_rate.item() == 0.5


def test_a_schedule_cannot_come_or_go_after_the_step_was_traced():
    mx.enable_compile()
    for lr, other, message in ((falling, 0.5, "is a schedule in"), (0.5, falling, "no schedule")):
        model, opt = {"w": mx.zeros(2)}, SGD(lr)
        opt.init(model)

        def step(g, model=model, opt=opt):
            model.update(opt.apply_gradients({"w": g}, model))

        mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])(mx.ones(2))
        with pytest.raises(RuntimeError, match=message):
            opt.learning_rate = other


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lr": lambda step: None}, TypeError, "a schedule must return one number, got NoneType"),
        ({"lr": lambda step: mx.ones(2)}, TypeError, r"one number, got shape \(2,\)"),
        ({"lr": lambda step: step - 1.0}, ValueError, "SGD: lr must be at least 0"),
        ({"lr": 0.1, "learning_rate": 0.1}, TypeError, "the learning rate is given twice"),
        ({"learning_rate": -0.1}, ValueError, "SGD: lr must be at least 0"),
    ],
)
def test_wrong_learning_rates_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        SGD(**arguments)


def test_a_learning_rate_in_the_first_place_leaves_no_doubt():
    assert SGD(0.5).learning_rate.item() == 0.5
    for arguments in ((0.5, 0.9), (falling, 0.9)):
        with pytest.raises(TypeError, match="all arguments need their names"):
            SGD(*arguments)
    with pytest.raises(TypeError, match="given twice"):
        SGD(0.5, lr=0.5)
    with pytest.raises(TypeError, match="got method"):
        SGD(nn.Linear(2, 2).parameters)


def test_a_schedule_needs_the_mlx_idiom():
    with pytest.raises(TypeError, match="let a scheduler of lr_scheduler drive it"):
        SGD([Parameter([1.0])], lr=falling)


@pytest.mark.parametrize("lr", [falling, 0.75])
def test_a_state_dict_has_the_learning_rate_that_the_state_has(lr):
    opt, fresh = SGD(lr), SGD()
    params = {"w": mx.zeros(1)}
    for _ in range(2):
        params = opt.apply_gradients({"w": mx.ones(1)}, params)
    if lr == 0.75:
        assert opt.state_dict()["param_groups"][0]["lr"] == 0.75
        opt.state["lr"] = mx.array(0.5)
    fresh.init(params)
    fresh.load_state_dict(opt.state_dict())
    assert fresh.learning_rate.item() == fresh.param_groups[0]["lr"] == 0.5


# -- assigned states ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([], TypeError, "a state must be a dict, got list"),
        ({"learning_rate": mx.array(0.1)}, ValueError, "has 'learning_rate', but must have step"),
        ({"lr": mx.array(0.1)}, ValueError, "the state has no 'step'"),
        ({"step": 3}, TypeError, "step must be a 0-d MLX array"),
        ({"step": mx.array(3)}, ValueError, "lacks 'exp_avg' of parameter 'w'"),
        ({"step": mx.array(3), "params": {"w": {"v": mx.ones(2)}}}, ValueError, "is no state"),
        (
            {"step": mx.array(3), "params": {"u": {"exp_avg": mx.ones(2)}}},
            ValueError,
            "the state of 'u', which is no parameter; ",
        ),
        (
            {"step": mx.array(3), "params": {"w": {"exp_avg": mx.ones(3)}}},
            ValueError,
            r"'w': its state 'exp_avg' has shape \(3,\), expected \(2,\)",
        ),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_changes(state, error, message):
    opt = AdamW(lr=0.5)
    opt.init({"w": mx.ones(2)})
    with pytest.raises(error, match=message):
        opt.state = state
    assert opt.state["lr"].item() == 0.5
    assert set(opt.state["params"]["w"]) == {"exp_avg", "exp_avg_sq"}


def test_a_state_of_other_parameters_is_refused_when_they_are_known():
    opt = AdamW()
    opt.state = {"step": mx.array(3), "params": {"u": {"exp_avg": mx.ones(2)}}}
    with pytest.raises(ValueError, match="the state of 'u', which is no parameter"):
        opt.init({"w": mx.ones(2)})


@pytest.mark.parametrize("way", ["assigned", "loaded"])
def test_a_captured_step_finds_every_array_after_its_state_was_replaced(way):
    # mx.compile hands arrays to a traced step by their order alone.
    mx.enable_compile()
    model, opt = {"a": mx.zeros(2), "b": mx.ones(2)}, AdamW(lr=0.125)
    opt.init(model)

    def step(g):
        model.update(opt.apply_gradients({"a": g, "b": 2 * g}, model))

    captured = mx.compile(step, inputs=[model, opt.state], outputs=[model, opt.state])
    captured(mx.array([1.0, -2.0]))
    if way == "assigned":
        state = opt.state
        opt.state = {
            "params": {name: dict(reversed(state["params"][name].items())) for name in ("b", "a")},
            **{key: state[key] for key in ("lr", "step")},
        }
    else:
        saved = opt.state_dict()
        saved["state"] = {i: dict(reversed(entry.items())) for i, entry in saved["state"].items()}
        opt.load_state_dict(saved)
    twin, params = copy.deepcopy(opt), dict(model)
    captured(mx.array([3.0, 1.0]))
    expected = twin.apply_gradients({"a": mx.array([3.0, 1.0]), "b": mx.array([6.0, 2.0])}, params)
    for name in "ab":
        np.testing.assert_allclose(model[name], expected[name], rtol=1e-6)


# -- several optimizers ---------------------------------------------------------------------------


def several():
    return MultiOptimizer([SGD(lr=1.0, momentum=0.9), AdamW(lr=0.5)], ["*.weight"])


def test_several_optimizers_are_driven_and_restored_as_one():
    opt, params = several(), tree()
    scheduler = StepLR(opt, step_size=1, gamma=0.5)
    params = opt.apply_gradients(ones(params), params)
    scheduler.step()
    assert [o.learning_rate.item() for o in opt.optimizers] == [0.5, 0.25]
    twin = several()
    twin.state = opt.state
    one, two = (o.apply_gradients(ones(params), params) for o in (opt, twin))
    for name in ("weight", "bias"):
        assert mx.array_equal(one["layers"][0][name], two["layers"][0][name]).item()
    opt.learning_rate = 0.125
    assert opt.learning_rate.item() == opt.optimizers[1].learning_rate.item() == 0.125


def test_a_state_that_does_not_fit_one_of_several_optimizers_changes_none():
    opt = several()
    opt.init(tree())
    first = opt.state["states"][0]
    for state in ([first], {"states": [first]}, {"states": [{**first, "step": mx.array(9)}, {}]}):
        with pytest.raises(ValueError, match=r"state must be a dict|has no 'step'"):
            opt.state = state
    assert opt.optimizers[0].state["step"].item() == 0


@pytest.mark.parametrize(
    ("optimizers", "filters", "error", "message"),
    [
        ([SGD(), AdamW()], [], ValueError, "2 optimizers need 1 filters"),
        ([SGD(), AdamW()], [3], TypeError, "filter 0 must be patterns"),
        ([SGD([Parameter([1.0])])], [], TypeError, "optimizer 0 must be an optimizer without"),
        ([object()], [], TypeError, "got object"),
    ],
)
def test_wrong_optimizers_and_filters_are_refused(optimizers, filters, error, message):
    with pytest.raises(error, match=message):
        MultiOptimizer(optimizers, filters)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (["*.wieght"], r"optimizer 0 \(SGD\): the pattern '\*\.wieght' of params matches no"),
        ([lambda path, w: True], r"optimizer 1 \(AdamW\): takes no parameter"),
    ],
)
def test_an_optimizer_without_parameters_among_several_is_refused(filters, message):
    opt = MultiOptimizer([SGD(), AdamW()], filters)
    with pytest.raises(ValueError, match=message):
        opt.init(tree())
    assert opt.state == {"states": [{}, {}]}
