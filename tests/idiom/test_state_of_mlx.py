"""The state of the dialect "mlx", side by side with that of the installed mlx.optimizers."""

import copy
import pickle
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as theirs
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

import lucidgen.optim as ours

#: The optimizers of MLX, with the arguments of each.
RUNS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {"alpha": 0.9}),
    ("Adagrad", {"eps": 1e-6}),
    ("AdaDelta", {"rho": 0.8}),
    ("Adam", {"betas": [0.8, 0.9]}),
    ("Adam", {"bias_correction": True}),
    ("AdamW", {"weight_decay": 0.1}),
    ("AdamW", {"bias_correction": True}),
    ("Adamax", {}),
    ("Lion", {"weight_decay": 0.1}),
]
each = pytest.mark.parametrize(("name", "arguments"), RUNS)


@pytest.fixture(autouse=True)
def uncompiled():
    mx.disable_compile()
    yield
    mx.enable_compile()


def pair(name, arguments=None, lr=0.01):
    """An optimizer of MLX, and ours."""
    given = arguments or {}
    made = getattr(ours, name)(lr, dialect="mlx", **given)
    return getattr(theirs, name)(lr, **given), made


def tree():
    return {
        "layers": [{"weight": mx.ones((2, 3)), "bias": mx.zeros(3)}, {"weight": mx.ones((3, 2))}],
        "ends": (mx.ones(1), {"scale": mx.full((2,), 2.0)}),
    }


def gradients(step):
    values = np.random.default_rng(step)
    return tree_map(lambda w: mx.array(values.standard_normal(w.shape).astype(np.float32)), tree())


def go(optimizer, params, steps):
    for step in steps:
        params = optimizer.apply_gradients(gradients(step), params)
    mx.eval(params)
    return params


def kinds(state):
    return [(path, array.dtype, array.shape) for path, array in tree_flatten(state)]


def assert_same(a, b):
    """The same keys in the same order, types, shapes, and values but for single precision."""
    assert kinds(a) == kinds(b)
    for (path, one), (_, two) in zip(tree_flatten(a), tree_flatten(b), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-8, err_msg=path)


@each
def test_the_state_has_the_layout_and_the_values_of_mlx(name, arguments):
    other, one = pair(name, arguments)
    assert_same(one.state, other.state)
    for optimizer in (other, one):
        optimizer.init(tree())
    assert_same(one.state, other.state)
    assert_same(go(one, tree(), range(3)), go(other, tree(), range(3)))
    assert_same(one.state, other.state)
    assert isinstance(one.state["ends"], tuple)


@pytest.mark.parametrize(
    ("name", "arguments"),
    # MLX has powers of beta in single precision; and AdaDelta's products are in another order.
    [run for run in RUNS if "bias_correction" not in run[1] and run[0] != "AdaDelta"],
)
def test_on_the_cpu_the_weights_are_those_of_mlx_to_the_last_bit(name, arguments):
    with mx.stream(mx.cpu):
        one, other = (go(optimizer, tree(), range(5)) for optimizer in pair(name, arguments))
    for (path, a), (_, b) in zip(tree_flatten(one), tree_flatten(other), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)


@each
def test_a_saved_state_goes_on_in_either_library(name, arguments):
    for source, target in (pair(name, arguments), reversed(pair(name, arguments))):
        params = go(source, tree(), range(2))
        target.state = tree_unflatten(tree_flatten(source.state))
        assert_same(go(target, params, range(2, 4)), go(source, params, range(2, 4)))
        assert_same(target.state, source.state)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_states_have_the_type_of_their_parameter(dtype):
    half = tree_map(lambda w: w.astype(dtype), tree())
    for optimizer in pair("AdamW"):
        optimizer.init(half)
        new = optimizer.apply_gradients(half, half)
        assert {array.dtype for _, array in tree_flatten(new)} == {dtype}
        found = {array.dtype for path, array in tree_flatten(optimizer.state) if "." in path}
        assert found == {dtype}


# -- what may be assigned -------------------------------------------------------------------------


def test_any_dict_may_be_assigned_before_the_first_update_and_is_checked_when_it_is_used():
    for initialised in (False, True):
        optimizer = pair("SGD")[1]
        if initialised:
            optimizer.init(tree())
        optimizer.state["hello"] = "world"
        assert optimizer.state["hello"] == "world"
        optimizer.state = {0: 1}
        assert optimizer.state == {0: 1}
        for use in (partial(go, optimizer, tree(), [0]), partial(optimizer.init, tree())):
            with pytest.raises(ValueError, match="SGD: the state has no 'step'"):
                use()


def test_what_is_not_of_the_optimizer_stays_in_the_state():
    optimizer = pair("Adam")[1]
    optimizer.state["epoch"] = mx.array(3)
    optimizer.state["note"] = "warm"
    go(optimizer, tree(), range(2))
    assert (optimizer.state["epoch"].item(), optimizer.state["note"]) == (3, "warm")


def changed(path, value):
    """A change of the flattened state of AdamW: other entries under a path."""

    def change(state):
        kept = {key: array for key, array in tree_flatten(state) if not key.startswith(path)}
        return tree_unflatten([*kept.items(), *value.items()])

    return change


WRONG = [
    (changed("step", {}), ValueError, "the state has no 'step'"),
    (changed("step", {"step": 3}), TypeError, "step must be a 0-d MLX array"),
    (
        changed("layers.0.bias", {"layers.0.bais.m": mx.zeros(3)}),
        ValueError,
        r"the state of 'layers\.0\.bais', which is no parameter; .*'layers\.0\.bias'",
    ),
    (
        changed("layers.0.bias", {"layers.0.bias.n": mx.zeros(3)}),
        ValueError,
        r"'layers\.0\.bias\.n' is no state",
    ),
    (
        changed("layers.0.bias.m", {"layers.0.bias.m": mx.zeros(4)}),
        ValueError,
        r"'layers\.0\.bias': its state 'm' has shape \(4,\), expected \(3,\)",
    ),
    (
        changed("layers.0.bias.m", {"layers.0.bias.m": np.zeros(3)}),
        TypeError,
        r"'layers\.0\.bias': its state 'm' must be an MLX array, got ndarray",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG)
def test_a_wrong_state_is_refused_when_it_is_used_and_at_once_after_an_update(
    change, error, message
):
    optimizer = pair("AdamW")[1]
    optimizer.init(tree())
    optimizer.state = change(optimizer.state)
    with pytest.raises(error, match=message):
        go(optimizer, tree(), [0])
    optimizer = pair("AdamW")[1]
    go(optimizer, tree(), [0])
    before = dict(tree_flatten(optimizer.state))
    with pytest.raises(error, match=message):
        optimizer.state = change(optimizer.state)
    assert all(array is before[path] for path, array in tree_flatten(optimizer.state))


def test_after_an_update_a_state_with_gaps_is_refused():
    optimizer = pair("AdamW")[1]
    go(optimizer, tree(), [0])
    with pytest.raises(ValueError, match=r"the state lacks 'm' of parameter 'layers\.0\.bias'"):
        optimizer.state = changed("layers.0.bias", {})(optimizer.state)
    for state in ([], None, 3):
        with pytest.raises(TypeError, match="a state must be a dict"):
            optimizer.state = state


def test_a_parameter_in_the_place_of_the_count_is_refused():
    for name in ("step", "learning_rate"):
        with pytest.raises(ValueError, match=f"the tree has '{name}' at its top"):
            pair("SGD")[1].init({name: mx.ones(2)})


def test_what_is_there_stays_when_parameters_are_made_known_again():
    for optimizer in pair("Adam"):
        params = go(optimizer, tree(), range(2))
        before = tree_flatten(optimizer.state)
        optimizer.init({**params, "late": mx.ones(2)})
        after = dict(tree_flatten(optimizer.state))
        assert all(mx.array_equal(after[path], array).item() for path, array in before)
        assert after["late.m"].shape == (2,)
    optimizer.init({**params, "late": mx.ones(3)})
    assert optimizer.state["late"]["v"].shape == (3,)


def test_a_parameter_that_comes_late_and_one_without_a_gradient_go_with_the_common_count():
    optimizer = pair("Adam", {"bias_correction": True})[1]
    params = {"a": mx.zeros(1), "b": mx.zeros(1)}
    optimizer.init({"a": params["a"]})
    params = optimizer.apply_gradients({"a": mx.ones(1)}, params)
    params = optimizer.apply_gradients({"b": mx.ones(1)}, params)
    assert [key for key, _ in tree_flatten(optimizer.state)] == [
        "step",
        "learning_rate",
        *(f"{name}.{key}" for name in "ab" for key in "mv"),
    ]
    other = pair("Adam", {"bias_correction": True})[0]
    other.init(params)
    other.apply_gradients({"a": mx.ones(1)}, {"a": mx.zeros(1)})
    expected = other.apply_gradients({"b": mx.ones(1)}, {"b": mx.zeros(1)})
    np.testing.assert_allclose(params["b"], expected["b"], rtol=1e-4)


# -- captured steps -------------------------------------------------------------------------------


def test_a_captured_step_that_is_given_the_state_computes_what_mlx_does():
    found = []
    for optimizer in pair("SGD", {"momentum": 0.9}):  # of MLX not compiled, which takes seconds
        model = {"w": mx.ones((4, 2))}

        def step(params, state, optimizer=optimizer):
            grads = mx.grad(lambda p: p["w"].square().sum())(params)
            optimizer.state = state
            return optimizer.apply_gradients(grads, params), optimizer.state

        optimizer.init(model)
        if found:
            mx.enable_compile()
            step = mx.compile(step)
        state = optimizer.state
        for _ in range(3):
            model, state = step(model, state)
        found.append((model, state))
    assert_same(*found)


def test_a_step_that_captures_the_state_before_there_are_parameters_is_traced_twice():
    found = []
    for optimizer in pair("SGD", {"momentum": 0.9}, lr=theirs.exponential_decay(1e-2, 0.9)):
        if found:
            mx.enable_compile()
        model, traces = {"w": mx.ones((4, 2))}, []
        state = [model, optimizer.state]

        @partial(mx.compile, inputs=state, outputs=state)
        def step(grad, model=model, optimizer=optimizer, traces=traces):
            traces.append(1)
            optimizer.update(model, {"w": grad})

        for i in range(4):
            step(mx.full((4, 2), 1.0 + i))
            mx.eval(state)
        found.append((optimizer.state, model["w"], len(traces)))
    assert_same(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-6)
    assert found[1][2] == 2


def test_a_new_learning_rate_may_be_negative_and_compiles_nothing():
    mx.enable_compile()
    for optimizer in pair("SGD", lr=-1.0):

        @partial(mx.compile, inputs=optimizer.state)
        def update(grads, optimizer=optimizer):
            return optimizer.apply_gradients(grads, {"w": mx.ones((2, 2))})

        found = [update({"w": mx.ones((2, 2))})["w"][0, 0].item()]
        optimizer.learning_rate = -2.0
        found.append(update({"w": mx.ones((2, 2))})["w"][0, 0].item())
        assert found == [2.0, 3.0]


# -- trees without arrays -------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["mlx", "torch"])
@pytest.mark.parametrize("empty", [{}, [], {"act": {}, "more": [{}, None]}, nn.ReLU()])
def test_an_update_of_nothing_advances_the_schedule_and_does_nothing_else(dialect, empty):
    other = theirs.Adam(theirs.exponential_decay(0.5, 0.5))
    one = ours.Adam(theirs.exponential_decay(0.5, 0.5), dialect=dialect)
    for optimizer in (other, one):
        for _ in range(3):
            optimizer.update({}, {})
    one.apply_gradients({}, empty)
    assert one.learning_rate.item() == 0.0625
    assert (one.state["step"].item(), other.state["step"].item()) == (4, 3)
    params = one.apply_gradients({"w": mx.ones(2)}, {"w": mx.ones(2)})
    assert params["w"].shape == (2,)
    assert one.state["step"].item() == 5


@pytest.mark.parametrize("dialect", ["mlx", "torch"])
def test_layers_without_parameters_are_left_alone(dialect):
    model = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2))
    optimizer = ours.MultiOptimizer(
        [ours.Lion(0.1, dialect="mlx"), ours.AdamW(0.1, dialect=dialect)],
        [lambda path, w: w.ndim >= 2],
    )
    _, grads = nn.value_and_grad(model, lambda m: m(mx.ones((1, 2))).sum())(model)
    for _ in range(2):
        before = dict(tree_flatten(model.parameters()))
        optimizer.update(model, grads)
    assert not mx.array_equal(model.layers[2].weight, before["layers.2.weight"]).item()
    optimizer.update({}, {})
    assert [state["step"].item() for state in optimizer.state["states"]] == [3, 3]


@pytest.mark.parametrize("dialect", ["mlx", "torch"])
def test_groups_may_be_given_nothing_before_they_are_given_parameters(dialect):
    optimizer = ours.SGD([{"params": "*.weight"}, {"params": "*"}], lr=1.0, dialect=dialect)
    optimizer.update({}, {})
    params = optimizer.apply_gradients(gradients(0), tree())
    assert [group["step"].item() for group in optimizer.state["groups"]] == [2, 2]
    assert not mx.array_equal(params["layers"][0]["weight"], tree()["layers"][0]["weight"]).item()


def test_a_captured_update_of_nothing_follows_the_schedule():
    mx.enable_compile()
    schedule = theirs.exponential_decay(1e-1, 0.9)
    optimizer = ours.SGD(schedule, dialect="mlx")
    update = mx.compile(
        lambda: optimizer.update({}, {}), inputs=optimizer.state, outputs=optimizer.state
    )
    for step in range(3):
        update()
        assert optimizer.learning_rate.item() == schedule(mx.array(step)).item()


# -- several optimizers and groups ----------------------------------------------------------------


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2)
        self.rest = [nn.Linear(2, 2), nn.ReLU(), nn.ReLU()]


def several(library, filters, **reading):
    return library.MultiOptimizer(
        [library.Adam(0.01, **reading), library.SGD(0.1, **reading)], filters
    )


@pytest.mark.parametrize(
    "select", [lambda path, w: w.ndim > 1, lambda path, w: True, lambda path, w: False]
)
def test_members_of_several_optimizers_have_the_states_of_their_own_parameters(select):
    found = []
    for library, reading in ((theirs, {}), (ours, {"dialect": "mlx"})):
        mx.random.seed(3)
        model = Model()
        optimizer = several(library, [select], **reading)
        optimizer.init(model.trainable_parameters())
        states = copy.deepcopy(optimizer.state["states"])
        _, grads = nn.value_and_grad(model, lambda m: m.last(m.first(mx.ones((1, 2)))).sum())(model)
        optimizer.update(model, grads)
        twin = several(library, [select], **reading)
        twin.state = tree_unflatten(tree_flatten(optimizer.state))
        twin.update(model, grads)
        found.append((states, optimizer.state["states"], model.parameters()))
    for one, other in zip(*found, strict=True):
        assert_same(one, other)
    assert len(found[1][0]) == 2


def test_groups_have_the_layout_of_mlx_each():
    groups = [{"params": "*.weight", "lr": 0.5}, {"params": "*"}]
    optimizer = ours.Adam(groups, dialect="mlx")
    assert [set(group) for group in optimizer.state["groups"]] == [{"step", "learning_rate"}] * 2
    params = go(optimizer, tree(), range(2))
    first, second = optimizer.state["groups"]
    assert [path for path, _ in tree_flatten(first)][2:] == [
        f"layers.{layer}.weight.{key}" for layer in (0, 1) for key in "mv"
    ]
    assert all("weight" not in path for path, _ in tree_flatten(second))
    twin = ours.Adam(groups, dialect="mlx")
    twin.state = tree_unflatten(tree_flatten(optimizer.state))
    assert_same(go(twin, params, [5]), go(optimizer, params, [5]))
    assert_same(twin.state, optimizer.state)


# -- copies, checkpoints, and what was saved before -----------------------------------------------


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "state_dict", "file", "mlx's"])
def test_a_run_goes_on_from_wherever_it_was_kept(way, tmp_path):
    for name, arguments in (("SGD", {}), ("AdamW", {"bias_correction": True})):
        optimizer, twin = (pair(name, arguments)[1] for _ in range(2))
        params = go(optimizer, tree(), range(2))
        if way == "pickle":
            twin = pickle.loads(pickle.dumps(optimizer))
        elif way == "deepcopy":
            twin = copy.deepcopy(optimizer)
        else:
            twin.init(params)
        if way == "state_dict":
            twin.load_state_dict(optimizer.state_dict())
        elif way == "mlx's":
            twin.load_state_dict(optimizer.state)
        elif way == "file":
            optimizer.save(tmp_path / "opt.safetensors")
            twin.load(tmp_path / "opt.safetensors")
        assert_same(twin.state, optimizer.state)
        assert_same(go(twin, params, [2]), go(optimizer, params, [2]))


def test_a_state_dict_has_the_keys_of_torch_and_what_the_arguments_need():
    for name, keys in (("SGD", set()), ("Adam", {"step", "exp_avg", "exp_avg_sq"})):
        optimizer = pair(name)[1]
        go(optimizer, tree(), range(2))
        saved = optimizer.state_dict()
        assert {key for entry in saved["state"].values() for key in entry} == keys
        assert saved["param_groups"][0]["lr"] == 0.01


def former(optimizer):
    """A state of MLX's reading as it was before it had MLX's layout."""
    keys = {"m": "exp_avg", "v": "exp_avg_sq"}
    entries = {}
    for path, array in tree_flatten(optimizer.state):
        name, _, key = path.rpartition(".")
        if name:
            entries.setdefault(name, {})[keys[key]] = array
    state = {key: optimizer.state[key] for key in ("step", "learning_rate")}
    return {"step": state["step"].astype(mx.int32), "lr": state["learning_rate"], "params": entries}


@pytest.mark.parametrize("way", ["assigned", "assigned late", "pickled"])
def test_what_was_kept_in_the_former_layout_goes_on(way):
    optimizer = pair("Adam")[1]
    params = go(optimizer, tree(), range(2))
    twin = pair("Adam")[1]
    if way == "pickled":
        found = optimizer.__getstate__()
        kept = {key: found["_engine"][key] for key in ("kind", "shapes", "no_decay", "accumulated")}
        found["param_groups"] = [type(group)(group) for group in found["param_groups"]]
        for group in (found["defaults"], *found["param_groups"]):
            group.pop("bias_correction")  # which there was not
        twin = object.__new__(type(optimizer))
        twin.__setstate__({**found, "_engine": {**kept, "state": former(optimizer)}})
    elif way == "assigned late":
        go(twin, tree(), [7])
        twin.state = former(optimizer)
    else:
        twin.state = tree_unflatten(tree_flatten(former(optimizer)))
    expected = go(optimizer, params, [2])
    assert_same(go(twin, params, [2]), expected)
    assert_same(twin.state, optimizer.state)


def test_masters_and_the_norm_are_beside_what_mlx_keeps():
    half = tree_map(lambda w: w.astype(mx.bfloat16), tree())
    optimizer = ours.AdamW(0.01, dialect="mlx", master_weights=True, max_grad_norm=1.0)
    optimizer.apply_gradients(half, half)
    state = optimizer.state
    assert set(state) == {"step", "learning_rate", "layers", "ends", "grad_norm"}
    assert set(state["layers"][0]["bias"]) == {"m", "v", "master_weight"}
    twin = ours.AdamW(0.01, dialect="mlx", master_weights=True, max_grad_norm=1.0)
    twin.state = tree_unflatten(tree_flatten(state))
    for one in (optimizer, twin):
        one.apply_gradients(half, half)
    assert_same(twin.state, optimizer.state)


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "AdaDelta"])
def test_eps_must_be_above_0_where_mlx_says_so(name):
    for eps in (0.0, -1.0):
        with pytest.raises(ValueError, match=">0"):
            getattr(theirs, name)(0.1, eps=eps)
        with pytest.raises(ValueError, match=f"eps must be above 0, got {eps}"):
            getattr(ours, name)(0.1, eps=eps, dialect="mlx")
    assert getattr(ours, name)(0.1, eps=0.0).param_groups[0]["eps"] == 0.0


@each
def test_a_negative_learning_rate_climbs_as_in_mlx(name, arguments):
    other, one = pair(name, arguments, lr=-0.01)
    assert_same(go(one, tree(), range(2)), go(other, tree(), range(2)))
    with pytest.raises(ValueError, match="lr must be at least 0"):
        getattr(ours, name)(-0.01)


def test_a_spelling_of_mlx_is_another_name_of_the_class():
    assert ours.AdaDelta is ours.Adadelta


def test_bias_correction_is_what_other_readings_do_always():
    assert "bias_correction" not in ours.Adam(bias_correction=True).param_groups[0]
    with pytest.raises(ValueError, match="bias_correction=False is not part of the dialect"):
        ours.Adam(bias_correction=False)
