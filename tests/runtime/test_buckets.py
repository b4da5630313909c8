"""One bucket, whose arithmetic is floats or arrays in the graph."""

import mlx.core as mx
import numpy as np
import pytest
from handwritten import SGD, NAdam

from lucidgen import optim
from lucidgen.runtime import Parameter
from lucidgen.runtime.backends.mlx import function_of
from lucidgen.runtime.groups.bucket import Bucket, first_updates, old_scalars
from lucidgen.runtime.trees.update import InGraph


def settings_of(cls, **arguments):
    return cls([Parameter(np.ones(2))], **arguments).param_groups[0].settings


@pytest.mark.parametrize("cls", [NAdam, optim.NAdam, optim.RAdam, optim.AdamW])
@pytest.mark.parametrize("t", [1, 3, 400])
def test_arithmetic_in_the_graph_finds_what_floats_find(cls, t):
    settings = settings_of(cls)
    clock = {state.key: 0.5 for state in settings.scalars}
    olds = old_scalars(settings, clock, None)
    floats = Bucket(settings, t, (), olds)
    graph = InGraph(function_of(settings.rule, "scalars"), mx.float32)
    with mx.stream(mx.cpu):
        arrays = Bucket(settings, mx.array(t), (), olds, graph, is_first=t == 1)
    assert arrays.values.keys() == floats.values.keys()
    assert arrays.scalars.keys() == floats.scalars.keys() == clock.keys()
    for name, value in arrays.values.items():
        found = value.item() if isinstance(value, mx.array) else value
        np.testing.assert_allclose(found, floats.values[name], rtol=2e-7, err_msg=name)


def test_conditions_are_choices_of_floats_and_arrays_in_the_graph():
    settings = settings_of(optim.RAdam)
    conditions = Bucket(settings, 1, (), ()).choices.keys()
    graph = InGraph(function_of(settings.rule, "scalars"), mx.float32)
    with mx.stream(mx.cpu):
        found = Bucket(settings, mx.array(1), (), (), graph, is_first=True)
    (only,) = conditions - found.choices.keys()
    assert found.values[only].dtype == mx.bool_


def test_a_state_that_is_missing_has_its_first_update():
    settings = settings_of(SGD, momentum=0.9)
    (state,) = settings.arrays
    assert first_updates(settings, {}, {}) == (f"first_{state.name}",)
    assert first_updates(settings, {state.key: 1}, {}) == ()


def test_a_scalar_state_starts_as_its_rule_says_until_it_is_kept():
    settings = settings_of(NAdam)
    (state,) = settings.scalars
    assert old_scalars(settings, {}, None) == (1.0,)
    assert old_scalars(settings, {state.key: 0.25}, None) == (0.25,)
