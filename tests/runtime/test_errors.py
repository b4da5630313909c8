"""Whatever is wrong is said before anything changes, with group and parameter."""

import warnings

import numpy as np
import pytest
from handwritten import SGD, Adam, NAdam

from lucidgen.runtime import Optimizer, Parameter


def snapshot(optimizer):
    return [
        (p.data.copy(), {k: np.copy(v) for k, v in optimizer.state[p].items()})
        for group in optimizer.param_groups
        for p in group["params"]
    ]


def assert_unchanged(optimizer, before):
    for (data, state), (old_data, old_state) in zip(snapshot(optimizer), before, strict=True):
        np.testing.assert_array_equal(data, old_data)
        assert state.keys() == old_state.keys()
        for key in state:
            np.testing.assert_array_equal(state[key], old_state[key])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lr": -1.0}, ValueError, r"Adam: lr must be at least 0, got -1\.0"),
        ({"lr": float("nan")}, ValueError, "lr must be finite, got nan"),
        ({"eps": float("inf")}, ValueError, "eps must be finite, got inf"),
        ({"lr": True}, TypeError, r"lr must be a number, got True \(bool\)"),
        ({"lr": "fast"}, TypeError, r"lr must be a number, got 'fast' \(str\)"),
        ({"lr": None}, TypeError, "lr must be a number, got None"),
        ({"lr": np.ones(2)}, TypeError, "lr must be a number"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\] must be below 1, got 1\.0"),
        ({"betas": (0.9,)}, ValueError, "betas must be 2 numbers, got 1"),
        ({"betas": 0.9}, TypeError, "betas must be 2 numbers, got 0.9"),
        ({"amsgrad": 1}, TypeError, "amsgrad must be True or False, got 1"),
        ({"learn_rate": 1}, TypeError, "no argument 'learn_rate'"),
        ({"weight_dcay": 1}, TypeError, "did you mean 'weight_decay'"),
        ({"dialect": "kears"}, ValueError, "no dialect 'kears'; did you mean 'keras'"),
    ],
)
def test_a_wrong_argument_is_refused_by_name_and_value(make, arguments, error, message):
    with pytest.raises(error, match=message):
        Adam(make((2,)), **arguments)


def test_constraints_across_arguments_hold_in_the_constructor_groups_and_later(make):
    a, b = make((2,), (2,))
    message = "nesterov needs a momentum above 0"
    with pytest.raises(ValueError, match=f"SGD: {message}"):
        SGD([a], nesterov=True)
    with pytest.raises(ValueError, match=f"SGD: group 1: {message}"):
        SGD([{"params": [a]}, {"params": [b], "momentum": 0.0}], momentum=0.9, nesterov=True)
    opt = SGD([a], momentum=0.9, nesterov=True)
    opt.param_groups[0]["momentum"] = 0.0
    with pytest.raises(ValueError, match=f"SGD: group 0: {message}"):
        opt.step()


def test_betas_may_be_a_list_or_an_array(make):
    for betas in ([0.8, 0.9], np.array([0.8, 0.9])):
        assert Adam(make((2,)), betas=betas).param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "no parameters to optimize"),
        ([{"params": []}], ValueError, "group 0: no parameters"),
        ([np.ones(2)], TypeError, r"parameter 0: an array \(ndarray\) has no gradient"),
        (np.ones(2), TypeError, "got an array|has no gradient"),
        (Parameter([1.0]), TypeError, r"got one; write \[parameter\]"),
        ([3], TypeError, r"parameter 0: expected a parameter \(.data and .grad\), got int"),
        ("abc", TypeError, "got str"),
        (5, TypeError, "expected an iterable of parameters or a module, got int"),
        ({Parameter([1.0])}, TypeError, "a set has no order"),
        ({"params": []}, TypeError, "for a group write"),
        ([{"params": [Parameter([1.0])]}, Parameter([1.0])], TypeError, "not both in one list"),
        ([{"lr": 1.0}], ValueError, "group 0: the group has no 'params'"),
        ([("a", Parameter([1.0])), Parameter([1.0])], ValueError, "all parameters have names"),
        ([("a", Parameter([1.0])), ("a", Parameter([1.0]))], ValueError, "name is taken by"),
        ([("a", 3)], TypeError, r"parameter 0 \('a'\): expected a parameter"),
    ],
)
def test_what_cannot_be_optimized_is_refused(params, error, message):
    with pytest.raises(error, match=message):
        Adam(params)


def test_an_integer_parameter_is_refused():
    class Holder:
        data, grad = np.arange(3), None

    with pytest.raises(TypeError, match=r"parameter 0: \.data is of type int64"):
        Adam([Holder()])
    with pytest.raises(TypeError, match="floating type, got int64"):
        Parameter(np.arange(3))


def test_data_of_another_library_is_refused():
    class Holder:
        data, grad = [1.0], None

    with pytest.raises(TypeError, match=r"must be a numpy\.ndarray or an mlx\.core\.array, got"):
        Adam([Holder()])


def test_a_misspelt_key_of_a_group_is_refused_with_the_nearest_name(make):
    a, b = make((2,), (2,))
    with pytest.raises(ValueError, match="group 0: unknown key 'weight_deca'; did you mean 'weig"):
        Adam([{"params": [a], "weight_deca": 0.1}])
    opt = Adam([a])
    with pytest.raises(ValueError, match="group 1: unknown key 'lrr'"):
        opt.add_param_group({"params": [b], "lrr": 0.1})
    assert len(opt.param_groups) == 1
    opt.param_groups[0]["epsilon"] = 1e-3
    with pytest.raises(ValueError, match="group 0: unknown key 'epsilon'; did you mean 'eps'"):
        opt.step()


def test_a_hyper_set_later_is_checked_in_all_groups_before_anything_changes(make):
    a, b = make((2,), (2,))
    opt = Adam([{"params": [a]}, {"params": [b]}])
    opt.step()
    before = snapshot(opt)
    opt.param_groups[1]["lr"] = -0.5
    with pytest.raises(ValueError, match=r"Adam: group 1: lr must be at least 0, got -0\.5"):
        opt.step()
    assert_unchanged(opt, before)
    opt.param_groups[1]["lr"] = 0.5
    opt.step()


def test_every_way_of_writing_to_a_group_is_noticed(make):
    (a,) = make((2,))
    opt = Adam([a])

    def by_or(group):
        group |= {"lr": -1.0}

    for write in (
        lambda group: group.update(lr=-1.0),
        lambda group: group.update({"lr": -1.0}),
        by_or,
        lambda group: group.pop("lr"),
        lambda group: group.__delitem__("lr"),
        lambda group: group.clear(),
        lambda group: group.popitem(),
    ):
        opt = Adam([a])
        write(opt.param_groups[0])
        with pytest.raises((ValueError, KeyError), match=r"lr must be|missing|params"):
            opt.step()


def test_the_name_of_a_group_is_part_of_its_errors(make):
    a, b = make((2,), (2,))
    opt = Adam([{"params": [a]}, {"params": [b], "name": "head"}])
    opt.param_groups[1]["lr"] = -1
    with pytest.raises(ValueError, match=r"group 1 \('head'\): lr"):
        opt.step()


def test_a_parameter_in_two_groups_is_refused(make):
    a, b = make((2,), (2,))
    with pytest.raises(ValueError, match="group 1: parameter 0 is already in Adam: group 0"):
        Adam([{"params": [a, b]}, {"params": [a]}])
    opt = Adam([{"params": [a]}, {"params": [b]}])
    opt.param_groups[0]["params"].append(b)
    with pytest.raises(ValueError, match="is already in Adam: group 0: parameter 1"):
        opt.step()


def test_a_repeated_parameter_is_kept_once_with_a_warning(make):
    (a,) = make((2,))
    with pytest.warns(UserWarning, match="parameter 1 is parameter 0. Tied weights") as caught:
        opt = SGD([a, a], lr=1.0)
    assert caught[0].filename == __file__
    start = a.data.copy()
    opt.step()
    np.testing.assert_allclose(a.data, start - a.grad)


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (np.ones((3, 1)), ValueError, r"gradient has shape \(3, 1\), the parameter \(2,\)"),
        (np.ones(2, dtype=np.int64), TypeError, "gradient is of type int64"),
        (np.ones(2, dtype=complex), TypeError, "gradient is of type complex128"),
        ([1.0, 1.0], TypeError, "must be a numpy.ndarray or an mlx.core.array, got builtins.list"),
    ],
)
def test_a_wrong_gradient_is_refused_before_anything_changes(make, grad, error, message):
    a, b = make((2,), (2,))
    opt = Adam([("first", a), ("second", b)])
    opt.step()
    before = snapshot(opt)
    b.grad = grad
    with pytest.raises(error, match=rf"Adam: group 0: parameter 1 \('second'\).*{message}"):
        opt.step()
    assert_unchanged(opt, before)


def test_weights_of_a_new_shape_are_refused_while_their_state_has_the_old(make):
    (a,) = make((2,))
    opt = Adam([a])
    opt.step()
    a.data, a.grad = np.ones((2, 2)), np.ones((2, 2))
    with pytest.raises(ValueError, match=r"shape \(2, 2\), but its state 'exp_avg' has shape"):
        opt.step()
    del opt.state[a]
    opt.step()


def test_stepping_without_parameters_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"constructed without parameters.*use update"):
        Adam().step()


def test_the_mlx_idiom_is_refused_when_there_are_parameters(make):
    with pytest.raises(RuntimeError, match="constructed with parameters, so call step"):
        Adam(make((2,))).init({})


def test_a_class_of_another_generation_is_refused_at_its_definition():
    with pytest.raises(ImportError, match="run `lucidgen build`"):
        type("Old", (Optimizer,), {"generation": 0})


def test_a_dialect_has_its_own_defaults_where_the_caller_gave_none(make):
    (a,) = make((2,))
    assert Adam([a], dialect="keras").param_groups[0]["eps"] == 1e-7
    assert Adam([a], dialect="keras", eps=1e-8).param_groups[0]["eps"] == 1e-8


def test_an_argument_that_a_dialect_does_not_have_is_refused(make):
    (a,) = make((2,))
    assert "amsgrad" not in Adam([a], dialect="keras", amsgrad=False).param_groups[0]
    with pytest.raises(ValueError, match="amsgrad=True is not part of the dialect 'keras'"):
        Adam([a], dialect="keras", amsgrad=True)


def test_an_argument_that_a_dialect_ignores_is_accepted_without_effect(make):
    (a,) = make((2,))
    opt = Adam([a], dialect="lucid2", amsgrad=True)
    opt.step()
    assert opt.param_groups[0]["amsgrad"] is True
    assert "max_exp_avg_sq" not in opt.state[a]


def test_schedulers_may_leave_notes_in_the_groups(make):
    (a,) = make((2,))
    opt = NAdam([a])
    opt.param_groups[0].setdefault("initial_lr", 0.1)
    opt.step()
    assert opt.param_groups[0]["initial_lr"] == 0.1
    assert opt.state[a]["step"] == 1


def test_no_warning_escapes_an_ordinary_step(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Adam(make((2,), ())).step()
    assert not caught
