"""What the last step left is used again for as long as the arrays are the very same, and no longer.

Nobody says that anything has changed: each way in which it can is tried here. That the numbers are
right whatever happens is held to in tests/native/test_changes.py.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.runtime.groups.bucket import Members
from lucidgen.runtime.step import last_step

Optimizer = Any
Event = Callable[[Optimizer, list[Parameter]], Any]


def model(make: Any = np.asarray, count: int = 3) -> list[Parameter]:
    return [Parameter(make(np.full(4 + i, 0.5, np.float32))) for i in range(count)]


def step(optimizer: Optimizer, params: list[Parameter], make: Any = np.asarray) -> None:
    for param in params:
        if param.grad is None or param.grad.shape != param.data.shape:
            param.grad = make(np.full(param.data.shape, 0.25, np.float32))
    optimizer.step()


def members(optimizer: Optimizer, group: int = 0) -> list[Members]:
    found: list[Members] = optimizer._engine._last_step.groups[group]._members
    return found


def set_lr(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.param_groups[0]["lr"] = 0.5


def set_choice(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.param_groups[0]["maximize"] = True


def write_weights(optimizer: Optimizer, params: list[Parameter]) -> None:
    params[1].data[...] = 3.0


def write_state(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.state[params[1]]["exp_avg"][...] = 3.0


def set_counts(optimizer: Optimizer, params: list[Parameter]) -> None:
    for param in params:
        optimizer.state[param]["step"] = 7


def new_gradients(optimizer: Optimizer, params: list[Parameter]) -> None:
    for param in params:
        param.grad = np.full(param.data.shape, 0.125, np.float32)


def gradients_of_another_type(optimizer: Optimizer, params: list[Parameter]) -> None:
    for param in params:
        param.grad = np.full(param.data.shape, 0.125, np.float16)


def a_gradient_that_is_a_weight(optimizer: Optimizer, params: list[Parameter]) -> None:
    params[0].grad = params[0].data


def use_loops(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.kernel = "cpp" if optimizer.kernel == "numpy" else "numpy"


KEEP: list[Event] = [
    set_lr,
    write_weights,
    write_state,
    set_counts,
    new_gradients,
    gradients_of_another_type,
    a_gradient_that_is_a_weight,
    use_loops,
]


def new_weights(optimizer: Optimizer, params: list[Parameter]) -> None:
    params[1].data = params[1].data.copy()


def new_state(optimizer: Optimizer, params: list[Parameter]) -> None:
    entry = optimizer.state[params[1]]
    entry["exp_avg"] = entry["exp_avg"].copy()


def one_state_less(optimizer: Optimizer, params: list[Parameter]) -> None:
    del optimizer.state[params[1]]["exp_avg"]


def no_state(optimizer: Optimizer, params: list[Parameter]) -> None:
    del optimizer.state[params[1]]


def the_same_state_put_there(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.state[params[1]] = optimizer.state[params[1]]


def more_states(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.param_groups[0]["amsgrad"] = True


def another_order(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.param_groups[0]["params"].reverse()


def one_less(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.param_groups[0]["params"].pop()


def another_parameter(optimizer: Optimizer, params: list[Parameter]) -> None:
    old = params[1]
    params[1] = optimizer.param_groups[0]["params"][1] = Parameter(old.data)


def loaded(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.load_state_dict(optimizer.state_dict())


def one_count_apart(optimizer: Optimizer, params: list[Parameter]) -> None:
    optimizer.state[params[1]]["step"] = 7


END: list[Event] = [
    set_choice,
    new_weights,
    new_state,
    one_state_less,
    no_state,
    the_same_state_put_there,
    more_states,
    another_order,
    one_less,
    another_parameter,
    loaded,
    one_count_apart,
]


def name(event: Event) -> str:
    return event.__name__


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
@pytest.mark.parametrize("event", KEEP, ids=name)
def test_what_was_kept_of_the_members_is_used_again_after(event: Event, kernel: str) -> None:
    params = model()
    optimizer = optim.Adam(params, kernel=kernel)
    for _ in range(3):
        step(optimizer, params)
    (before,) = members(optimizer)
    before.own["mine"] = 1
    event(optimizer, params)
    for _ in range(2):
        step(optimizer, params)
        (after,) = members(optimizer)
        assert after is before
        assert after.own["mine"] == 1


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
@pytest.mark.parametrize("event", END, ids=name)
def test_what_was_kept_of_the_members_is_forgotten_after(event: Event, kernel: str) -> None:
    params = model()
    optimizer = optim.Adam(params, kernel=kernel)
    for _ in range(3):
        step(optimizer, params)
    (before,) = members(optimizer)
    before.own["mine"] = 1
    event(optimizer, params)
    step(optimizer, params)
    assert all(found is not before and "mine" not in found.own for found in members(optimizer))


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_only_the_parameter_whose_arrays_are_new_is_looked_at_anew(kernel: str) -> None:
    params = model()
    optimizer = optim.Adam(params, kernel=kernel)
    step(optimizer, params)
    before = [optimizer.state.slot(p).seen for p in params]
    params[1].data = params[1].data.copy()
    step(optimizer, params)
    after = [optimizer.state.slot(p).seen for p in params]
    assert [a is b for a, b in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize(
    ("make", "kernel"),
    [(np.asarray, "numpy"), (np.asarray, "cpp"), (mx.array, "cpp")],
    ids=["NumPy", "loops", "loops on MLX"],
)
def test_a_steady_step_needs_no_closer_look(
    make: Any, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = model(make)
    frozen = Parameter(make(np.ones(3, np.float32)))  # never has a gradient
    optimizer = optim.SGD([params[0], frozen, *params[1:]], momentum=0.9, kernel=kernel)
    step(optimizer, params, make)
    monkeypatch.setattr(last_step, "sort", None)
    for _ in range(3):
        step(optimizer, params, make)


def test_a_bucket_is_made_once_where_nothing_counts_steps() -> None:
    params = model()
    optimizer = optim.SGD(params, lr=0.5)
    buckets = []
    for turn in range(4):
        if turn == 2:
            optimizer.param_groups[0]["lr"] = 0.25
        step(optimizer, params)
        buckets.append(optimizer._engine._last_step.groups[0]._bucket[2])
    assert buckets[0] is buckets[1]
    assert buckets[1] is not buckets[2]
    assert buckets[2] is buckets[3]


def test_groups_that_are_gone_leave_nothing_behind() -> None:
    params = model()
    optimizer = optim.Adam([{"params": [p]} for p in params])
    step(optimizer, params)
    del optimizer.param_groups[1:]
    step(optimizer, params)
    assert len(optimizer._engine._last_step.groups) == 1


def test_copies_and_pickles_take_nothing_of_the_last_step_with_them() -> None:
    params = model()
    optimizer = optim.Adam(params)
    step(optimizer, params)
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert not twin._engine._last_step.groups
        assert all(slot.seen is None for slot in twin.state.slots.values())


def test_a_step_that_failed_does_not_end_what_is_kept() -> None:
    params = model()
    optimizer = optim.Adam(params, kernel="cpp")
    for _ in range(2):
        step(optimizer, params)
    (before,) = members(optimizer)
    params[2].grad = np.ones(99)
    with pytest.raises(ValueError, match="the gradient has shape"):
        optimizer.step()
    step(optimizer, params)
    assert members(optimizer) == [before]


# MLX's arrays


def test_states_that_loops_write_to_are_kept_until_somebody_has_seen_them() -> None:
    params = model(mx.array)
    optimizer = optim.Adam(params, kernel="cpp")
    for _ in range(3):
        step(optimizer, params, mx.array)
    (before,) = members(optimizer)
    step(optimizer, params, mx.array)
    assert members(optimizer) == [before]
    assert optimizer.state[params[1]]["exp_avg"].size == 5
    step(optimizer, params, mx.array)
    assert before not in members(optimizer)


def test_nothing_is_kept_of_states_that_somebody_holds() -> None:
    params = model(mx.array)
    optimizer = optim.Adam(params, kernel="cpp")
    held = optimizer.state[params[1]]
    for _ in range(3):
        step(optimizer, params, mx.array)
        assert [found.slots for found in members(optimizer)] == [[]]
    assert held["step"] == 3
    del held
    step(optimizer, params, mx.array)
    assert [len(found.slots) for found in members(optimizer)] == [3]


def test_an_mlx_array_that_becomes_another_in_place_is_looked_at_anew() -> None:
    half = Parameter(mx.ones(3, mx.float16))
    optimizer = optim.SGD([half], lr=0.5, momentum=0.5, kernel="cpp")
    for _ in range(2):
        half.grad = mx.ones(3, mx.float16)
        optimizer.step()
    (before,) = members(optimizer)
    half.data += mx.ones(3)  # the same object, and float32 from here on
    optimizer.step()
    assert half.data.dtype == mx.float32
    assert before not in members(optimizer)


def test_functions_leave_other_arrays_and_so_nothing_that_was_made_of_the_old() -> None:
    params = model(mx.array)
    optimizer = optim.Adam(params, kernel="cpp")
    for _ in range(2):
        step(optimizer, params, mx.array)
    (before,) = members(optimizer)
    optimizer.kernel = "mlx"
    mx.disable_compile()
    try:
        step(optimizer, params, mx.array)
    finally:
        mx.enable_compile()
    (after,) = members(optimizer)
    assert after is not before
    assert "cpp" not in after.own
    assert not after.slots
