"""Loops that write into MLX arrays' memory: nobody else's array changes, whatever happens."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from operator import ne
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_arrays import LARGE, parameter, steps, values

from lucidgen import Parameter, optim
from lucidgen.runtime.backends.loops import mlx_memory

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
        lambda o, p: copy.copy(o).state[p],
    ],
)
def test_a_state_is_safe_by_whatever_way_it_was_read(read: Callable[[Any, Any], Any]) -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 3)
    array = read(optimizer, p)["exp_avg"]
    before = np.array(optimizer.state.slots[id(p)].entry["exp_avg"])
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


# What a step costs, and what happens when it fails


def test_large_weights_and_states_stay_in_place_when_nobody_holds_them() -> None:
    p = parameter()
    optimizer = optim.AdamW([p], kernel="cpp")
    steps(optimizer, [p], 2)
    slot = optimizer.state.slots[id(p)]

    def where() -> list[int]:
        return mlx_memory.addresses([p.data, *(slot.entry[k] for k in ("exp_avg", "exp_avg_sq"))])

    before = where()
    steps(optimizer, [p], 2)
    assert where() == before
    optimizer.state_dict()
    steps(optimizer, [p])
    after = where()
    assert all(map(ne, after, before)), "what was read is copied once"
    steps(optimizer, [p], 2)
    assert where() == after, "and then it stays again"


@pytest.mark.parametrize(("count", "size"), [(4, 1_000_000), (400, 10_000)])
def test_a_step_needs_no_memory_beyond_its_arrays(count: int, size: int) -> None:
    parameters = [parameter((size,), i) for i in range(count)]
    optimizer = optim.AdamW(parameters, kernel="cpp")
    steps(optimizer, parameters, 2)
    for p in parameters:
        p.grad = mx.ones_like(p.data)
    mx.eval([p.grad for p in parameters])
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    optimizer.step()
    assert mx.get_peak_memory() - before < 1_000_000, "not the memory of a large array"


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
        (mlx_memory, "copied", 1, 0),
        (mlx_memory, "copied", 2, 0),
        (mlx_memory, "copied", 2, 3),
        (mlx_memory, "Table", 1, 0),
        (mlx_memory, "Table", 1, 3),
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
            optimizer._engine._last_step.groups.clear()
            monkeypatch.setattr(owner, name, fail)
            with pytest.raises(KeyboardInterrupt):
                steps(optimizer, parameters)
            monkeypatch.undo()
            for p, w in zip(parameters, before, strict=True):
                assert np.array_equal(np.array(p.data), w)
                assert optimizer.state.slot(p).entry.get("step", 0) == taken
        steps(optimizer, parameters, 2)
        results.append([np.array(p.data) for p in parameters])
    for ours, theirs in zip(*results, strict=True):
        assert np.array_equal(ours, theirs)
