"""Steps on NumPy parameters."""

import copy
import gc

import formulas
import numpy as np
import pytest
from handwritten import SGD, Adam, Clipped, NAdam, Slow

from lucidgen import optim
from lucidgen.runtime import Parameter
from lucidgen.runtime.backends.numpy import CHUNK

SHAPES = [(3, 4), (), (5,), (2, 3, 2)]


def run(optimizer, params, gradients):
    for grads in gradients:
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        optimizer.step()


def gradients_for(params, rng, steps=8, dtype=np.float64):
    return [
        [np.asarray(rng.standard_normal(p.data.shape), dtype=dtype) for p in params]
        for _ in range(steps)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"amsgrad": True},
        {"maximize": True, "weight_decay": 0.1, "amsgrad": True},
    ],
)
def test_adam_computes_what_torch_does(make, rng, options):
    params = make(*SHAPES)
    starts = [p.data.copy() for p in params]
    grads = gradients_for(params, rng)
    run(Adam(params, lr=0.01, **options), params, grads)
    for i, p in enumerate(params):
        expected = formulas.adam(
            starts[i],
            [g[i] for g in grads],
            lr=0.01,
            decay=options.get("weight_decay", 0.0),
            amsgrad=options.get("amsgrad", False),
            sign=-1.0 if options.get("maximize") else 1.0,
        )
        np.testing.assert_allclose(p.data, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"momentum": 0.9, "weight_decay": 0.1, "maximize": True},
    ],
)
def test_sgd_computes_what_torch_does(make, rng, options):
    params = make(*SHAPES)
    starts = [p.data.copy() for p in params]
    grads = gradients_for(params, rng)
    run(SGD(params, lr=0.01, **options), params, grads)
    known = dict(options)
    sign = -1.0 if known.pop("maximize", False) else 1.0
    known["decay"] = known.pop("weight_decay", 0.0)
    for i, p in enumerate(params):
        expected = formulas.sgd(starts[i], [g[i] for g in grads], lr=0.01, sign=sign, **known)
        np.testing.assert_allclose(p.data, expected, rtol=1e-12, atol=1e-14)


def test_momentum_switched_on_midway_starts_its_buffer_as_the_gradient(make, rng):
    (p,) = make((4,))
    opt = SGD([p], lr=0.1)
    opt.step()
    assert not opt.state[p]
    opt.param_groups[0]["momentum"] = 0.9
    p.grad = rng.standard_normal(4)
    opt.step()
    np.testing.assert_array_equal(opt.state[p]["momentum_buffer"], p.grad)
    first = p.grad
    p.grad = rng.standard_normal(4)
    opt.step()
    np.testing.assert_allclose(opt.state[p]["momentum_buffer"], 0.9 * first + p.grad)


def test_a_state_that_is_switched_off_is_kept_untouched(make):
    (p,) = make((4,))
    opt = SGD([p], lr=0.1, momentum=0.9)
    opt.step()
    kept = opt.state[p]["momentum_buffer"].copy()
    opt.param_groups[0]["momentum"] = 0.0
    opt.step()
    np.testing.assert_array_equal(opt.state[p]["momentum_buffer"], kept)


def test_amsgrad_state_exists_only_when_asked_for(make):
    (p,) = make((4,))
    opt = Adam([p])
    opt.step()
    assert set(opt.state[p]) == {"step", "exp_avg", "exp_avg_sq"}
    opt.param_groups[0]["amsgrad"] = True
    opt.step()
    assert "max_exp_avg_sq" in opt.state[p]


def test_a_parameter_without_gradient_is_skipped_and_does_not_advance(make):
    a, b = make((2,), (2,))
    opt = Adam([a, b])
    opt.step()
    kept = b.data.copy()
    b.grad = None
    opt.step()
    np.testing.assert_array_equal(b.data, kept)
    assert (opt.state[a]["step"], opt.state[b]["step"]) == (2, 1)


def test_sgd_saves_no_step_count(make):
    (p,) = make((2,))
    opt = SGD([p], momentum=0.9)
    opt.step()
    assert set(opt.state[p]) == {"momentum_buffer"}


def test_scalar_states_follow_each_parameter(make):
    a, b = make((2,), (2,))
    opt = NAdam([a, b])
    opt.step()
    b.grad = None
    opt.step()
    assert type(opt.state[a]["mu_product"]) is float
    assert opt.state[a]["mu_product"] < opt.state[b]["mu_product"] < 1


def test_a_start_like_the_weights_is_a_copy_of_them(make):
    (p,) = make((3,))
    start = p.data.copy()
    opt = Slow([p], lr=0.1)
    opt.step()
    np.testing.assert_array_equal(p.data, start)
    np.testing.assert_array_equal(opt.state[p]["ax"], start)
    assert not np.shares_memory(opt.state[p]["ax"], p.data)
    opt.step()
    assert not np.array_equal(p.data, start)


def test_a_reduction_sees_the_whole_tensor_however_large(rng):
    p = Parameter(np.zeros(3 * CHUNK + 5))
    p.grad = rng.standard_normal(p.data.shape)
    opt = Clipped([p], lr=1.0, beta=0.0)
    opt.step()
    assert opt.state[p]["scale"].shape == ()
    np.testing.assert_allclose(opt.state[p]["scale"], np.linalg.norm(p.grad))


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_are_updated_in_chunks_with_the_same_result(rng, order):
    data = np.array(rng.standard_normal((500, 601)), order=order)
    grads = [np.array(rng.standard_normal(data.shape), order=o) for o in "CFC"]
    p = Parameter(data)
    opt = Adam([p], lr=0.1)
    run(opt, [p], [[g] for g in grads])
    np.testing.assert_allclose(p.data, formulas.adam(data, grads, lr=0.1), 1e-12, 1e-14)
    assert p.data.flags.f_contiguous == (order == "F")


def test_weights_that_are_neither_c_nor_fortran_ordered_work(rng):
    data = rng.standard_normal((3, 4, 5)).transpose(1, 0, 2)
    grads = [rng.standard_normal((8, 3, 5))[::2] for _ in range(3)]
    p = Parameter(data)
    run(Adam([p], lr=0.1), [p], [[g] for g in grads])
    np.testing.assert_allclose(p.data, formulas.adam(data, grads, lr=0.1), 1e-12, 1e-14)


def test_an_empty_parameter_is_stepped_without_complaint():
    p = Parameter(np.zeros((0, 3)))
    p.grad = np.zeros((0, 3))
    for cls in (Adam, Clipped):
        cls([p]).step()
    assert p.data.shape == (0, 3)


def test_the_callers_array_is_never_touched_and_updates_are_in_place_after(make):
    (p,) = make((3,))
    mine = p.data
    kept = mine.copy()
    opt = Adam([p])
    opt.step()
    private = p.data
    np.testing.assert_array_equal(mine, kept)
    opt.step()
    assert p.data is private


def test_newly_assigned_data_is_noticed_and_not_touched(make):
    (p,) = make((3,))
    opt = SGD([p], lr=1.0)
    opt.step()
    loaded = np.full(3, 5.0)
    p.data = loaded
    opt.step()
    np.testing.assert_array_equal(loaded, np.full(3, 5.0))
    np.testing.assert_allclose(p.data, 5.0 - p.grad)


def test_two_optimizers_over_one_model_share_its_private_arrays(make):
    (p,) = make((3,))
    one, other = Adam([p]), SGD([p])
    one.step()
    private = p.data
    other.step()
    one.step()
    assert p.data is private


def test_an_array_that_is_private_to_one_parameter_is_copied_for_another(make):
    a, b = make((3,), (3,))
    opt = SGD([a, b], lr=1.0)
    opt.step()
    b.data = a.data
    opt.step()
    assert not np.shares_memory(a.data, b.data)


def test_private_arrays_are_forgotten_with_their_parameters(make):
    from lucidgen.runtime.backends import numpy_arrays

    gc.collect()
    before = len(numpy_arrays._made)
    (p,) = make((3,))
    opt = SGD([p])
    opt.step()
    assert len(numpy_arrays._made) == before + 1
    del p, opt
    gc.collect()
    assert len(numpy_arrays._made) == before


def test_parameters_that_allow_no_weak_references_work():
    class Bare:
        __slots__ = ("data", "grad")

    p = Bare()
    p.data, p.grad = np.ones(3), np.ones(3)
    one, other = SGD([p], lr=0.5), SGD([p], lr=0.5)
    one.step()
    private = p.data
    other.step()
    assert p.data is private
    np.testing.assert_array_equal(p.data, np.zeros(3))


def test_deepcopied_parameters_get_arrays_of_their_own(make):
    (p,) = make((3,))
    opt = Adam([p])
    opt.step()
    model, twin = copy.deepcopy(([p], opt))
    kept = p.data.copy()
    twin.step()
    np.testing.assert_array_equal(p.data, kept)
    assert not np.array_equal(model[0].data, kept)


def test_gradients_are_never_written_to(make):
    params = make((3,), (4, 2))
    before = [p.grad.copy() for p in params]
    for options in ({}, {"maximize": True, "weight_decay": 0.1}):
        for p in params:
            p.grad.flags.writeable = False
        opt = Adam(params, **options)
        opt.step()
        opt.step()
    for p, grad in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


def test_compiled_loops_never_write_to_gradients(make):
    # A loop in C++ would not be stopped by an array that is not writeable: compare the values.
    params = make((3,), (4, 2))
    before = [p.grad.copy() for p in params]
    opt = optim.Adam(params, maximize=True, weight_decay=0.1, kernel="cpp")
    opt.step()
    opt.step()
    for p, grad in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


def test_one_gradient_array_may_serve_two_parameters(make):
    a, b = make((3,), (3,))
    b.grad = a.grad
    b.data = a.data.copy()
    Adam([a, b], maximize=True).step()
    np.testing.assert_array_equal(a.data, b.data)


def test_a_float64_gradient_of_float32_weights_is_cast(make):
    (p,) = make((3,), dtype=np.float32)
    p.grad = p.grad.astype(np.float64)
    opt = Adam([p])
    opt.step()
    assert p.data.dtype == np.float32
    assert opt.state[p]["exp_avg"].dtype == np.float32


def test_a_numpy_number_as_lr_does_not_promote_float32(make):
    (p,) = make((3,), dtype=np.float32)
    opt = SGD([p], lr=np.float64(0.1), momentum=np.array(0.9))
    opt.step()
    opt.param_groups[0]["lr"] = np.float64(0.2)
    opt.step()
    assert p.data.dtype == np.float32
    assert type(opt.param_groups[0]["lr"]) is float


def test_float16_is_computed_in_float32_and_stored_in_float16(rng):
    start = rng.standard_normal(5).astype(np.float16)
    grads = [(rng.standard_normal(5) * 1e-3).astype(np.float16) for _ in range(4)]
    p = Parameter(start)
    opt = Adam([p], lr=0.01)
    run(opt, [p], [[g] for g in grads])
    assert p.data.dtype == opt.state[p]["exp_avg_sq"].dtype == np.float16
    assert np.isfinite(p.data).all()


def test_a_zero_dimensional_gradient_may_be_a_numpy_scalar():
    p = Parameter(np.array(1.0))
    p.grad = np.float64(0.5)
    SGD([p], lr=1.0).step()
    assert isinstance(p.data, np.ndarray)
    assert p.data == 0.5


def test_the_state_follows_a_cast_of_the_weights(make):
    (p,) = make((3,), dtype=np.float32)
    opt = Adam([p])
    opt.step()
    before = opt.state[p]["exp_avg"].copy()
    p.data, p.grad = p.data.astype(np.float64), np.zeros(3)
    opt.step()
    assert opt.state[p]["exp_avg"].dtype == np.float64
    np.testing.assert_allclose(opt.state[p]["exp_avg"], 0.9 * before, rtol=1e-6)


def test_a_state_array_that_the_user_replaces_is_used(make):
    (p,) = make((3,))
    opt = SGD([p], lr=1.0, momentum=0.5)
    opt.step()
    opt.state[p]["momentum_buffer"] = np.zeros(3)
    before = p.data.copy()
    opt.step()
    np.testing.assert_allclose(p.data, before - p.grad)


def test_a_state_that_the_user_removes_starts_afresh(make):
    (p,) = make((3,))
    opt = Adam([p])
    opt.step()
    del opt.state[p]
    opt.step()
    assert opt.state[p]["step"] == 1
    opt.state.clear()
    opt.step()
    assert opt.state[p]["step"] == 1


def test_hostile_gradients_raise_no_warning():
    p = Parameter(np.ones(4))
    p.grad = np.array([0.0, np.inf, np.nan, 1e308])
    opt = Adam([p], eps=0.0)
    opt.step()
    assert np.isnan(p.data[2])
