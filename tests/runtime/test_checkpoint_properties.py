"""Checkpoints restore what they saved, and a load that fails changes nothing: for random uses."""

import copy
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidgen import optim
from lucidgen.runtime import Parameter


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    mx.disable_compile()
    yield
    mx.enable_compile()


CLASSES = st.sampled_from(
    [
        lambda p: optim.SGD(p, momentum=0.9, weight_decay=0.01),
        lambda p: optim.Adam(p, amsgrad=True),
        lambda p: optim.AdamW(p, dialect="paper"),
        lambda p: optim.NAdam(p),
        lambda p: optim.RAdam(p, lr=0.01),
        lambda p: optim.LARS(p),
    ]
)


def named(library: Any, sizes: list[int], seed: int) -> list[tuple[str, Parameter]]:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(size).astype(np.float32) for size in sizes)
    return [(f"p{i}", Parameter(library.array(value))) for i, value in enumerate(values)]


def train(optimizer: Any, pairs: list[tuple[str, Parameter]], library: Any, steps: int) -> None:
    for step in range(steps):
        for name, parameter in pairs:
            rng = np.random.default_rng([step, int(name[1:])])
            grad = rng.standard_normal(parameter.data.shape).astype(np.float32)
            parameter.grad = library.array(grad)
        optimizer.step()


def contents(optimizer: Any, pairs: list[tuple[str, Parameter]]) -> dict[str, Any]:
    found = {}
    for name, parameter in pairs:
        found[name] = np.array(parameter.data).tolist()
        for key, value in optimizer.state[parameter].items():
            found[f"{name}.{key}"] = np.array(value).tolist()
    return found


@settings(max_examples=30)
@given(CLASSES, st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 3), st.data())
def test_a_checkpoint_restores_the_run_by_name_in_any_order(
    make: Any, sizes: list[int], steps: int, data: st.DataObject
) -> None:
    library = data.draw(st.sampled_from([np, mx]))
    pairs = named(library, sizes, 0)
    optimizer = make(pairs)
    train(optimizer, pairs, library, steps)
    saved = copy.deepcopy(optimizer.state_dict())
    copies = [(name, Parameter(library.array(np.array(p.data)))) for name, p in pairs]
    order = data.draw(st.permutations(copies))
    other = make(order)
    other.load_state_dict(saved)
    assert contents(other, copies) == contents(optimizer, pairs)
    train(optimizer, pairs, library, 2)
    train(other, copies, library, 2)
    assert contents(other, copies) == contents(optimizer, pairs)


def without_a_parameter(saved: dict[str, Any]) -> None:
    saved["param_groups"][0]["params"].pop()


def with_an_unknown_key(saved: dict[str, Any]) -> None:
    next(iter(saved["state"].values()))["bogus"] = np.zeros(1)


def with_a_wrong_shape(saved: dict[str, Any]) -> None:
    entry = next(iter(saved["state"].values()))
    key = next(k for k, value in entry.items() if np.shape(value))
    entry[key] = np.zeros(7)


def without_groups(saved: dict[str, Any]) -> None:
    saved["param_groups"] = []


def with_a_hyper_out_of_range(saved: dict[str, Any]) -> None:
    saved["param_groups"][0]["lr"] = -1.0


@settings(max_examples=30)
@given(
    CLASSES,
    st.sampled_from(
        [
            without_a_parameter,
            with_an_unknown_key,
            with_a_wrong_shape,
            without_groups,
            with_a_hyper_out_of_range,
        ]
    ),
    st.integers(0, 2),
    st.sampled_from([np, mx]),
)
def test_a_failed_load_changes_nothing(make: Any, spoil: Any, steps: int, library: Any) -> None:
    pairs = named(library, [2, 3], 0)
    source = make(pairs)
    train(source, pairs, library, 1)
    saved = copy.deepcopy(source.state_dict())
    spoil(saved)
    pairs = named(library, [2, 3], 1)
    optimizer = make(pairs)
    train(optimizer, pairs, library, steps)
    before = contents(optimizer, pairs), dict(optimizer.param_groups[0], params=None)
    with pytest.raises((ValueError, KeyError, TypeError)):
        optimizer.load_state_dict(saved)
    assert (contents(optimizer, pairs), dict(optimizer.param_groups[0], params=None)) == before
