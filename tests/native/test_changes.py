"""Whatever changes between two steps, a compiled step sees it: the NumPy step is the measure.

Two optimizers live through the same random events, one with compiled loops and one without; weights
and states must be the same bit for bit after every step.
"""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter, optim


class World:
    """A model and its optimizer."""

    def __init__(self, make: Callable[..., Any], kernel: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shapes = [(3, 4), (5,), (), (2, 3, 2), (4, 4)]
        self.parameters = [Parameter(np.asarray(rng.standard_normal(s))) for s in shapes]
        self.kernel = kernel
        self.make = lambda parameters: make(parameters, kernel=kernel)
        first = [("a", self.parameters[0]), ("b", self.parameters[1])]
        rest = [(f"p{i}", p) for i, p in enumerate(self.parameters[2:])]
        self.optimizer = self.make([{"params": first, "lr": 0.02}, {"params": rest}])

    def contents(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for i, parameter in enumerate(self.parameters):
            found[f"w{i}"] = parameter.data
            state = self.optimizer.state.get(parameter, {})
            found |= {f"{key}{i}": np.asarray(value) for key, value in state.items()}
        return found

    def check(self) -> None:
        """What the user sees has the shapes it should have."""
        for i, parameter in enumerate(self.parameters):
            for value in self.optimizer.state.get(parameter, {}).values():
                assert np.shape(value) in ((), parameter.data.shape), i


def gradients(world: World, chance: random.Random) -> None:
    """New gradients, of any layout and type, for most parameters."""
    missing = chance.random() < 0.3
    odd = chance.random() < 0.4
    for parameter in world.parameters:
        rng = np.random.default_rng(chance.randrange(10**6))
        grad = np.asarray(rng.standard_normal(parameter.data.shape)).astype(parameter.data.dtype)
        if odd and grad.ndim > 1:
            grad = chance.choice([np.asfortranarray, lambda g: g[::-1], lambda g: g])(grad)
        if odd and chance.random() < 0.2:
            grad = grad.astype(np.float32)
        parameter.grad = None if missing and chance.random() < 0.3 else grad


# Events


def new_data(world: World, chance: random.Random) -> None:
    parameter = chance.choice(world.parameters)
    parameter.data = np.asarray(parameter.data * 0.5)


def data_in_another_order(world: World, chance: random.Random) -> None:
    parameter = chance.choice(world.parameters)
    parameter.data = np.array(parameter.data, order="F")


def data_of_another_type(world: World, chance: random.Random) -> None:
    parameter = chance.choice(world.parameters)
    kind = np.float32 if parameter.data.dtype == np.float64 else np.float64
    parameter.data = parameter.data.astype(kind)


def data_written_to(world: World, chance: random.Random) -> None:
    chance.choice(world.parameters).data[...] = 0.25


def data_swapped(world: World, chance: random.Random) -> None:
    one, two = world.parameters[0], Parameter(np.ones((3, 4)))
    one.data, two.data = two.data, one.data


def another_lr(world: World, chance: random.Random) -> None:
    chance.choice(world.optimizer.param_groups)["lr"] = chance.choice([0.0, 0.01, 0.3])


def another_choice(world: World, chance: random.Random) -> None:
    group = chance.choice(world.optimizer.param_groups)
    if "amsgrad" in group:
        group["amsgrad"] = not group["amsgrad"]
    if "momentum" in group:
        group["momentum"] = 0.0 if group["momentum"] else 0.9
    group["weight_decay"] = chance.choice([0.0, 0.1])
    group["maximize"] = chance.random() < 0.5


def another_order(world: World, chance: random.Random) -> None:
    group = world.optimizer.param_groups[1]
    chance.shuffle(group["params"])
    group["param_names"] = [f"p{world.parameters.index(p) - 2}" for p in group["params"]]


def fewer_parameters(world: World, chance: random.Random) -> None:
    group = world.optimizer.param_groups[1]
    if len(group["params"]) > 1:
        group["params"].pop()
        group["param_names"].pop()


def another_group(world: World, chance: random.Random) -> None:
    made = Parameter(np.full((2, 2), 0.5))
    world.parameters.append(made)
    name = f"more{len(world.parameters)}"
    world.optimizer.add_param_group({"params": [(name, made)], "lr": 0.05})


def a_parameter_replaced(world: World, chance: random.Random) -> None:
    old = world.parameters[-1]
    params = world.optimizer.param_groups[-1]["params"]
    if params and params[-1] is old:
        world.parameters[-1] = params[-1] = Parameter(old.data)


def states_of(world: World) -> list[dict[str, Any]]:
    found = [world.optimizer.state.get(p) for p in world.parameters]
    return [entry for entry in found if entry]


def a_state_replaced(world: World, chance: random.Random) -> None:
    for entry in states_of(world)[:1]:
        for key, value in entry.items():
            if isinstance(value, np.ndarray):
                entry[key] = np.abs(value) + 0.5


def a_state_written_to(world: World, chance: random.Random) -> None:
    for entry in states_of(world)[-1:]:
        for value in entry.values():
            if isinstance(value, np.ndarray):
                value[...] = 0.125


def a_state_forgotten(world: World, chance: random.Random) -> None:
    parameter = chance.choice(world.parameters)
    if parameter in world.optimizer.state:
        del world.optimizer.state[parameter]


def a_state_assigned(world: World, chance: random.Random) -> None:
    parameter = chance.choice(world.parameters)
    if parameter in world.optimizer.state:
        entry = copy.deepcopy(dict(world.optimizer.state[parameter]))
        world.optimizer.state[parameter] = entry


def a_step_count_changed(world: World, chance: random.Random) -> None:
    for entry in states_of(world)[:1]:
        if "step" in entry:
            entry["step"] += 5


def a_checkpoint_loaded(world: World, chance: random.Random) -> None:
    saved = world.optimizer.state_dict()
    for group in saved["param_groups"]:
        group["lr"] = 0.07
    world.optimizer.load_state_dict(saved)


def a_copy_trained_instead(world: World, chance: random.Random) -> None:
    pair = world.optimizer, world.parameters
    world.optimizer, world.parameters = copy.deepcopy(pair)


def a_pickle_trained_instead(world: World, chance: random.Random) -> None:
    pair = world.optimizer, world.parameters
    world.optimizer, world.parameters = pickle.loads(pickle.dumps(pair))


EVENTS = [
    new_data,
    data_in_another_order,
    data_of_another_type,
    data_written_to,
    data_swapped,
    another_lr,
    another_choice,
    another_order,
    fewer_parameters,
    another_group,
    a_parameter_replaced,
    a_state_replaced,
    a_state_written_to,
    a_state_forgotten,
    a_state_assigned,
    a_step_count_changed,
    a_checkpoint_loaded,
    a_copy_trained_instead,
    a_pickle_trained_instead,
]
MAKERS = {
    "SGD": lambda p, **k: optim.SGD(p, lr=0.1, momentum=0.9, **k),
    "Adam": lambda p, **k: optim.Adam(p, lr=0.01, **k),
    "NAdam": lambda p, **k: optim.NAdam(p, lr=0.01, **k),
    "RAdam": lambda p, **k: optim.RAdam(p, lr=0.01, **k),
}


def assert_same(worlds: list[World], log: list[str]) -> None:
    one, two = (world.contents() for world in worlds)
    assert one.keys() == two.keys(), log
    for key in one:
        assert one[key].dtype == two[key].dtype, (key, log)
        assert np.array_equal(one[key], two[key], equal_nan=True), (key, log)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", MAKERS)
def test_random_events_leave_both_with_the_same_numbers(name: str, seed: int) -> None:
    worlds = [World(MAKERS[name], kernel, seed) for kernel in ("cpp", "numpy")]
    log: list[str] = []
    for turn in range(40):
        event = random.Random(f"{seed} {turn}").choice([*EVENTS, None, None])
        if event is not None:
            log.append(event.__name__)
            for world in worlds:
                event(world, random.Random(f"{seed} {turn} event"))
        for world in worlds:
            gradients(world, random.Random(f"{seed} {turn} gradients"))
            world.optimizer.step()
            world.check()
        assert_same(worlds, log)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_event_is_noticed_after_steady_steps(event: Any) -> None:
    worlds = [World(MAKERS["Adam"], kernel, 1) for kernel in ("cpp", "numpy")]
    for turn in range(9):
        for world in worlds:
            if turn in (3, 6):
                event(world, random.Random(turn))
            for i, parameter in enumerate(world.parameters):
                rng = np.random.default_rng([turn, i])
                parameter.grad = np.asarray(rng.standard_normal(parameter.data.shape))
            world.optimizer.step()
        assert_same(worlds, [event.__name__, str(turn)])


def test_nothing_changes_when_one_gradient_is_wrong() -> None:
    world = World(MAKERS["Adam"], "cpp", 1)
    for _ in range(3):
        for parameter in world.parameters:
            parameter.grad = np.ones(parameter.data.shape)
        world.optimizer.step()
    before = {key: value.copy() for key, value in world.contents().items()}
    for parameter in world.parameters:
        parameter.grad = np.ones(parameter.data.shape)
    world.parameters[-1].grad = np.ones(3)
    with pytest.raises(ValueError, match="the gradient has shape"):
        world.optimizer.step()
    after = world.contents()
    assert all(np.array_equal(before[key], after[key]) for key in before)
