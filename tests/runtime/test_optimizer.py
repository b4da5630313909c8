"""The public surface: closures, names, modules, subclasses, copies, repr."""

import copy
import pickle

import numpy as np
import pytest
from handwritten import SGD, Adam, NAdam

from lucidgen.runtime import Optimizer, Parameter
from lucidgen.runtime.groups.constructor import constructor


class Model:
    """A module in the manner of Lucid 2.9: parameters() repeats tied weights."""

    def __init__(self, rng):
        self.a, self.b = (Parameter(rng.standard_normal((2, 3))) for _ in range(2))
        self.buffer = np.zeros(2)
        self.tied = False

    def parameters(self):
        yield self.a
        yield self.b
        if self.tied:
            yield self.a

    def state_dict(self, keep_vars=False):
        assert keep_vars
        found = {"one.weight": self.a, "buffer": self.buffer, "two.weight": self.b}
        if self.tied:
            found["head.weight"] = self.a
        return found


def test_the_closures_loss_is_returned_and_its_gradients_are_used(make):
    (p,) = make((2,))
    p.grad = None

    def closure():
        p.grad = np.ones(2)
        return 3.5

    start = p.data.copy()
    assert SGD([p], lr=1.0).step(closure) == 3.5
    np.testing.assert_allclose(p.data, start - 1)


def test_step_returns_none_without_a_closure(make):
    assert SGD(make((2,))).step() is None


def test_zero_grad_forgets_gradients_by_the_parameters_own_method(make):
    class Quiet:
        data, grad = np.ones(2), np.ones(2)

    (p,), q = make((2,)), Quiet()
    SGD([p, q]).zero_grad()
    assert p.grad is None
    assert q.grad is None


def test_names_come_from_pairs(make):
    a, b = make((2,), (2,))
    assert Adam([("x", a), ("y", b)]).param_groups[0]["param_names"] == ["x", "y"]


def test_names_come_from_a_modules_state_dict(rng):
    opt = Adam(Model(rng))
    assert opt.param_groups[0]["param_names"] == ["one.weight", "two.weight"]


def test_tied_weights_of_a_module_are_kept_once_with_a_warning(rng):
    model = Model(rng)
    model.tied = True
    with pytest.warns(UserWarning, match=r"\('head.weight'\) is parameter 0 \('one.weight'\)"):
        opt = Adam(model)
    assert opt.param_groups[0]["param_names"] == ["one.weight", "two.weight"]


def test_a_group_may_hold_a_module_or_a_single_parameter(rng, make):
    (p,) = make((2,))
    opt = Adam([{"params": Model(rng), "lr": 0.5}, {"params": p}], lr=0.1)
    assert [group["lr"] for group in opt.param_groups] == [0.5, 0.1]
    assert [len(group["params"]) for group in opt.param_groups] == [2, 1]


def test_parameters_may_come_from_a_generator(make):
    assert len(Adam(p for p in make((2,), (2,))).param_groups[0]["params"]) == 2


def test_defaults_are_the_checked_arguments(make):
    opt = Adam(make((2,)), lr=1)
    assert opt.defaults == {
        "lr": 1.0,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
        "amsgrad": False,
        "maximize": False,
    }


def test_repr_shows_the_groups_as_torch_does(make):
    assert repr(SGD(make((2,)), lr=0.5)) == "\n".join(
        [
            "SGD (",
            "Parameter Group 0",
            "    dampening: 0.0",
            "    lr: 0.5",
            "    maximize: False",
            "    momentum: 0.0",
            "    nesterov: False",
            "    weight_decay: 0.0",
            ")",
        ]
    )


def test_the_learning_rate_property_sets_every_group(make):
    a, b = make((2,), (2,))
    opt = SGD([{"params": [a]}, {"params": [b], "lr": 3.0}], lr=1.0)
    opt.learning_rate = 0.25
    assert [group["lr"] for group in opt.param_groups] == [0.25, 0.25]
    assert opt.learning_rate == 0.25


def test_parameters_appended_to_a_group_are_trained(make):
    a, b = make((2,), (2,))
    opt = Adam([a])
    opt.step()
    opt.param_groups[0]["params"].append(b)
    opt.step()
    assert (opt.state[a]["step"], opt.state[b]["step"]) == (2, 1)


def test_a_plain_dict_put_among_the_groups_becomes_a_group(make):
    a, b = make((2,), (2,))
    opt = Adam([a])
    opt.param_groups.append({"params": [b], "lr": 0.5})
    opt.step()
    assert opt.state[b]["step"] == 1
    assert opt.param_groups[1]["eps"] == 1e-8


def test_the_signature_of_a_constructor_is_kept():
    import inspect

    assert list(inspect.signature(Adam).parameters)[:3] == ["params", "lr", "betas"]


def test_a_subclass_may_have_its_own_constructor(make):
    class Mine(Adam):
        def __init__(self, params, warmup=10):
            super().__init__(params, 0.5, dialect="keras")
            self.warmup = warmup

    opt = Mine(make((2,)))
    assert (opt.param_groups[0]["lr"], opt.param_groups[0]["eps"]) == (0.5, 1e-7)
    opt.step()


def test_a_subclass_may_have_its_own_step(make):
    class Loud(SGD):
        calls = 0

        def step(self, closure=None):
            self.calls += 1
            return super().step(closure)

    (p,) = make((2,))
    opt = Loud([p], lr=1.0)
    start = p.data.copy()
    opt.step()
    assert opt.calls == 1
    np.testing.assert_allclose(p.data, start - p.grad)


def test_a_class_without_rules_defines_step_by_itself(make):
    class Plain(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    p.data = p.data - group["lr"] * p.grad

    (p,) = make((2,))
    opt = Plain([p], lr=0.5)
    opt.step()
    saved = opt.state_dict()
    assert saved["state"] == {0: {"count": 1}}
    opt.step()
    opt.load_state_dict(saved)
    assert opt.state[p]["count"] == 1


def test_a_class_with_neither_rules_nor_step_says_so(make):
    with pytest.raises(NotImplementedError, match=r"define step\(\) in it"):
        Optimizer(make((2,)), {"lr": 1.0}).step()


def test_constructors_may_be_nested():
    class Renamed(Adam):
        @constructor
        def __init__(self, params=None, rate=0.5):
            super().__init__(params, lr=rate)

    assert Renamed().defaults["lr"] == 0.5


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_model_and_optimizer_stay_together(make, copier):
    params = make((2, 3), (4,))
    opt = NAdam([("a", params[0]), ("b", params[1])])
    opt.step()
    twins, twin = copier((params, opt))
    assert [id(p) for p in twin.param_groups[0]["params"]] == [id(p) for p in twins]
    assert set(map(id, twin.state)) == set(map(id, twins))
    for p, q in zip(params, twins, strict=True):
        q.grad = p.grad.copy()
    opt.step()
    twin.step()
    for p, q in zip(params, twins, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        assert not np.shares_memory(p.data, q.data)
        assert twin.state[q]["step"] == 2


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_the_optimizer_alone_carries_its_own_parameters(make, copier):
    (p,) = make((2,))
    opt = Adam([p])
    opt.step()
    twin = copier(opt)
    (q,) = twin.param_groups[0]["params"]
    assert q is not p
    assert twin.state[q]["step"] == 1
    twin.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr must be at least 0"):
        twin.step()


def test_parameters_are_told_apart_by_identity_and_never_compared():
    class Loud(Parameter):
        __hash__ = None

        def __eq__(self, other):
            raise AssertionError("parameters were compared")

    params = [Loud([1.0]), Loud([1.0])]
    for p in params:
        p.grad = np.ones(1)
    opt = Adam([{"params": params[:1]}, {"params": params[1:]}])
    opt.step()
    opt.load_state_dict(opt.state_dict())
    assert params[0] in opt.state
    assert opt.state[params[1]]["step"] == 1


def test_an_unknown_parameter_has_an_empty_state(make):
    a, b = make((2,), (2,))
    opt = Adam([a])
    assert opt.state[b] == {}
    assert opt.state.get(object()) is None
    with pytest.raises(KeyError):
        del opt.state[object()]
