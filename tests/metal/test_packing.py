"""Many small tensors in one call: which, with what, and that nobody can tell."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import lucidgen
import lucidgen.optim
from lucidgen.runtime.backends.gpu import languages, packing, text, trial
from lucidgen.verify.gpu.machine import Machine
from lucidgen.verify.gpu.subjects import Subject, Walk

Array = Any

SHAPES = ((4, 5), (3,), (8,), (2, 3, 4), (), (33,), (7,), (300,), (5, 5), (0, 2), (9,), (10,))


@pytest.fixture
def machine() -> Iterator[Machine]:
    """MLX has Metal: kernels run on this machine's processor."""
    machine = Machine(at_once=True)
    with machine.installed():
        yield machine
    machine.close()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The calls of kernels that all pass their trials and add one to each array but the grads."""
    found: list[dict[str, Any]] = []

    def make_kernel(_: languages.Language, **made: Any) -> Any:
        def kernel(**call: Any) -> list[Array]:
            given = dict(zip(made["input_names"], call["inputs"], strict=True))
            names = [name.replace("new_", "") for name in made["output_names"]]
            shapes = call["output_shapes"]
            outputs = [given[n].reshape(s) + 1 for n, s in zip(names, shapes, strict=True)]
            found.append({**call, "given": given, "outputs": outputs})
            return outputs

        return kernel

    monkeypatch.setattr(languages, "running", lambda: languages.METAL)
    monkeypatch.setattr(languages, "make_kernel", make_kernel)
    monkeypatch.setattr(trial, "differences", lambda *_: None)
    trial.forget()
    yield found
    trial.forget()


def parameters(seed: int = 0, dtype: Any = mx.float32) -> list[Any]:
    random = np.random.default_rng(seed)
    values = [mx.array(random.standard_normal(s).astype(np.float32)) for s in SHAPES]
    found = [lucidgen.Parameter(value.astype(dtype)) for value in values]
    give(found, seed)
    return found


def give(params: list[Any], seed: int) -> None:
    random = np.random.default_rng(100 + seed)
    for p in params:
        values = random.standard_normal(p.data.shape).astype(np.float32)
        p.grad = mx.array(values).astype(p.data.dtype)


def single(optimizer: Any, params: list[Any]) -> list[Any]:
    """Everything in float32, which NumPy has."""
    arrays = [a for p in params for a in (p.data, *optimizer.state[p].values())]
    return [np.array(mx.array(a).astype(mx.float32)) for a in arrays]


def ones(count: int, size: int = 9) -> list[Any]:
    params = [lucidgen.Parameter(mx.ones(size)) for _ in range(count)]
    give(params, 0)
    return params


# Which tensors share a call


def test_a_call_takes_as_many_tensors_as_there_are_buffers_for(calls: list[Any]) -> None:
    lucidgen.optim.AdamW(ones(14)).step()
    assert [len(call["output_shapes"]) - 2 for call in calls] == [5, 5, 4]
    assert [len(call["inputs"]) + len(call["outputs"]) for call in calls] == [29, 29, 26]
    assert calls[0]["grid"] == (45, 1, 1)


def test_no_kernel_has_more_buffers_than_metal(emitted: Callable[[str], list[Subject]]) -> None:
    for name in ("sgd", "adam", "nadam", "radam"):
        for subject in emitted(name):
            for setting in subject.settings():
                step = Walk(subject, setting, mx.zeros(9)).step(1, mx.zeros(9))
                call, live = step.call, step.call.live
                most = call.most()
                texts = (text.arguments(call.kernel, live, n) for n in (most, most + 1))
                counts = [len(t["input_names"]) + len(t["output_names"]) for t in texts]
                assert most > 3
                assert counts[0] <= 31 < counts[1]


def test_few_elements_and_many_have_calls_of_their_own(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_PACKED", 100)
    params = [*ones(1, 7), *ones(1, 8), *ones(1, 100), *ones(1, 101)]
    lucidgen.optim.SGD(params, momentum=0.5).step()
    assert sorted(call["grid"][0] for call in calls) == [7, 101, 108]


def test_what_reduces_over_a_tensor_has_calls_of_its_own(calls: list[Any]) -> None:
    lucidgen.optim.LARS(ones(3)).step()
    assert [call["grid"][0] for call in calls] == [9, 9, 9]


def test_types_and_step_counts_share_no_call(calls: list[Any]) -> None:
    params = ones(6)
    for p in params[:2]:
        p.data, p.grad = p.data.astype(mx.float16), p.grad.astype(mx.float16)
    optimizer = lucidgen.optim.Adam(params)
    params[5].grad = None
    optimizer.step()
    assert sorted(call["grid"][0] for call in calls) == [18, 27]
    give(params, 1)
    calls.clear()
    optimizer.step()
    assert sorted(call["grid"][0] for call in calls) == [9, 18, 27]


# The flat states


def test_the_flat_states_of_the_last_step_are_taken_as_they_are(calls: list[Any]) -> None:
    optimizer = lucidgen.optim.SGD(params := ones(3), momentum=0.5)
    for seed in range(3):
        give(params, seed)
        optimizer.step()
    first, second, third = calls
    assert second["given"]["flat_b"] is first["outputs"][-1]
    assert third["given"]["flat_b"] is second["outputs"][-1]


def replaced_state(optimizer: Any, params: list[Any]) -> None:
    optimizer.state[params[1]]["momentum_buffer"] = mx.full((9,), 5.0)


def replaced_data(optimizer: Any, params: list[Any]) -> None:
    params[1].data = params[1].data + 1


def another_order(optimizer: Any, params: list[Any]) -> None:
    optimizer.param_groups[0]["params"].reverse()


def a_missing_gradient(optimizer: Any, params: list[Any]) -> None:
    params[1].grad = None


def a_loaded_state(optimizer: Any, params: list[Any]) -> None:
    optimizer.load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    "change", [replaced_state, replaced_data, another_order, a_missing_gradient, a_loaded_state]
)
def test_what_was_touched_is_joined_anew(change: Any, calls: list[Any]) -> None:
    optimizer = lucidgen.optim.SGD(params := ones(3), momentum=0.5)
    optimizer.step()
    give(params, 1)
    change(optimizer, params)
    expected = [
        np.array(optimizer.state[p]["momentum_buffer"])
        for p in optimizer.param_groups[0]["params"]
        if p.grad is not None
    ]
    optimizer.step()
    flat = calls[1]["given"]["flat_b"]
    assert flat is not calls[0]["outputs"][-1]
    assert np.array_equal(np.array(flat), np.concatenate(expected))


# Steps


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        pytest.param("Adam", {"amsgrad": True}, marks=pytest.mark.complete),
        pytest.param("RAdam", {}, marks=pytest.mark.complete),
    ],
)
def test_a_shared_step_is_a_step(name: str, options: dict[str, Any], machine: Machine) -> None:
    optimizers = {
        kernel: (getattr(lucidgen.optim, name)(params, kernel=kernel, **options), params)
        for kernel, params in (("metal", parameters()), ("mlx", parameters()))
    }
    for seed in range(7):
        for optimizer, params in optimizers.values():
            give(params, seed)
            if seed == 3:
                params[3].grad = None
            if seed == 5:
                for entry in (optimizer.state[params[0]], optimizer.state[params[7]]):
                    entry |= {k: a * 2 for k, a in entry.items() if isinstance(a, mx.array)}
            optimizer.step()
    one, other = (single(*found) for found in optimizers.values())
    for a, b in zip(one, other, strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)
    assert any("w_3" in text for text in machine.texts.values())


def test_nothing_that_was_handed_out_changes(machine: Machine) -> None:
    params = parameters(dtype=mx.bfloat16)
    optimizer = lucidgen.optim.Adam(params, lr=0.1)
    optimizer.step()
    before = [a for p in params for a in (p.data, *optimizer.state[p].values())]
    lazy = [a + 0 for a in before]
    values = single(optimizer, params)
    twin, twins = copy.deepcopy((optimizer, params))
    again, others = pickle.loads(pickle.dumps((optimizer, params)))
    for found, own in ((optimizer, params), (twin, twins), (again, others)):
        give(own, 1)
        found.step()
    for old, late, value in zip(before, lazy, values, strict=True):
        assert np.array_equal(np.array(mx.array(old).astype(mx.float32)), value)
        assert np.array_equal(np.array(mx.array(late).astype(mx.float32)), value)
    texts = [
        [
            str(np.array(mx.array(a).astype(mx.float32)))
            for p in own
            for a in found.state[p].values()
        ]
        for found, own in ((optimizer, params), (twin, twins), (again, others))
    ]
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("state", ["flat_m", "flat_new_v"])
def test_a_shared_call_that_disagrees_is_not_used(state: str) -> None:
    params, others = ones(3), ones(3)
    machine = Machine(True, lambda source: source.replace(f"{state} + start", state))
    with machine.installed():
        optimizer = lucidgen.optim.Adam(params)
        with pytest.warns(RuntimeWarning, match="is not used.*: for 3 tensors at once:"):
            optimizer.step()
    machine.close()
    lucidgen.optim.Adam(others, kernel="mlx").step()
    for p, q in zip(params, others, strict=True):
        assert np.allclose(np.array(p.data), np.array(q.data), rtol=1e-6)
