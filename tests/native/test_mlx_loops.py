"""Compiled loops on MLX arrays: the same bits as on NumPy's, and nobody's array changes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from operator import ne
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.runtime import mlx_native
from lucidgen.spec import OptimizerSpec
from lucidgen.specs.adam import Adam, AdamW
from lucidgen.specs.nadam import NAdam
from lucidgen.specs.radam import RAdam
from lucidgen.specs.sgd import SGD
from lucidgen.verify.emitted import arguments, settings

READINGS = [
    pytest.param(main, spec, id=f"{main.name}-{name}")
    for main in (SGD, Adam, AdamW, NAdam, RAdam)
    for name, spec in main.readings.items()
]

LARGE = 2 * mlx_native.SMALL

#: On either side of the size from which on weights stay in place, and shapes that are special.
SHAPES = [(), (1,), (0, 3), (7,), (4, 3, 5), (64, 64), (65, 64), (2, LARGE // 2, 3)]


def values(seed: int, shape: tuple[int, ...] = (LARGE,)) -> Any:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def parameter(shape: tuple[int, ...] = (LARGE,), seed: int = 0) -> Parameter:
    return Parameter(mx.array(values(seed, shape)))


def as_numpy(array: mx.array) -> Any:
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)


def steps(optimizer: Any, parameters: list[Parameter], count: int = 1) -> None:
    for step in range(count):
        for p in parameters:
            p.grad = mx.array(values(step, p.data.shape))
        optimizer.step()


def trained(which: Callable[[Any], Any], cls: Any, count: int = 5, **chosen: Any) -> list[Any]:
    """Weights and states after some steps on arrays of one library."""
    parameters = [Parameter(which(values(i, shape))) for i, shape in enumerate(SHAPES)]
    optimizer = cls(parameters, kernel="cpp", **chosen)
    for step in range(count):
        for i, p in enumerate(parameters):
            missing = (step, i) == (3, 4)
            p.grad = None if missing else which(values(100 * step + i, SHAPES[i]))
        optimizer.step()
    states = [optimizer.state[p] for p in parameters]
    return [p.data for p in parameters] + [v for s in states for v in s.values()]


@pytest.mark.parametrize(("main", "spec"), READINGS)
def test_a_loop_gives_what_it_gives_on_numpy_for_every_static_choice(
    main: OptimizerSpec, spec: OptimizerSpec
) -> None:
    cls = getattr(optim, main.name)
    for setting in settings(spec, main):
        chosen = {"dialect": spec.reading, **arguments(setting, main)}
        ours, theirs = trained(mx.array, cls, **chosen), trained(np.asarray, cls, **chosen)
        for mine, other in zip(ours, theirs, strict=True):
            assert np.array_equal(np.array(mine), np.asarray(other), equal_nan=True)


# Whoever holds what a step updates

HOLDERS: dict[str, Callable[[mx.array], Any]] = {
    "name": lambda w: w,
    "deepcopy": copy.deepcopy,
    "view": lambda w: w[1:],
    "evaluated view": lambda w: evaluated(w[1:]),
    "reshaped": lambda w: evaluated(w.reshape(-1)),
    "detached": lambda w: evaluated(mx.stop_gradient(w)),
    "lazy": lambda w: w * 2,
    "lazy copy": mx.array,
    "NumPy": lambda w: np.array(w, copy=False),
    "buffer": memoryview,
    "DLPack": np.from_dlpack,
}


def evaluated(array: mx.array) -> mx.array:
    mx.eval(array)
    return array


def expected(name: str, before: Any) -> Any:
    if "view" in name:
        return before[1:]
    return before * 2 if name == "lazy" else before.reshape(-1) if name == "reshaped" else before


@pytest.mark.parametrize("size", [8, LARGE])
@pytest.mark.parametrize("name", HOLDERS)
def test_what_was_taken_of_weights_before_a_step_is_unchanged(name: str, size: int) -> None:
    p, twin = parameter((size,)), Parameter(values(0, (size,)))
    optimizer, reference = optim.AdamW([p], kernel="cpp"), optim.AdamW([twin], kernel="cpp")
    for step in range(4):
        before = np.array(p.data)
        held = HOLDERS[name](p.data)
        p.grad, twin.grad = mx.array(values(step, (size,))), values(step, (size,))
        optimizer.step()
        reference.step()
        assert np.array_equal(np.array(p.data), twin.data), "the step itself is right"
        assert not np.array_equal(np.array(p.data), before)
        assert np.array_equal(np.array(held), expected(name, before))
        del held


@pytest.mark.parametrize("size", [8, LARGE])
@pytest.mark.parametrize("name", HOLDERS)
def test_what_was_taken_of_a_state_before_a_step_is_unchanged(name: str, size: int) -> None:
    p = parameter((size,))
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 2)
    for _ in range(3):
        array = optimizer.state[p]["exp_avg"]
        before, held = np.array(array), HOLDERS[name](array)
        del array
        steps(optimizer, [p], 2)
        assert not np.array_equal(np.array(optimizer.state[p]["exp_avg"]), before)
        assert np.array_equal(np.array(held), expected(name, before))


@pytest.mark.parametrize("by", ["reading", "setting", "replacing"])
def test_a_state_that_is_kept_gives_what_is_current_and_what_it_gave_stays(by: str) -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p])
    if by == "reading":
        state = optimizer.state[p]
    else:
        state = dict(optimizer.state_dict()["state"][0])
        if by == "setting":
            optimizer.state[p] = state
        else:
            optimizer.state = {p: state}
    seen = []
    for _ in range(5):
        steps(optimizer, [p], 2)
        array = state["exp_avg"]
        seen.append((array, array * 2, np.array(array)))
    for array, lazy, then in seen:
        assert np.array_equal(np.array(array), then)
        assert np.array_equal(np.array(lazy), then * 2)
    assert len({then.tobytes() for _, _, then in seen}) == 5, "it was current each time"


@pytest.mark.parametrize(
    "read",
    [
        lambda o, p: o.state.get(p),
        lambda o, p: dict(o.state)[p],
        lambda o, p: next(iter(o.state.values())),
        lambda o, p: copy.copy(o.state)[p],
        lambda o, p: copy.deepcopy((o, p))[0].state.popitem()[1],
        lambda o, p: pickle.loads(pickle.dumps((o, p)))[0].state.popitem()[1],
        lambda o, p: o.state_dict()["state"][0],
        lambda o, p: vars(copy.copy(o))["_states"][p],
    ],
)
def test_a_state_is_safe_by_whatever_way_it_was_read(read: Callable[[Any, Any], Any]) -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 3)
    array = read(optimizer, p)["exp_avg"]
    before = np.array(optimizer._states.slots[id(p)].entry["exp_avg"])
    steps(optimizer, [p], 3)
    assert np.array_equal(np.array(array), before)


def test_copies_of_an_optimizer_go_their_own_ways() -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 3)
    others = [copy.deepcopy((optimizer, p)), pickle.loads(pickle.dumps((optimizer, p)))]
    steps(optimizer, [p], 2)
    after = np.array(p.data)
    for other, q in others:
        assert not np.array_equal(np.array(q.data), after)
        steps(other, [q], 2)
        assert np.array_equal(np.array(q.data), after)
        steps(other, [q], 2)
    assert np.array_equal(np.array(p.data), after)


def test_a_loaded_state_dict_is_not_written_to() -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 2)
    saved = optimizer.state_dict()
    before = np.array(saved["state"][0]["exp_avg"])
    for _ in range(2):
        optimizer.load_state_dict(saved)
        steps(optimizer, [p], 2)
        assert np.array_equal(np.array(saved["state"][0]["exp_avg"]), before)


# Arrays that share


def test_parameters_that_share_an_array_or_its_memory_are_updated_apart() -> None:
    whole = mx.array(values(0, (2 * LARGE,)))
    mx.eval(whole)
    parameters = [Parameter(w) for w in (whole, whole, whole[:LARGE], whole[LARGE:])]
    mx.eval([p.data for p in parameters])
    twins = [Parameter(np.array(p.data)) for p in parameters]
    optimizer, reference = optim.Adam(parameters, kernel="cpp"), optim.Adam(twins, kernel="cpp")
    for step in range(3):
        for i, (p, q) in enumerate(zip(parameters, twins, strict=True)):
            q.grad = values(10 * step + i, q.data.shape)
            p.grad = mx.array(q.grad)
        optimizer.step()
        reference.step()
        for p, q in zip(parameters, twins, strict=True):
            assert np.array_equal(np.array(p.data), q.data)
        parameters[0].data = parameters[1].data
        twins[0].data = twins[1].data.copy()
    assert np.array_equal(np.array(whole), values(0, (2 * LARGE,)))


@pytest.mark.parametrize("size", [8, LARGE])
def test_a_gradient_may_be_the_weights_a_state_or_made_of_them(size: int) -> None:
    def of(grads: int, p: Any, q: Any, state: Any) -> Any:
        return (p.data, q.data, p.data * 3, p.data[::-1], state, state[::-1], state - q.data)[grads]

    for which in range(7):
        results = []
        for make in (mx.array, np.array):
            p, q = (Parameter(make(values(i, (size,)))) for i in (0, 1))
            optimizer = optim.Adam([p, q], kernel="cpp")
            for step in range(4):
                state = optimizer.state[p].get("exp_avg", p.data)
                grad = of(which, p, q, state)
                p.grad = grad if make is mx.array else np.array(grad)
                q.grad = p.grad if step % 2 else make(values(step, (size,)))
                del grad, state
                optimizer.step()
            results.append([np.array(x.data) for x in (p, q)])
        for ours, theirs in zip(*results, strict=True):
            assert np.array_equal(ours, theirs), which


def test_two_optimizers_share_a_model() -> None:
    results = []
    for make in (mx.array, np.array):
        p = Parameter(make(values(0)))
        one = optim.AdamW([p], kernel="cpp")
        two = optim.SGD([p], lr=0.1, momentum=0.9, kernel="cpp")
        for step in range(6):
            p.grad = make(values(step))
            (one, two)[step % 2].step()
        results.append(np.array(p.data))
    assert np.array_equal(*results)


# Arrays of every kind


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.T,
        lambda w: w[::-1],
        lambda w: w[:, ::2],
        lambda w: mx.broadcast_to(w[:1], w.shape),
        lambda w: mx.broadcast_to(w[0, 0], w.shape),
        lambda w: w + 1,
    ],
)
@pytest.mark.parametrize("side", [8, 80])
def test_weights_and_gradients_lie_in_memory_as_they_like(
    change: Callable[[mx.array], mx.array], side: int
) -> None:
    start = change(mx.array(values(0, (side, side))))
    p, twin = Parameter(start), Parameter(np.array(start))
    optimizer, reference = optim.AdamW([p], kernel="cpp"), optim.AdamW([twin], kernel="cpp")
    for step in range(3):
        p.grad = change(mx.array(values(step, (side, side))))
        twin.grad = np.array(p.grad)
        optimizer.step()
        reference.step()
        assert np.array_equal(np.array(p.data), twin.data)
        assert np.array_equal(np.array(start), np.array(change(mx.array(values(0, (side, side))))))
        p.data[:] = mx.contiguous(p.data.T).T  # the same object and values, in another order


@pytest.mark.parametrize("shape", [(), (5,), (3, LARGE)])
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float64])
def test_other_types_are_stored_as_they_are(dtype: Any, shape: tuple[int, ...]) -> None:
    ours, theirs = (Parameter(mx.array(values(0, shape)).astype(dtype)) for _ in range(2))
    one, two = optim.Adam([ours], kernel="cpp"), optim.Adam([theirs], kernel="mlx")
    mx.disable_compile()
    for step in range(4):
        other = (dtype, mx.float32, mx.bfloat16, mx.float16)[step]
        ours.grad = theirs.grad = mx.array(values(step, shape)).astype(other)
        one.step()
        two.step()
    mx.enable_compile()
    for x, y in ((ours.data, theirs.data), (one.state[ours], two.state[theirs])):
        pairs = [(x, y)] if isinstance(x, mx.array) else [(x[k], y[k]) for k in x if k != "step"]
        for mine, other in pairs:
            assert mine.dtype == other.dtype == dtype
            unit = {mx.float16: 2**-10, mx.bfloat16: 2**-7, mx.float64: 2**-50}[dtype]
            np.testing.assert_allclose(as_numpy(mine), as_numpy(other), rtol=4 * unit, atol=1e-9)


def test_bfloat16_gradients_serve_float32_weights() -> None:
    p, twin = parameter(), Parameter(values(0))
    for q in (p, twin):
        grad = mx.array(values(1)).astype(mx.bfloat16)
        q.grad = grad if q is p else np.array(grad.astype(mx.float32))
        optim.SGD([q], lr=0.1, kernel="cpp").step()
    assert np.array_equal(np.array(p.data), twin.data)


def test_what_changes_in_place_is_noticed() -> None:
    p = parameter((3, 4))
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5, kernel="cpp")
    p.grad = mx.ones((3, 4))
    optimizer.step()
    p.data[0] = 7.0
    optimizer.state[p]["momentum_buffer"] *= 4
    optimizer.step()
    assert p.data[0].tolist() == [7 - 0.5 * (0.5 * 4 + 1)] * 4
    half = Parameter(mx.ones(3, mx.float16))
    optimizer = optim.SGD([half], lr=0.5, momentum=0.5, kernel="cpp")
    half.grad = mx.ones(3, mx.float16)
    optimizer.step()
    half.data += mx.ones(3)  # it is float32 from here on
    assert half.data.dtype == mx.float32
    optimizer.step()
    assert half.data.tolist() == [0.5 + 1 - 0.5 * 1.5] * 3
    assert optimizer.state[half]["momentum_buffer"].dtype == mx.float32


# What a step costs, and what happens when it fails


def addresses(*arrays: mx.array) -> list[int]:
    return [mlx_native.address(array) for array in arrays]


def test_large_weights_and_states_stay_in_place_when_nobody_holds_them() -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 2)
    slot = optimizer._states.slots[id(p)]

    def where() -> list[int]:
        return addresses(p.data, *(array for _, array in slot.sources))

    before = where()
    steps(optimizer, [p], 2)
    assert where() == before
    optimizer.state_dict()
    steps(optimizer, [p])
    after = where()
    assert all(map(ne, after, before)), "what was read is copied once"
    steps(optimizer, [p], 2)
    assert where() == after, "and then it stays again"


def test_a_step_needs_no_memory_beyond_its_arrays() -> None:
    parameters = [parameter((1000, 1000), i) for i in range(4)]
    optimizer = optim.AdamW(parameters, kernel="cpp")
    steps(optimizer, parameters, 2)
    for p in parameters:
        p.grad = mx.ones_like(p.data)
    mx.eval([p.grad for p in parameters])
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    optimizer.step()
    assert mx.get_peak_memory() - before < 4 * 2**20, "not one array more"


def test_mlx_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = [parameter((size,)) for size in (3, LARGE)]
    optimizer = optim.AdamW(parameters, kernel="cpp")
    steps(optimizer, parameters)
    calls = []
    evaluate = mx.eval
    monkeypatch.setattr(mx, "eval", lambda *args: calls.append(1) or evaluate(*args))
    steps(optimizer, parameters)
    assert calls == [1]


@pytest.mark.parametrize(
    ("owner", "name", "call", "taken"),
    [
        (mx, "eval", 1, 0),
        (mx, "eval", 1, 3),
        (mx, "contiguous", 2, 3),
        (mlx_native, "copied", 1, 0),
        (mlx_native, "copied", 2, 0),
        (mlx_native, "copied", 2, 3),
        (mlx_native, "Table", 1, 0),
        (mlx_native, "Table", 1, 3),
    ],
)
def test_a_step_that_is_interrupted_changes_nothing(
    owner: Any, name: str, call: int, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [(3,), (LARGE,), (4,), (LARGE,)]
    calls = []
    function = getattr(owner, name)

    def fail(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return function(*given)

    results = []
    for fails in (True, False):
        parameters = [parameter(shape, i) for i, shape in enumerate(shapes)]
        optimizer = optim.AdamW(parameters, kernel="cpp")
        steps(optimizer, parameters, taken)
        if fails:
            before = [np.array(p.data) for p in parameters]
            optimizer._work.tables.clear()
            monkeypatch.setattr(owner, name, fail)
            with pytest.raises(KeyboardInterrupt):
                steps(optimizer, parameters)
            monkeypatch.undo()
            for p, w in zip(parameters, before, strict=True):
                assert np.array_equal(np.array(p.data), w)
                assert optimizer._states.slot(p).entry.get("step", 0) == taken
        steps(optimizer, parameters, 2)
        results.append([np.array(p.data) for p in parameters])
    for ours, theirs in zip(*results, strict=True):
        assert np.array_equal(ours, theirs)


def test_loops_and_functions_may_alternate() -> None:
    results = []
    mx.disable_compile()
    for kernels in (["cpp"], ["cpp", "mlx"], ["mlx", "mlx", "cpp"]):
        parameters = [parameter((size,)) for size in (5, LARGE)]
        optimizer = optim.NAdam(parameters)
        for step in range(6):
            optimizer.kernel = kernels[step % len(kernels)]
            steps(optimizer, parameters)
        results.append([np.array(p.data) for p in parameters])
    mx.enable_compile()
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-6, atol=2e-6)


# Where loops are not for


def refused(*_: Any) -> Any:
    raise AssertionError("no loop must be asked for")


def test_on_a_gpu_and_by_choice_mlx_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlx_native, "Call", refused)
    mx.disable_compile()
    p = parameter((3,))
    for kernel in ("mlx", "numpy"):
        steps(optim.AdamW([p], kernel=kernel), [p])
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    steps(optim.AdamW([p], kernel="cpp"), [p])
    mx.enable_compile()


def test_an_mlx_that_gives_away_what_is_held_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert mlx_native.respects_holders()
    mlx_native.respects_holders.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(mlx_native, "address", lambda array: 0)  # as if nothing were ever copied
        assert not mlx_native.respects_holders()
        patch.setattr(mlx_native, "Call", refused)
        mx.disable_compile()
        p = parameter((3,))
        steps(optim.AdamW([p], kernel="cpp"), [p])
        mx.enable_compile()
    mlx_native.respects_holders.cache_clear()
    assert mlx_native.respects_holders()
