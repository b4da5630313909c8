"""Roles: what the rate, the decay and the momentum of an author's optimizer are called is free."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim.lr_scheduler import (
    CyclicLR,
    ExponentialLR,
    MultiplicativeLR,
    OneCycleLR,
    ReduceLROnPlateau,
    tabulate,
)

Built = Callable[[str], ModuleType]

SPEC = """
    '''SGD, and the same under other names.'''
    from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, keyword_only, series, t, w

    def sgd(name, lr, decay, mu):
        b = series("b")
        return OptimizerSpec(
            name,
            arguments=(lr, keyword_only, decay, mu),
            saved_elsewhere={"mlx": {"v": b[t]}},
            equations=(
                Eq(b[t], mu * b[t - 1] + grad[t] + decay * w[t - 1]),
                Eq(w[t], w[t - 1] - lr * b[t]),
            ),
        )

    Usual = sgd(
        "Usual",
        hyper("lr", 0.1, at_least=0),
        hyper("weight_decay", 0.5, at_least=0, special=0),
        hyper("momentum", 0.9),
    )
    Unusual = sgd(
        "Unusual",
        hyper("eta", 0.1, at_least=0, role="rate"),
        hyper("lambda_", 0.5, at_least=0, special=0, role="decay"),
        hyper("inertia", 0.9, role="momentum"),
    )
    # Called like roles, and something else: those that are declared count.
    lr, scale = hyper("lr", 1.0), hyper("scale", 0.1, role="rate")
    shrink = hyper("shrink", 1.0, above=0, special=1, role="decay")
    inertia, other = pair = hyper("pair", (0.9, 1.0), names=("inertia", "other"), role="momentum")
    momentum = hyper("momentum", 1.0)
    b = series("b")
    Misleading = OptimizerSpec(
        "Misleading",
        arguments=(lr, scale, shrink, pair, momentum),
        equations=(
            Eq(b[t], inertia * b[t - 1] + momentum * other * grad[t]),
            Eq(w[t], shrink * w[t - 1] - lr * scale * b[t]),
        ),
    )
"""


def made(built: Built, name: str, **arguments: Any) -> Any:
    """An optimizer of two parameters, after a step."""
    parameters = [(n, Parameter(np.array([1.0, -2.0]))) for n in ("kernel", "bias")]
    optimizer = getattr(built(SPEC), name)(parameters, **arguments)
    step(optimizer)
    return optimizer


def step(optimizer: Any) -> None:
    """A step with a gradient."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = parameter.data / 2
    optimizer.step()


def weights(optimizer: Any) -> list[list[float]]:
    """The weights, group by group."""
    return [p.data.tolist() for group in optimizer.param_groups for p in group["params"]]


def test_the_rules_say_the_roles(built: Built) -> None:
    package = built(SPEC)
    names = ("Usual", "Unusual", "Misleading")
    roles = {name: next(iter(getattr(package, name).rules.values())).roles for name in names}
    assert roles["Misleading"] == {"rate": "scale", "decay": "shrink", "momentum": "inertia"}
    assert roles["Unusual"] == {"rate": "eta", "decay": "lambda_", "momentum": "inertia"}
    assert roles["Usual"] == {"rate": "lr", "decay": "weight_decay", "momentum": "momentum"}


def test_the_documentation_calls_the_rate_by_its_name(built: Built) -> None:
    package = built(SPEC)
    for name, rate in (("Usual", "lr"), ("Unusual", "eta"), ("Misleading", "scale")):
        assert f"``{rate}`` may be a function of the step count" in getattr(package, name).__doc__


def test_no_decay_leaves_out_what_is_the_decay(built: Built) -> None:
    usual, unusual = (made(built, name, no_decay=("bias",)) for name in ("Usual", "Unusual"))
    assert [group["lambda_"] for group in unusual.param_groups] == [0.5, 0.0]
    assert weights(usual) == weights(unusual)


def test_a_decay_that_is_a_factor_is_left_out_where_it_is_special(built: Built) -> None:
    optimizer = made(built, "Misleading", shrink=0.5, no_decay=("bias",))
    assert [group["shrink"] for group in optimizer.param_groups] == [0.5, 1.0]


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "ExponentialLR": lambda optimizer: ExponentialLR(optimizer, 0.5),
    "MultiplicativeLR": lambda optimizer: MultiplicativeLR(optimizer, lambda epoch: 0.5),
    "OneCycleLR": lambda optimizer: OneCycleLR(optimizer, 1.0, total_steps=9),
    "CyclicLR": lambda optimizer: CyclicLR(optimizer, 0.01, 1.0, step_size_up=3),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_drive_the_rate_and_cycle_the_momentum(built: Built, name: str) -> None:
    usual, unusual = (made(built, optimizer) for optimizer in ("Usual", "Unusual"))
    schedulers = [SCHEDULERS[name](optimizer) for optimizer in (usual, unusual)]
    for _ in range(6):
        for optimizer, scheduler in zip((usual, unusual), schedulers, strict=True):
            scheduler.step()
            step(optimizer)
    group = unusual.param_groups[0]
    assert group["eta"] == usual.param_groups[0]["lr"] != 0.1
    assert group["inertia"] == usual.param_groups[0]["momentum"]
    assert weights(usual) == weights(unusual)
    assert tabulate(schedulers[1], 7)(6) == group["eta"]


def test_a_plateau_reduces_the_rate(built: Built) -> None:
    optimizer = made(built, "Unusual")
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    for _ in range(2):
        scheduler.step(1.0)
    assert optimizer.param_groups[0]["eta"] == 0.05


def test_what_is_called_like_a_role_is_left_alone_where_another_has_it(built: Built) -> None:
    optimizer = made(built, "Misleading")
    scheduler = OneCycleLR(optimizer, 1.0, total_steps=9)
    scheduler.step()
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["pair"][1]) == (1.0, 1.0, 1.0)
    assert group["scale"] != 0.1
    assert group["pair"][0] != 0.9


@pytest.mark.parametrize("arguments", [{"learning_rate": 0.25}, {"eta": 0.25}])
def test_the_constructor_takes_it_as_mlx_calls_it(built: Built, arguments: Any) -> None:
    assert made(built, "Unusual", **arguments).param_groups[0]["eta"] == 0.25


def test_a_learning_rate_that_is_given_twice_is_refused(built: Built) -> None:
    with pytest.raises(TypeError, match="Unusual: the learning rate is given twice"):
        made(built, "Unusual", learning_rate=0.25, eta=0.25)


def test_another_librarys_learning_rate_is_ours(built: Built) -> None:
    optimizer = made(built, "Unusual")
    saved = {"step": 2, "learning_rate": 0.25}
    saved |= {name: {"v": np.array([3.0, 4.0])} for name in ("kernel", "bias")}
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["eta"] == 0.25


def test_any_hyperparameter_can_still_be_named(built: Built) -> None:
    optimizer = made(built, "Unusual")
    ExponentialLR(optimizer, 0.5, hyper="lambda_").step()
    assert optimizer.param_groups[0]["lambda_"] == 0.25


def test_a_state_goes_on_with_its_schedule(built: Built) -> None:
    first, second = (made(built, "Unusual") for _ in range(2))
    schedules = [ExponentialLR(optimizer, 0.5) for optimizer in (first, second)]
    for _ in range(2):
        schedules[0].step()
        step(first)
    second.load_state_dict(first.state_dict())
    schedules[1].load_state_dict(schedules[0].state_dict())
    assert second.param_groups[0]["initial_eta"] == 0.1
    assert second.param_groups[0]["eta"] == 0.025


def trees(built: Built, name: str, rate: Any, **arguments: Any) -> tuple[Any, list[Any]]:
    """An optimizer of a tree after captured steps, and the weights after each."""
    optimizer = getattr(built(SPEC), name)(learning_rate=rate, **arguments)
    tree = {"kernel": mx.array([1.0, -2.0]), "bias": mx.array([1.0, -2.0])}
    optimizer.init(tree)
    state = [tree, optimizer.state]

    def update() -> None:
        tree.update(optimizer.apply_gradients({k: w / 2 for k, w in tree.items()}, dict(tree)))

    captured = mx.compile(update, inputs=state, outputs=state)
    found = []
    for index in range(4):
        if index == 3 and not callable(rate):
            optimizer.learning_rate = 0.5
        captured()
        mx.eval(state)
        found.append({key: w.tolist() for key, w in tree.items()})
    return optimizer, found


@pytest.mark.parametrize("rate", [0.1, lambda step: 0.5 / (step + 1)], ids=["number", "function"])
def test_a_captured_step_follows_the_rate(built: Built, rate: Any) -> None:
    _, usual = trees(built, "Usual", rate, no_decay=("bias",))
    optimizer, unusual = trees(built, "Unusual", rate, no_decay=("bias",))
    assert unusual == usual
    assert unusual[-1]["bias"] != unusual[-1]["kernel"]
    assert optimizer.state["eta"].item() == optimizer.learning_rate.item()
    assert "lr" not in optimizer.state


def test_a_function_of_the_step_is_for_trees_alone(built: Built) -> None:
    with pytest.raises(TypeError, match="Unusual: eta is a function of the step only where trees"):
        made(built, "Unusual", eta=lambda step: 0.5)


def test_the_learning_rate_of_parameters_is_their_rate(built: Built) -> None:
    optimizer = made(built, "Unusual")
    optimizer.learning_rate = 0.5
    assert optimizer.learning_rate == optimizer.param_groups[0]["eta"] == 0.5
