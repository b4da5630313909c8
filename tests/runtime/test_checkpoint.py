"""Saving and loading: round trips, matching, dicts of others, loads that change nothing."""

import copy
import pickle

import mlx.core as mx
import numpy as np
import pytest
from handwritten import SGD, Adam, AdamW, Clipped, NAdam
from hypothesis import given as given_
from hypothesis import settings
from malformed import broken

from lucidgen.runtime import Parameter


class Tensor:
    """A stand-in for torch.Tensor: what the conversion uses of it."""

    def __init__(self, values, dtype="torch.float32"):
        self.values, self.dtype = np.asarray(values, dtype=np.float32), dtype

    def detach(self):
        return self

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.values)

    def __array__(self, dtype=None, copy=None):
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


def torch_dict(**group):
    """What torch saves for Adam with one parameter of shape (2,)."""
    return {
        "state": {
            0: {
                "step": Tensor(3.0),
                "exp_avg": Tensor([1.0, 2.0]),
                "exp_avg_sq": Tensor([3.0, 4.0], "torch.bfloat16"),
            }
        },
        "param_groups": [
            {
                "lr": 0.5,
                "betas": (0.9, 0.99),
                "eps": 1e-8,
                "weight_decay": 0,
                "amsgrad": False,
                "maximize": False,
                "foreach": None,
                "capturable": False,
                "differentiable": False,
                "fused": None,
                "decoupled_weight_decay": False,
                "params": [0],
                **group,
            }
        ],
    }


def trained(cls, params, steps=3, **options):
    opt = cls(params, **options)
    for _ in range(steps):
        opt.step()
    return opt


def twins_of(params):
    made = []
    for p in params:
        q = Parameter(copy.deepcopy(p.data))
        q.grad = p.grad
        made.append(q)
    return made


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(np.array(a[key]), np.array(b[key]))


@pytest.mark.parametrize("cls", [Adam, SGD, NAdam, Clipped])
def test_a_loaded_run_goes_on_like_the_original(make, cls):
    params = make((2, 3), (), (0,))
    opt = trained(cls, params, **({"momentum": 0.9} if cls is SGD else {}))
    saved = pickle.loads(pickle.dumps(opt.state_dict()))
    twins = twins_of(params)
    other = cls(twins, lr=77.0)
    other.load_state_dict(saved)
    assert {**other.param_groups[0], "params": 0} == {**opt.param_groups[0], "params": 0}
    for _ in range(2):
        opt.step()
        other.step()
    for p, q in zip(params, twins, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        assert_same(opt.state[p], other.state[q])


def test_the_layout_is_torchs_plus_names_shapes_class_and_dialect(make):
    a, b = make((2,), (3, 1))
    opt = trained(Adam, [{"params": [("a", a)]}, {"params": [("b", b)], "lr": 0.5}])
    saved = opt.state_dict()
    assert set(saved) == {"state", "param_groups", "class", "dialect"}
    assert (saved["class"], saved["dialect"]) == ("Adam", "torch")
    assert list(saved["state"][1]) == ["step", "exp_avg", "exp_avg_sq"]
    second = saved["param_groups"][1]
    assert (second["params"], second["param_names"]) == ([1], ["b"])
    assert (second["param_shapes"], second["lr"]) == ([(3, 1)], 0.5)


def test_saved_and_loaded_arrays_are_copies(make):
    (p,) = make((2,))
    opt = trained(Adam, [p])
    saved = opt.state_dict()
    kept = saved["state"][0]["exp_avg"].copy()
    opt.step()
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], kept)
    opt.load_state_dict(saved)
    opt.step()
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], kept)


def test_permuted_parameters_load_by_name(make):
    a, b, c = make((2,), (2,), (2,))
    opt = trained(Adam, [("a", a), ("b", b), ("c", c)])
    other = Adam([("c", c), ("a", a), ("b", b)])
    other.load_state_dict(opt.state_dict())
    for p in (a, b, c):
        assert_same(other.state[p], opt.state[p])


def test_permuted_groups_load_by_name(make):
    a, b = make((2,), (2,))
    opt = trained(Adam, [{"params": [("a", a)], "lr": 0.1}, {"params": [("b", b)], "lr": 0.2}])
    other = Adam([{"params": [("b", b)]}, {"params": [("a", a)]}])
    other.load_state_dict(opt.state_dict())
    assert [group["lr"] for group in other.param_groups] == [0.2, 0.1]
    assert_same(other.state[a], opt.state[a])


def test_without_names_on_both_sides_parameters_load_by_position(make):
    a, b = make((2,), (2,))
    opt = trained(Adam, [("a", a), ("b", b)])
    other = Adam([b, a])
    other.load_state_dict(opt.state_dict())
    assert_same(other.state[b], opt.state[a])


def test_state_moves_between_numpy_and_mlx(make):
    (p,) = make((2,), dtype=np.float32)
    saved = trained(NAdam, [p]).state_dict()
    mx.disable_compile()
    q = Parameter(mx.array(p.data))
    q.grad = mx.array(p.grad)
    other = NAdam([q])
    other.load_state_dict(saved)
    other.step()
    assert isinstance(other.state[q]["exp_avg"], mx.array)
    back = NAdam([p])
    back.load_state_dict(other.state_dict())
    back.step()
    mx.enable_compile()
    assert isinstance(back.state[p]["exp_avg"], np.ndarray)
    assert back.state[p]["step"] == 5


def test_state_is_cast_to_the_parameters_type(make):
    (p,) = make((2,))
    (q,) = make((2,), dtype=np.float32)
    other = Adam([q])
    other.load_state_dict(trained(Adam, [p]).state_dict())
    other.step()
    assert other.state[q]["exp_avg"].dtype == np.float32


def test_a_parameter_that_never_stepped_loads_without_state(make):
    a, b = make((2,), (2,))
    b.grad = None
    opt = trained(Adam, [a, b])
    other = trained(Adam, make((2,), (2,)))
    other.load_state_dict(opt.state_dict())
    assert not other.state[other.param_groups[0]["params"][1]]


def test_a_state_switched_on_after_the_last_step_round_trips(make):
    (p,) = make((2,))
    opt = trained(Adam, [p])
    opt.param_groups[0]["amsgrad"] = True
    other = Adam([p])
    other.load_state_dict(opt.state_dict())
    other.step()
    assert "max_exp_avg_sq" in other.state[p]


def test_a_subclass_loads_what_its_generated_class_saved(make):
    class Mine(Adam):
        pass

    (p,) = make((2,))
    for saver, loader in ((Adam, Mine), (Mine, Adam)):
        saved = trained(saver, [p])
        loaded = loader([p])
        loaded.load_state_dict(saved.state_dict())
        assert loaded.state[p]["step"] == saved.state[p]["step"] > 0
        np.testing.assert_array_equal(loaded.state[p]["exp_avg"], saved.state[p]["exp_avg"])


def test_a_subclass_with_its_own_step_may_keep_states_of_its_own(make):
    class Mine(Adam):
        def step(self, closure=None):
            super().step(closure)
            for p in self.param_groups[0]["params"]:
                self.state[p]["extra"] = np.ones(2)

    (p,) = make((2,))
    opt = trained(Mine, [p])
    opt.load_state_dict(opt.state_dict())
    np.testing.assert_array_equal(opt.state[p]["extra"], np.ones(2))


# -- dicts of others -------------------------------------------------------------------------------


def test_a_dict_of_torch_loads_without_torch(make):
    (p,) = make((2,))
    opt = Adam([p])
    opt.load_state_dict(torch_dict())
    assert opt.state[p]["step"] == 3
    assert type(opt.state[p]["step"]) is int
    np.testing.assert_array_equal(opt.state[p]["exp_avg_sq"], [3.0, 4.0])
    assert (opt.param_groups[0]["lr"], opt.param_groups[0]["betas"]) == (0.5, (0.9, 0.99))
    assert "fused" not in opt.param_groups[0]
    opt.step()


def test_torchs_flag_for_decoupled_decay_tells_adam_from_adamw(make):
    (p,) = make((2,))
    AdamW([p]).load_state_dict(torch_dict(decoupled_weight_decay=True))
    with pytest.raises(ValueError, match="decoupled_weight_decay=True, but Adam computes what"):
        Adam([p]).load_state_dict(torch_dict(decoupled_weight_decay=True))
    with pytest.raises(ValueError, match="unknown key 'decoupled_weight_decay'"):
        Clipped([p]).load_state_dict(
            {
                "state": {},
                "param_groups": [{"params": [0], "lr": 1.0, "decoupled_weight_decay": False}],
            }
        )


def test_names_that_torch_saved_are_matched(make):
    a, b = make((2,), (2,))
    saved = torch_dict(params=[0, 1], param_names=["b", "a"])
    opt = Adam([("a", a), ("b", b)])
    opt.load_state_dict(saved)
    assert opt.state[b]["step"] == 3
    assert not opt.state[a]


def test_a_dict_of_sgd_without_momentum_loads_and_empty_entries_are_dropped(make):
    (p,) = make((2,))
    group = {"lr": 0.1, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}
    opt = SGD([p])
    opt.load_state_dict(
        {
            "state": {0: {"momentum_buffer": None}},
            "param_groups": [{**group, "maximize": False, "foreach": None, "params": [0]}],
        }
    )
    assert not opt.state[p]
    opt.step()


def test_a_dict_of_lucid_2_loads_with_what_it_lacks_left_as_it_is(make):
    a, b = make((2,), (2,))
    saved = {
        "state": {
            0: {"momentum_buffer": np.ones(2)},
            2: {"momentum_buffer": np.full(2, 2.0)},
        },
        "param_groups": [{"params": [0, 0, 2], "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}],
    }
    opt = SGD([a, b], maximize=True)
    opt.load_state_dict(saved)
    np.testing.assert_array_equal(opt.state[b]["momentum_buffer"], [2.0, 2.0])
    assert opt.param_groups[0]["maximize"] is True


def test_a_state_of_an_argument_that_the_dialect_ignores_is_dropped(make):
    (p,) = make((2,))
    entry = {"step": 3, "exp_avg": np.ones(2), "exp_avg_sq": np.ones(2)}
    saved = {
        "state": {0: {**entry, "max_exp_avg_sq": np.zeros(2)}},
        "param_groups": [{"params": [0], "lr": 0.1, "amsgrad": True}],
    }
    opt = Adam([p], dialect="lucid2")
    opt.load_state_dict(saved)
    assert set(opt.state[p]) == {"step", "exp_avg", "exp_avg_sq"}
    with pytest.raises(ValueError, match="saved state 'max_exp_avg_sq'"):
        Adam([p], dialect="keras").load_state_dict(
            {**saved, "param_groups": [{"params": [0], "lr": 0.1}]}
        )


def test_a_missing_state_is_refused_with_the_dialect_that_fits(make):
    (p,) = make((2,))
    saved = {
        "state": {0: {"step": 3, "exp_avg": np.ones(2), "exp_avg_sq": np.ones(2)}},
        "param_groups": [{"params": [0], "lr": 0.1, "momentum_decay": 0.004}],
    }
    with pytest.raises(ValueError, match=r"'mu_product' missing.*with dialect='lucid2', or remove"):
        NAdam([p]).load_state_dict(saved)
    NAdam([p], dialect="lucid2").load_state_dict(saved)


# -- refusals --------------------------------------------------------------------------------------


def without(key, dict_):
    return {k: v for k, v in dict_.items() if k != key}


def changed_state(**entry):
    saved = torch_dict()
    saved["state"][0].update(entry)
    saved["state"][0] = {k: v for k, v in saved["state"][0].items() if v is not None}
    return saved


@pytest.mark.parametrize(
    ("saved", "error", "message"),
    [
        ([], TypeError, r"a state dict must be a dict, got \[\]"),
        ({"param_groups": []}, ValueError, "has no 'state'"),
        ({"state": {}, "param_groups": []}, ValueError, "has 0 groups, the optimizer 1"),
        ({"state": {}, "param_groups": [{}]}, ValueError, "saved group 0 has no 'params'"),
        ({"state": [], "param_groups": [{"params": [0]}]}, TypeError, "'state' must be a dict"),
        ({"state": {0: 1}, "param_groups": [{"params": [0]}]}, TypeError, "of 0 must be a dict"),
        ({"state": {7: {}}, "param_groups": [{"params": [0]}]}, ValueError, r"saved state of \[7"),
        (torch_dict(params=[0, 1]), ValueError, "group 0 has 1 parameters, the saved one 2"),
        (torch_dict(param_names=["a", "b"]), ValueError, "saved group 0 has 1 parameters, 2 names"),
        (torch_dict(param_shapes=[(3,)]), ValueError, r"shape \(2,\), but was saved with shape"),
        (torch_dict(lr=-1.0), ValueError, "group 0: saved value: lr must be at least 0"),
        (torch_dict(momentum=0.9), ValueError, "unknown key 'momentum'"),
        (changed_state(exp_avg=None), ValueError, "'exp_avg' missing from the saved state; remove"),
        (changed_state(step=None), ValueError, "parameter 0: 'step' missing"),
        (changed_state(step=2.5), ValueError, "step must be a whole number, got 2.5"),
        (changed_state(step=float("inf")), ValueError, "step must be a whole number, got inf"),
        (changed_state(step=[1, 2]), ValueError, "'step' must be one number"),
        (changed_state(exp_avg=np.ones(3)), ValueError, r"'exp_avg' has shape \(3,\), expected"),
        (
            changed_state(exp_avg=np.array(["a", "b"])),
            TypeError,
            "'exp_avg' must be of real numbers",
        ),
        (changed_state(momentum_buffer=np.ones(2)), ValueError, "saved state 'momentum_buffer', b"),
        ({"state": {}, "param_groups": None}, TypeError, "'param_groups' must be a list of dicts"),
        ({"state": {}, "param_groups": [None]}, TypeError, "a list of dicts, but has None"),
        (torch_dict(params=None), TypeError, "group 0: 'params' must be a list of numbers, got No"),
        (torch_dict(params=[[0]]), TypeError, r"'params' must be a list of numbers, but has \[0\]"),
        (torch_dict(param_names=[3]), TypeError, "'param_names' must be a list of names, but has"),
        (torch_dict(params=[0, 1], param_names=["a", "a"]), ValueError, "has a name twice"),
        (torch_dict(param_shapes=[None]), TypeError, "'param_shapes' must be a list of shapes, bu"),
        (torch_dict(decoupled_weight_decay=np.zeros(3)), ValueError, "decoupled_weight_decay=arra"),
        (changed_state(exp_avg=[[1.0], 2.0]), TypeError, "'exp_avg' is no array"),
        (changed_state(exp_avg={}), TypeError, "'exp_avg' must be of real numbers, got {}"),
        ({**torch_dict(), "class": None}, TypeError, "'class' must be a name, got None"),
        ({**torch_dict(), "class": "SGD"}, ValueError, "was saved by SGD; construct a SGD"),
        ({**torch_dict(), "dialect": "keras"}, ValueError, "construct it with dialect='keras'"),
    ],
)
def test_a_failed_load_says_why_and_changes_nothing(make, saved, error, message):
    (p,) = make((2,))
    opt = trained(Adam, [p])
    before = copy.deepcopy(opt.state_dict())
    with pytest.raises(error, match=f"^Adam.*{message}"):
        opt.load_state_dict(saved)
    after = opt.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert_same(after["state"][0], before["state"][0])


@pytest.mark.parametrize("cls", [Adam, NAdam, SGD])
@pytest.mark.parametrize("named", [False, True])
def test_a_malformed_dict_is_refused_by_name_and_changes_nothing_or_it_loads(cls, named):
    options = {"momentum": 0.9} if cls is SGD else {}
    parameters = [Parameter(np.ones(shape)) for shape in ((2,), (2, 3), ())]
    for p in parameters:
        p.grad = np.ones(p.data.shape)
    given = [(f"p{i}", p) for i, p in enumerate(parameters)] if named else parameters
    groups = [{"params": given[:2]}, {"params": given[2:], "lr": 0.5}]
    opt = trained(cls, groups, **options)
    saved = opt.state_dict()
    refused = 0

    @settings(max_examples=200, derandomize=True, deadline=None, database=None)
    @given_(broken(saved))
    def check(wrong):
        nonlocal refused
        before = pickle.dumps(opt.state_dict())
        try:
            opt.load_state_dict(wrong)
        except (ValueError, TypeError) as error:
            message = str(error)
        else:
            opt.step()
            opt.load_state_dict(saved)
            return
        assert message.startswith(f"{cls.__name__}: ")
        assert pickle.dumps(opt.state_dict()) == before
        refused += 1

    check()
    assert refused > 100


def test_a_later_group_that_fails_leaves_the_earlier_ones_alone(make):
    a, b = make((2,), (2,))
    opt = trained(Adam, [{"params": [a]}, {"params": [b]}])
    saved = opt.state_dict()
    saved["param_groups"][0]["lr"] = 0.75
    saved["param_groups"][1]["lr"] = -1.0
    with pytest.raises(ValueError, match="Adam: group 1: saved value: lr"):
        opt.load_state_dict(saved)
    assert opt.param_groups[0]["lr"] == 1e-3


def test_names_that_differ_are_listed(make):
    a, b = make((2,), (2,))
    saved = trained(Adam, [("a", a), ("old", b)]).state_dict()
    with pytest.raises(ValueError, match="not in the state dict: new; only in the state dict: old"):
        Adam([("a", a), ("new", b)]).load_state_dict(saved)


def test_names_grouped_otherwise_are_refused(make):
    a, b = make((2,), (2,))
    saved = trained(Adam, [{"params": [("a", a)]}, {"params": [("b", b)]}]).state_dict()
    c, d = make((2,), (2,))
    opt = Adam([{"params": [("a", a), ("b", b)]}, {"params": [("c", c)]}])
    saved["param_groups"][1].update(params=[1, 2], param_names=["b", "c"], param_shapes=[(2,)] * 2)
    with pytest.raises(ValueError, match="no saved group holds just the parameters of group 0"):
        opt.load_state_dict(saved)
    assert d is not c
