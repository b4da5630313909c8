"""Steps that draw: the same numbers on every backend, in every order, layout and resumed run."""

from __future__ import annotations

import copy
import math
import os
import pickle
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGLD, NoisySGD
from lucidgen.runtime.backends.loops import pointer_table
from lucidgen.runtime.groups.streams import of_name, of_place
from lucidgen.verify.random_numbers import numbers

SHAPE = (37, 11)
#: With these, what is added to the weights in a step is the normal number, but for a rounding.
PLAIN = {"lr": 1.0, "data_size": 1e-30}

#: An author's optimizer in which draws stand at every place where they can.
EVERYWHERE = """
    '''Draws wherever they can stand.'''
    from lucidgen.spec import (
        Eq, OptimizerSpec, flag, grad, hyper, ndim, norm, normal, row_mean, series, t, uniform, w,
        when
    )
    lr = hyper("lr", 0.1, at_least=0)
    level = hyper("level", 0.5, special=0)
    loud = flag("loud", False)
    m, kept, length = series("m"), series("kept"), series("length")
    Everywhere = OptimizerSpec("Everywhere", (lr, level, loud), (
        Eq(m[1], normal()),
        Eq(m[t], m[t - 1] / 2 + when(uniform() < level / 2, grad[t], 0)),
        Eq(kept[t], kept[t - 1] / 3 + when(grad[t] > 0, uniform(), normal())),
        Eq(w[t], w[t - 1] - lr * (m[t] + kept[t]) + when(loud, level * normal(), 0)),
    ))
    Reducing = OptimizerSpec("Reducing", (lr,), (
        Eq(length[t], norm(normal())),
        Eq(w[t], w[t - 1] - lr * grad[t] / length[t]
           - when(ndim >= 2, row_mean(uniform()), 0) + uniform()),
    ), matrices="first")
"""


def stepped(cls, arrays, steps=3, names=None, **arguments):
    """The arrays after some steps; the gradient is 1 everywhere."""
    parameters = [Parameter(array) for array in arrays]
    given = parameters if names is None else list(zip(names, parameters, strict=True))
    optimizer = cls(given, **arguments)
    for _ in range(steps):
        step(optimizer, parameters)
    return [np.array(p.data) for p in parameters]


def step(optimizer, parameters):
    for p in parameters:
        p.grad = np.ones_like(p.data) if isinstance(p.data, np.ndarray) else mx.ones_like(p.data)
    optimizer.step()


def zeros(dtype=np.float32, order="C"):
    return [np.zeros(SHAPE, dtype, order=order), np.zeros(5, dtype), np.zeros((), dtype)]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_step_adds_the_numbers_of_seed_step_parameter_and_element():
    found = stepped(SGLD, zeros(np.float64), steps=2, kernel="numpy", seed=7, **PLAIN)
    for place, array in enumerate(found):
        of = [numbers("normal", 7, t, of_place(0, place), 0, array.size) for t in (1, 2)]
        assert np.array_equal(array.ravel(), np.array(of[0]) + np.array(of[1]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_and_loops_give_the_same_bits_whatever_the_layout(dtype, order):
    reference = stepped(SGLD, zeros(dtype), kernel="numpy", lr=0.1)
    for kernel in ("numpy", "cpp"):
        assert same(stepped(SGLD, zeros(dtype, order), kernel=kernel, lr=0.1), reference)


@pytest.mark.parametrize("kernel", ["mlx", "cpp"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_mlx_arrays_get_the_numbers_of_numpy_s(kernel, dtype):
    mx.disable_compile()
    try:
        arrays = [mx.array(array) for array in zeros(dtype)]
        found = stepped(SGLD, arrays, kernel=kernel, lr=0.1)
    finally:
        mx.enable_compile()
    assert same(found, stepped(SGLD, zeros(dtype), kernel="numpy", lr=0.1))


def test_parts_of_many_elements_have_the_numbers_of_the_whole():
    shape = (3, 70_001)  # more than a chunk, and than one thread is worth
    whole = np.array(numbers("normal", 0, 1, 0, 0, 9)).astype(np.float32)
    for kernel in ("numpy", "cpp"):
        (found,) = stepped(SGLD, [np.zeros(shape, np.float32)], 1, kernel=kernel, **PLAIN)
        assert np.array_equal(found.ravel()[:9], whole)
        (other,) = stepped(
            SGLD, [np.zeros(shape, np.float32, order="F")], 1, kernel=kernel, **PLAIN
        )
        assert np.array_equal(found, other)


def test_threads_make_no_difference(monkeypatch):
    shape, found = (401, 1003), []
    for threads in ("1", "3"):
        monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", threads)
        pointer_table.threads.cache_clear()
        found.append(stepped(SGLD, [np.zeros(shape, np.float32)], 1, kernel="cpp"))
    pointer_table.threads.cache_clear()
    assert same(*found)


def test_bfloat16_rounds_what_float32_computes():
    arrays = [mx.zeros(SHAPE, dtype=mx.bfloat16)]
    found = [Parameter(array) for array in arrays]
    step(SGLD(found, kernel="cpp", **PLAIN), found)
    (wide,) = stepped(SGLD, [np.zeros(SHAPE, np.float32)], 1, kernel="numpy", **PLAIN)
    assert mx.array_equal(found[0].data, mx.array(wide).astype(mx.bfloat16)).item()


# Order, groups, names


def test_a_named_parameter_has_its_numbers_in_any_order_and_group():
    names = ["a", "b", "c"]
    first = stepped(SGLD, zeros(), names=names, kernel="numpy")
    turned = stepped(SGLD, zeros()[::-1], names=names[::-1], kernel="numpy")
    assert same(first, turned[::-1])
    parameters = [Parameter(array) for array in zeros()]
    pairs = list(zip(names, parameters, strict=True))
    grouped = SGLD([{"params": pairs[1:]}, {"params": pairs[:1]}], kernel="numpy")
    for _ in range(3):
        step(grouped, parameters)
    assert same(first, [p.data for p in parameters])


def test_a_group_that_is_added_changes_no_other_numbers():
    alone = stepped(SGLD, zeros(), kernel="numpy")
    parameters = [Parameter(array) for array in zeros()]
    optimizer = SGLD(parameters, kernel="numpy")
    step(optimizer, parameters)
    late = Parameter(np.zeros(SHAPE, np.float32))
    optimizer.add_param_group({"params": [late]})
    for _ in range(2):
        step(optimizer, [*parameters, late])
    assert same(alone, [p.data for p in parameters])
    assert not np.array_equal(late.data, parameters[0].data)


def test_a_parameter_without_a_gradient_makes_no_step_and_changes_no_other():
    alone = stepped(SGLD, zeros(), kernel="numpy")
    parameters = [Parameter(array) for array in zeros()]
    optimizer = SGLD(parameters, kernel="numpy")
    step(optimizer, parameters[1:])
    parameters[1].grad = parameters[2].grad = None
    parameters[0].grad = np.ones(SHAPE, np.float32)
    optimizer.step()
    for p in parameters:
        p.grad = np.ones_like(p.data)
    optimizer.step()
    optimizer.step()
    # Each has made three steps, not all of them the same.
    assert same(alone, [p.data for p in parameters])


def test_groups_can_differ_in_their_seed():
    a, b = (Parameter(np.zeros(8, np.float32)) for _ in range(2))
    optimizer = SGLD([{"params": [("x", a)], "seed": 3}, {"params": [("y", b)]}], **PLAIN)
    step(optimizer, [a, b])
    for seed, name, p in ((3, "x", a), (0, "y", b)):
        expected = numbers("normal", seed, 1, of_name(name), 0, 8)
        assert np.array_equal(p.data, np.array(expected, np.float32))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "0", None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises((TypeError, ValueError), match="SGLD: seed must be"):
        SGLD([Parameter(np.zeros(2))], seed=seed)


# Resuming


def resumed(optimizer, parameters):
    """Pairs of an optimizer and parameters that go on from there, made in every way there is."""
    pickled = pickle.loads(pickle.dumps((optimizer, parameters)))
    copied = copy.deepcopy((optimizer, parameters))
    fresh = [Parameter(p.data.copy()) for p in parameters]
    loaded = SGLD(fresh, kernel="numpy")
    loaded.load_state_dict(optimizer.state_dict())
    return [(optimizer, parameters), pickled, copied, (loaded, fresh)]


def test_a_run_that_is_resumed_draws_what_it_would_have_drawn(tmp_path):
    parameters = [Parameter(array) for array in zeros()]
    optimizer = SGLD(parameters, kernel="numpy", seed=2**64 - 1)
    step(optimizer, parameters)
    optimizer.save(tmp_path / "state.safetensors")
    fresh = [Parameter(p.data.copy()) for p in parameters]
    from_file = SGLD(fresh, kernel="numpy")
    from_file.load(tmp_path / "state.safetensors")
    runs = [*resumed(optimizer, parameters), (from_file, fresh)]
    for other, own in runs:
        assert other.param_groups[0]["seed"] == 2**64 - 1
        step(other, own)
    whole = stepped(SGLD, zeros(), 2, kernel="numpy", seed=2**64 - 1)
    for _, own in runs:
        assert same([p.data for p in own], whole)


def test_a_state_dict_without_a_seed_keeps_the_one_there_is():
    parameters = [Parameter(np.zeros(3))]
    optimizer = SGLD(parameters, seed=5)
    saved = optimizer.state_dict()
    del saved["param_groups"][0]["seed"]
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["seed"] == 5


# Trees, and steps that are captured whole

TREE = {"a": mx.zeros(SHAPE), "b": [mx.zeros(5)]}
ONES = {"a": mx.ones(SHAPE), "b": [mx.ones(5)]}


def of_trees(captured, steps=3):
    optimizer, tree = SGLD(lr=0.1, seed=4), TREE
    optimizer.init(tree)

    def update(tree, grads):
        return optimizer.apply_gradients(grads, tree)

    if captured:
        update = mx.compile(update, inputs=[optimizer.state], outputs=[optimizer.state])
    found = []
    for _ in range(steps):
        tree = update(tree, ONES)
        mx.eval(tree, optimizer.state)
        found.append([np.array(tree["a"]), np.array(tree["b"][0])])
    return optimizer, found


def test_a_captured_step_draws_fresh_numbers_those_of_named_parameters():
    _, eager = of_trees(captured=False)
    _, captured = of_trees(captured=True)
    for n in range(3):
        given = [np.zeros(SHAPE, np.float32), np.zeros(5, np.float32)]
        named = stepped(SGLD, given, n + 1, names=["a", "b.0"], kernel="numpy", lr=0.1, seed=4)
        assert same(eager[n], named)
        for a, b in zip(captured[n], named, strict=True):
            # lr is an array there, and its root taken in another type.
            assert np.allclose(a, b, rtol=1e-6, atol=1e-6)


def test_the_seed_cannot_change_under_a_captured_step():
    optimizer, _ = of_trees(captured=True, steps=1)
    with pytest.raises(RuntimeError, match="seed cannot change after the step was traced"):
        optimizer.param_groups[0]["seed"] = 9


# Optimizers


def test_sgld_without_temperature_goes_downhill_and_draws_nothing():
    (found,) = stepped(SGLD, [np.zeros(4)], 2, lr=0.5, temperature=0.0)
    assert np.array_equal(found, np.full(4, -0.5))


def test_sgld_samples_from_the_posterior():
    # A normal distribution, whose negative log likelihood has the gradient w: with steps of h the
    # walk has the variance 1 / (1 - h / 4), and forgets half of what it was in 2 ln 2 / h steps.
    h, chains = 0.1, 100_000
    p = Parameter(np.zeros(chains))
    optimizer = SGLD([p], lr=h, seed=11)
    for _ in range(200):
        p.grad = p.data.copy()
        optimizer.step()
    variance = (1 - (1 - h / 2) ** 400) / (1 - h / 4)
    assert abs(p.data.mean()) < 5 * math.sqrt(variance / chains)
    assert abs(p.data.var() - variance) < 5 * variance * math.sqrt(2 / chains)


def test_noisy_gradients_have_the_variance_of_the_paper_s_and_of_optax_s():
    recorded = np.load(Path(__file__).with_name("recorded_optax.npz"))
    many, eta, gamma = int(recorded["many"]), float(recorded["eta"]), float(recorded["gamma"])
    p = Parameter(np.zeros(many))
    optimizer = NoisySGD([p], lr=1.0, eta=eta, gamma=gamma)
    for t, other in enumerate(recorded["variance"], start=1):
        before = p.data.copy()
        step(optimizer, [p])
        noise, variance = before - p.data - 1, eta / t**gamma
        limit = 5 * variance * math.sqrt(2 / many)
        assert abs(noise.mean()) < 5 * math.sqrt(variance / many)
        assert abs(noise.var() - variance) < limit
        assert abs(noise.var() - other) < math.sqrt(2) * limit


# An author's


@pytest.mark.parametrize("loud", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_stand_wherever_they_can_with_the_same_bits(built, loud, dtype):
    cls = built(EVERYWHERE).Everywhere
    arguments = {"loud": loud, "level": 0.7}
    reference = stepped(cls, zeros(dtype), 4, kernel="numpy", **arguments)
    assert same(reference, stepped(cls, zeros(dtype), 4, kernel="cpp", **arguments))
    assert same(reference, stepped(cls, zeros(dtype, "F"), 4, kernel="cpp", **arguments))
    if dtype == "float32":
        mx.disable_compile()
        arrays = [mx.array(array) for array in zeros()]
        found = stepped(cls, arrays, 4, kernel="mlx", **arguments)
        mx.enable_compile()
        assert same(reference, found)


def test_what_reduces_draws_for_each_layout_alike(built):
    cls = built(EVERYWHERE).Reducing
    shapes = ((4, 3, 5), (6, 2), (7,))
    for order in "CF":
        arrays = [np.zeros(shape, order=order) for shape in shapes]
        found = stepped(cls, arrays, 2)
        if order == "C":
            reference = found
        for a, b in zip(found, reference, strict=True):
            assert np.allclose(a, b, rtol=1e-13, atol=1e-13)
    mx.disable_compile()
    on_mlx = stepped(cls, [mx.zeros(shape) for shape in shapes], 2, kernel="mlx")
    mx.enable_compile()
    for a, b in zip(on_mlx, reference, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


DEAD = """
    '''The first draw is read in one case only, and then it is not the first.'''
    from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, normal, series, t, uniform, w
    lr, level = hyper("lr", 0.0), hyper("level", 0.0, special=0)
    unread, first, second = series("unread"), series("first"), series("second", keep=True)
    Dead = OptimizerSpec("Dead", (lr, level), (
        Eq(unread[t], normal()),
        Eq(first[t], uniform()),
        Eq(second[t], normal()),
        Eq(w[t], w[t - 1] - lr * grad[t] + level * first[t]),
    ))
"""


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_a_draw_keeps_its_number_whatever_becomes_of_others(built, kernel):
    p = Parameter(np.zeros(6))
    optimizer = built(DEAD).Dead([p], kernel=kernel)
    step(optimizer, [p])
    expected = numbers("normal", 0, 1, 0, 2, 6)
    assert np.array_equal(optimizer.state[p]["second"], np.array(expected))
