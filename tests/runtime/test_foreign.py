"""State of other libraries: what is refused and how, how groups are matched, units converted."""

import ast
import copy
import pickle
import re
from collections import namedtuple
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from malformed import broken

import lucidgen.optim
import lucidgen.runtime
import lucidgen.spec.elsewhere
from lucidgen import Parameter, from_optax
from lucidgen.optim import AdamW
from lucidgen.runtime.checkpoints.libraries import LIBRARIES

ScaleByAdamState = namedtuple("ScaleByAdamState", "count mu nu")
TraceState = namedtuple("TraceState", "trace")
EmptyState = namedtuple("EmptyState", "")

A, B = np.array([1.0, 2.0]), np.array([[3.0], [4.0]])
MLX = {
    "step": np.array(3, dtype=np.uint64),
    "learning_rate": np.array(0.5),
    "a": {"m": A, "v": A},
    "b": [{"m": B, "v": B}],
}
KERAS = {
    "adam/iteration": np.array(3),
    "adam/learning_rate": np.array(0.5),
    "adam/a_momentum": A,
    "adam/a_velocity": A,
    "adam/b_momentum": B,
    "adam/b_velocity": B,
}
PYTORCH_OPTIMIZER = {
    "state": {0: {"exp_avg": A}, 1: {"exp_avg": B}},
    "param_groups": [
        {
            "lr": 0.5,
            "betas": (0.9, 0.99),
            "weight_decay": 0.1,
            "weight_decouple": True,
            "fixed_decay": False,
            "foreach": None,
            "step": 3,
            "params": [0, 1],
        }
    ],
}
ADAM = (ScaleByAdamState(np.array(3), {"a": A, "b": [B]}, {"a": A, "b": [B]}), EmptyState())
TRACE = (TraceState({"a": A, "b": [B]}), EmptyState())


def made(name, groups=1, named=True, **arguments):
    """An optimizer of the parameters "a" and "b.0", in one group or two, after a step."""
    parameters = {"a": Parameter(np.ones(2)), "b.0": Parameter(np.ones((2, 1)))}
    for p in parameters.values():
        p.grad = np.ones(p.data.shape)
    given = list(parameters.items() if named else parameters.values())
    split = [given] if groups == 1 else [[item] for item in given]
    cls = getattr(lucidgen.optim, name)
    optimizer = cls([{"params": group} for group in split], **arguments)
    optimizer.step()
    return optimizer


def without(saved, key):
    return {k: v for k, v in saved.items() if k != key}


def changed(**values):
    """The dict of pytorch_optimizer with other entries in its group."""
    group = {**PYTORCH_OPTIMIZER["param_groups"][0], **values}
    return {**PYTORCH_OPTIMIZER, "param_groups": [group]}


SGD = {"lr": 0.5, "momentum": 0.9}
IN_SGD = {
    "sgd/iteration": 3,
    "sgd/learning_rate": 0.0,
    "sgd/a_momentum": A,
    "sgd/b_momentum": B,
}
BARE = {"step": 1, "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("name", "arguments", "saved", "error", "message"),
    [
        ("SGD", SGD, MLX, ValueError, "has 'm', where that library keeps 'v'; was it saved by a"),
        (
            "LARS",
            SGD,
            MLX,
            ValueError,
            "states of mlx do not load into LARS: its spec does not say, under saved_elsewhere",
        ),
        ("Adam", {"dialect": "keras"}, MLX, ValueError, "the dialect 'mlx' or 'torch', this o"),
        ("Adam", {"amsgrad": True}, MLX, ValueError, "'max_exp_avg_sq' missing"),
        ("Adam", {}, {**BARE}, ValueError, "mlx.optimizers has no parameters: was it saved b"),
        ("Adam", {}, {**MLX, "c": {"m": A}}, ValueError, "differ; only in the state dict: c"),
        (
            "Adam",
            {"groups": 2},
            without(MLX, "b"),
            ValueError,
            "has 2 parameters, the state dict 1",
        ),
        (
            *("Adam", {"groups": 2}, {**without(MLX, "b"), "c": MLX["a"]}),
            *(ValueError, r"not in the state dict: b\.0; in it are a, c"),
        ),
        ("Adam", {}, {**MLX, "learning_rate": "fast"}, TypeError, "lr must be a number, got 'fas"),
        ("Adam", {}, KERAS, ValueError, "goes on under the dialect 'keras', this optimizer is of"),
        (
            *("Adam", {"dialect": "keras"}, without(KERAS, "adam/b_velocity")),
            *(ValueError, "as many variables of each kind, not {'momentum': 2, 'velocity': 1}"),
        ),
        (
            *("Adam", {"dialect": "keras"}, {"adam/iteration": 3}),
            *(ValueError, "the variables of keras hold no state of any parameter"),
        ),
        (
            *("Adam", {"dialect": "keras"}, {**KERAS, "adam/b_momentum": A}),
            *(ValueError, r"'exp_avg' has shape \(2,\), expected \(2, 1\)"),
        ),
        (
            *("SGD", SGD, IN_SGD),
            *(ValueError, "'momentum' is a multiple of 0 at {'lr': 0.0, 'dampening': 0.0}"),
        ),
        ("Adam", {}, ADAM, TypeError, "a state of optax is loaded as lucidgen.from_optax"),
        ("SGD", SGD, from_optax(ADAM), ValueError, "has 'mu', where that library keeps 'trace'"),
        ("Adam", {}, from_optax(TRACE), ValueError, "optax has not counted the steps; say how man"),
        ("Adam", {}, {**from_optax(ADAM), "library": "jaxopt"}, ValueError, "known are mlx, keras"),
        ("Adam", {}, {"a": 1}, ValueError, "has no 'state'"),
        ("Lion", {}, changed(weight_decouple=False), ValueError, "with weight_decouple=False, but"),
        ("Lion", {}, changed(fixed_decay=True), ValueError, "that of fixed_decay=False"),
        ("Lion", {}, changed(params=[0]), ValueError, r"saved state of \[1\]"),
        ("Lion", {}, changed(momentum=1), ValueError, "unknown key 'momentum'"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(name, arguments, saved, error, message):
    optimizer = made(name, **arguments)
    before = pickle.dumps(optimizer.state_dict())
    with pytest.raises(error, match=f"^{name}: .*{message}"):
        optimizer.load_state_dict(saved)
    assert pickle.dumps(optimizer.state_dict()) == before


@pytest.mark.parametrize(
    ("name", "arguments", "saved"),
    [
        ("Adam", {"dialect": "mlx"}, MLX),
        ("Adam", {"dialect": "keras"}, KERAS),
        ("Adam", {"dialect": "optax"}, from_optax(ADAM)),
        ("Lion", {}, PYTORCH_OPTIMIZER),
    ],
)
def test_a_malformed_state_is_refused_by_name_and_changes_nothing_or_it_loads(
    name, arguments, saved
):
    optimizer = made(name, **arguments)
    optimizer.load_state_dict(saved)
    start = optimizer.state_dict()
    refused = 0

    @settings(max_examples=100, derandomize=True, deadline=None, database=None)
    @given(broken(saved))
    def check(wrong):
        nonlocal refused
        before = pickle.dumps(optimizer.state_dict())
        try:
            optimizer.load_state_dict(wrong)
        except (ValueError, TypeError) as error:
            message = str(error)
        else:
            optimizer.load_state_dict(start)
            return
        assert message.startswith(f"{name}: ")
        assert pickle.dumps(optimizer.state_dict()) == before
        refused += 1

    check()
    assert refused > 30


def test_what_is_no_state_of_optax_is_refused():
    with pytest.raises(TypeError, match="no state of parameters in tuple: from_optax takes"):
        from_optax((EmptyState(),))
    with pytest.raises(ValueError, match="has 'trace' twice for 'a'"):
        from_optax((*TRACE, *TRACE))


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("saved", "dialect"), [(MLX, "mlx"), (KERAS, "keras"), (from_optax(ADAM), "optax")]
)
def test_the_states_are_divided_among_groups(saved, dialect, named):
    optimizer = made("Adam", groups=2, named=named, dialect=dialect)
    optimizer.load_state_dict(saved)
    for group, expected in zip(optimizer.param_groups, (A, B), strict=True):
        entry = optimizer.state[group["params"][0]]
        np.testing.assert_array_equal(entry["exp_avg"], expected)
        assert entry["step"] == 3


def test_names_and_not_the_order_decide_where_both_sides_have_them():
    optimizer = made("Adam", dialect="mlx")
    optimizer.load_state_dict({key: MLX[key] for key in ("learning_rate", "b", "step", "a")})
    np.testing.assert_array_equal(optimizer.state_dict()["state"][0]["exp_avg"], A)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_a_tree_without_names_goes_by_order():
    state = ScaleByAdamState(np.array(3), [A, (B,)], [A, (B,)])
    assert "param_names" not in from_optax(state)["param_groups"][0]
    optimizer = made("Adam")
    optimizer.load_state_dict(from_optax(state))
    np.testing.assert_array_equal(optimizer.state_dict()["state"][1]["exp_avg"], B)


def test_parameters_without_names_go_by_the_order_of_jax():
    """Its trees are sorted by their keys, whatever the order in which a part has them."""
    moments = [{"b": [B], "a": None}, {"b": [], "a": A}]
    state = tuple(ScaleByAdamState(np.array(3), tree, tree) for tree in moments)
    optimizer = made("Adam", named=False)
    optimizer.load_state_dict(from_optax(state))
    np.testing.assert_array_equal(optimizer.state_dict()["state"][0]["exp_avg"], A)


def test_the_variable_without_a_name_may_have_a_number():
    """Keras numbers them: it is NAdam's product of mu."""
    saved = {key.replace("adam", "nadam"): value for key, value in KERAS.items()}
    optimizer = made("NAdam", dialect="keras")
    optimizer.load_state_dict({**saved, "variable_12": np.array(0.25)})
    assert [e["mu_product"] for e in optimizer.state_dict()["state"].values()] == [0.25, 0.25]


def test_a_class_that_steps_by_itself_takes_no_state_of_other_libraries():
    class Adam(lucidgen.runtime.Optimizer):
        def step(self, closure=None):
            pass

    optimizer = Adam([("a", Parameter(np.ones(2))), ("b.0", Parameter(np.ones((2, 1))))], {})
    with pytest.raises(ValueError, match="Adam: states of mlx do not load into Adam"):
        optimizer.load_state_dict(MLX)


def test_arrays_are_copied_and_a_saved_dict_is_left_alone():
    saved = copy.deepcopy(MLX)
    optimizer = made("Adam", dialect="mlx")
    optimizer.load_state_dict(saved)
    optimizer.step()
    np.testing.assert_array_equal(saved["a"]["m"], A)
    assert saved.keys() == MLX.keys()


def test_an_array_of_mlx_is_converted_as_one():
    optimizer = lucidgen.optim.SGD(lr=1.0, momentum=0.9)
    optimizer.init({"a": mx.zeros(2)})
    saved = {"sgd/iteration": 3, "sgd/learning_rate": 0.5, "sgd/a_momentum": mx.array([1.0, 2.0])}
    optimizer.load_state_dict(saved)
    assert optimizer.state_dict()["state"][0]["momentum_buffer"].tolist() == [-2.0, -4.0]


@pytest.mark.parametrize(
    ("name", "saved_under", "dialect", "arguments"),
    [
        ("SGD", "torch", "keras", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", "torch", "keras", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        *(
            ("RMSprop", "lucid2", dialect, {"lr": 0.1, "momentum": 0.9, "centered": True})
            for dialect in ("keras", "optax", "paper")
        ),
    ],
)
def test_torchs_momentum_goes_on_where_it_holds_the_learning_rate(
    name, saved_under, dialect, arguments
):
    """At a constant lr these dialects do the same, with momentum in other units."""
    torchs = getattr(lucidgen.optim, name).rules[dialect].saved_elsewhere["torch"]
    assert "momentum_buffer" in torchs.factors
    arguments = {"alpha": 0.9, "eps": 1e-6, **arguments} if name == "RMSprop" else arguments
    first, second = (made(name, dialect=d, **arguments) for d in (saved_under, dialect))
    first.step()
    saved = without(without(first.state_dict(), "class"), "dialect")
    second.load_state_dict(saved)
    for one, other in zip(*(o.param_groups[0]["params"] for o in (first, second)), strict=True):
        other.data[...] = one.data
        for p in (one, other):
            p.grad = np.full(p.data.shape, -0.25)
    for _ in range(3):
        first.step()
        second.step()
    for one, other in zip(*(o.param_groups[0]["params"] for o in (first, second)), strict=True):
        np.testing.assert_allclose(other.data, one.data, rtol=1e-14)


def test_what_a_spec_can_name_is_what_the_runtime_reads():
    assert set(lucidgen.spec.elsewhere.LIBRARIES) == {"torch", *LIBRARIES}


def test_a_subclass_loads_what_its_class_loads():
    class Mine(AdamW):
        pass

    optimizer = Mine([("a", Parameter(np.ones(2))), ("b.0", Parameter(np.ones((2, 1))))])
    optimizer.load_state_dict(MLX)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_runtime_names_no_optimizer():
    """What an optimizer is called is for specs: no code says it, and no text of checkpoints."""
    root = Path(lucidgen.runtime.__file__).parent
    classes = {
        name
        for name in lucidgen.optim.__all__
        if getattr(getattr(lucidgen.optim, name), "rules", None)
    }
    assert len(classes) > 20
    found = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        if path.parent.name != "checkpoints":
            text = ast.unparse(without_docstrings(ast.parse(text)))
        words = set(re.findall(r"\w+", text)) & classes
        found += [f"{path.relative_to(root)}: {word}" for word in sorted(words)]
    assert not found


def without_docstrings(tree):
    """Code alone."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                part
                for part in body
                if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ] or [ast.Pass()]
    return tree
