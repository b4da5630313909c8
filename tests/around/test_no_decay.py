"""Weight decay without some parameters: by patterns for their names, or by a predicate."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, AdamW

NAMES = ("layer.weight", "layer.bias", "norm.weight", "norm.bias")


def named(names: Sequence[str] = NAMES) -> list[tuple[str, Parameter]]:
    pairs = []
    for name in names:
        shape = (2, 3) if name == "layer.weight" else (3,)
        parameter = Parameter(np.ones(shape))
        parameter.grad = np.full(shape, 0.5)
        pairs.append((name, parameter))
    return pairs


def decays(optimizer: Any) -> dict[str, float]:
    return {
        name: group["weight_decay"]
        for group in optimizer.param_groups
        for name in group["param_names"]
    }


def test_patterns_choose_parameters_by_name() -> None:
    optimizer = AdamW(named(), weight_decay=0.1, no_decay=("*.bias", "norm.*"))
    assert decays(optimizer) == dict(zip(NAMES, (0.1, 0, 0, 0), strict=True))
    assert decays(SGD(named(), weight_decay=0.1, no_decay="*.bias")) == {
        "layer.weight": 0.1,
        "norm.weight": 0.1,
        "layer.bias": 0,
        "norm.bias": 0,
    }


def test_a_predicate_needs_no_names() -> None:
    parameters = [parameter for _, parameter in named()]
    optimizer = AdamW(parameters, weight_decay=0.1, no_decay=lambda name, p: p.data.ndim < 2)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 3]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0]
    pickle.dumps(optimizer)


def test_each_group_is_split_and_keeps_what_it_has() -> None:
    first, second = named(NAMES[:2]), named(NAMES[2:])
    groups = [{"params": first, "lr": 0.5}, {"params": second, "weight_decay": 0.3}]
    optimizer = AdamW(groups, lr=0.1, weight_decay=0.2, no_decay="*.bias")
    found = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert found == [(0.5, 0.2), (0.5, 0), (0.1, 0.3), (0.1, 0)]
    optimizer.add_param_group({"params": named(["other.bias"])})
    assert optimizer.param_groups[-1]["weight_decay"] == 0.2


def test_a_group_of_which_all_or_none_is_exempt_stays_one() -> None:
    groups = [{"params": named(NAMES[:1])}, {"params": named(NAMES[1:2])}]
    optimizer = AdamW(groups, weight_decay=0.2, no_decay="*.bias")
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0]


def test_names_of_a_group_dict_count() -> None:
    pairs = named()
    group = {"params": [p for _, p in pairs], "param_names": list(NAMES)}
    assert decays(AdamW([group], weight_decay=0.1, no_decay="norm.*"))["norm.bias"] == 0


def test_exempt_parameters_move_as_without_decay() -> None:
    mine, with_decay, without = named(), named(), named()
    AdamW(mine, lr=0.1, weight_decay=0.5, no_decay="*.bias").step()
    AdamW(with_decay, lr=0.1, weight_decay=0.5).step()
    AdamW(without, lr=0.1, weight_decay=0).step()
    for (name, a), (_, b), (_, c) in zip(mine, with_decay, without, strict=True):
        assert (a.data == (c if name.endswith("bias") else b).data).all()
        assert (b.data != c.data).all()


def test_the_groups_are_saved_and_loaded() -> None:
    optimizer = AdamW(named(), weight_decay=0.1, no_decay="*.bias")
    optimizer.step()
    other = AdamW(named(), weight_decay=0.9, no_decay="*.bias")
    other.load_state_dict(optimizer.state_dict())
    assert decays(other) == decays(optimizer)


@pytest.mark.parametrize(
    ("no_decay", "error", "message"),
    [
        ("*.biass", ValueError, r"'\*\.biass' of no_decay matches no parameter.*'layer\.bias'"),
        (("*.bias", 1), TypeError, "patterns such as"),
        ((), TypeError, "patterns such as"),
        (1, TypeError, "or a function of name and parameter, got 1"),
    ],
)
def test_a_wrong_pattern_is_refused(no_decay: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AdamW(named(), no_decay=no_decay)


def test_patterns_without_names_are_refused() -> None:
    with pytest.raises(ValueError, match="asks for names, and the parameters have none"):
        AdamW([p for _, p in named()], no_decay="*.bias")


def test_an_optimizer_without_weight_decay_refuses() -> None:
    with pytest.raises(ValueError, match="no_decay, but the dialect 'paper' has no weight decay"):
        Adam(named(), dialect="paper", no_decay="*.bias")


# The MLX idiom


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 3), nn.LayerNorm(3)

    def __call__(self, x: Any) -> Any:
        return self.norm(self.layer(x))


def trained(captured: bool, **arguments: Any) -> tuple[Any, Any]:
    mx.random.seed(2)
    model = Net()
    optimizer = AdamW(lr=0.1, **arguments)
    optimizer.init(model.trainable_parameters())
    x = mx.random.normal((4, 3))
    gradients = nn.value_and_grad(model, lambda m: mx.sum(m(x) ** 2 + m(x)))

    def step() -> None:
        optimizer.update(model, gradients(model)[1])

    state = [model.state, optimizer.state]
    run = mx.compile(step, inputs=state, outputs=state) if captured else step
    run()
    mx.eval(state)
    return model, optimizer


@pytest.mark.parametrize("captured", [False, True])
def test_the_mlx_idiom_exempts_too(captured: bool) -> None:
    mine, optimizer = trained(captured, weight_decay=0.5, no_decay=("*.bias", "norm.*"))
    plain, _ = trained(captured, weight_decay=0.0)
    assert mx.allclose(mine.layer.bias, plain.layer.bias, rtol=1e-5, atol=1e-6)
    assert mx.allclose(mine.norm.weight, plain.norm.weight, rtol=1e-5, atol=1e-6)
    assert not mx.allclose(mine.layer.weight, plain.layer.weight, rtol=1e-2)
    kept = pickle.loads(pickle.dumps(optimizer))._engine.kept()
    assert kept["no_decay"] == ("*.bias", "norm.*")


def test_a_pattern_that_matches_nothing_in_a_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="'scale' of no_decay matches no parameter"):
        AdamW(nn.Linear(2, 2), no_decay="scale")
