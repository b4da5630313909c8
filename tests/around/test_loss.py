"""Steps that read the loss: who gives it, what they do with it, and what is said without one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import lucid
import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, AdamW, AliG, MultiOptimizer, PolyakSGD
from lucidgen.spec import (
    Eq,
    Min,
    OptimizerSpec,
    columns,
    grad,
    hyper,
    loss,
    over_group,
    series,
    t,
    total,
    w,
    when,
)
from lucidgen.verify.emitted import build
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.setting import LOSSES, Setting

lr = hyper("lr", 0.125, at_least=0)
f, best, m, d = map(series, ("f", "best", "m", "d"))

#: The loss as a factor and a condition, in numbers of the parameter and of the group.
Following = OptimizerSpec(
    "Following",
    (lr,),
    (
        Eq(f[1], loss),
        Eq(f[t], f[t - 1] / 2 + loss / 2),
        Eq(best[1], loss),
        Eq(best[t], Min(best[t - 1], loss)),
        Eq(m[t], m[t - 1] / 2 + when(loss <= best[t], grad[t], 0)),
        Eq(w[t], w[t - 1] - lr * when(columns > loss, loss * m[t], f[t] * grad[t])),
    ),
)
#: Beside it, a sum over the group, which a shape is compared with.
Grouped = OptimizerSpec(
    "Grouped",
    (lr,),
    (
        Eq(d[0], lr),
        Eq(d[t], d[t - 1] / 2 + loss * over_group(total(grad[t] ** 2))),
        Eq(w[t], w[t - 1] - lr * when(columns > d[t - 1], d[t], loss) * grad[t]),
    ),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The classes of these specs."""
    return build([Following, Grouped], tmp_path_factory.mktemp("loss"))


BEGIN, GRADS = np.array([1.0, 2.0, 3.0]), np.array([[0.5, -1.0, 0.25]]) * np.arange(1, 7)[:, None]


@pytest.mark.parametrize(("kernel", "maximize"), [("numpy", False), ("numpy", True), ("cpp", True)])
@pytest.mark.parametrize("spec", [Following, Grouped], ids=str)
def test_a_step_is_that_of_the_equations(
    made: ModuleType, spec: OptimizerSpec, kernel: str, maximize: bool
) -> None:
    param = Parameter(BEGIN.copy())
    optimizer = getattr(made, spec.name)([param], kernel=kernel, maximize=maximize)
    truth = Trajectory(Setting(spec, maximize=maximize), BEGIN)
    for number, values in enumerate(GRADS):
        param.grad = values.copy()
        given = LOSSES[number % len(LOSSES)]
        assert optimizer.step(loss=given) == given
        truth.step(values)
        np.testing.assert_allclose(param.data, truth.w.astype(float), rtol=1e-13)


@pytest.mark.parametrize("spec", [Following, Grouped], ids=str)
def test_a_captured_step_is_that_of_the_equations(made: ModuleType, spec: OptimizerSpec) -> None:
    optimizer = getattr(made, spec.name)()
    tree = {"a": mx.array(BEGIN, dtype=mx.float32)}
    optimizer.init(tree)
    state = [optimizer.state]
    truth = Trajectory(Setting(spec), BEGIN)

    @partial(mx.compile, inputs=state, outputs=state)
    def step(tree: Any, grads: Any, of: Any) -> Any:
        return optimizer.apply_gradients(grads, tree, loss=of)

    for number, values in enumerate(GRADS):
        grads = {"a": mx.array(values, dtype=mx.float32)}
        tree = step(tree, grads, mx.array(LOSSES[number % len(LOSSES)]))
        truth.step(values)
        np.testing.assert_allclose(np.array(tree["a"]), truth.w.astype(float), rtol=1e-6)


def of_closure(param: Parameter) -> Callable[[], float]:
    def closure() -> float:
        param.grad = 2 * param.data
        return float((param.data**2).sum())

    return closure


def test_a_closure_and_a_given_loss_are_the_same() -> None:
    first, second = Parameter(BEGIN.copy()), Parameter(BEGIN.copy())
    by_closure, by_loss = PolyakSGD([first]), PolyakSGD([second])
    for expected in (14.0, 3.5, 0.875):  # a quarter each time, as optax's documentation has it
        assert by_closure.step(of_closure(first)) == expected
        second.grad = 2 * second.data
        assert by_loss.step(loss=(second.data**2).sum()) == expected
        np.testing.assert_array_equal(first.data, second.data)


GIVEN: dict[str, Callable[[float], Any]] = {
    "a float": float,
    "a number of NumPy": np.float32,
    "an array": np.array,
    "an array of one element": lambda x: np.array([[x]]),
    "an array of MLX": mx.array,
    "a tensor of Lucid": lambda x: lucid.tensor(x),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_whatever_is_one_number_is_a_loss(kind: str) -> None:
    param = Parameter(BEGIN.copy())
    param.grad = np.ones(3)
    AliG([param], lr=10.0, eps=0.0).step(loss=GIVEN[kind](1.5))
    np.testing.assert_array_equal(param.data, BEGIN - 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_goes_into_the_step_as_gradients_do(value: float) -> None:
    param = Parameter(BEGIN.copy())
    param.grad = np.ones(3)
    AliG([param], lr=0.5).step(loss=value)
    expected = BEGIN * np.nan if np.isnan(value) else BEGIN - 0.5
    np.testing.assert_array_equal(param.data, expected)


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "none": (lambda o: o.step(), r"AliG: its equations read the loss; call step\(closure\)"),
    "none of a closure": (lambda o: o.step(lambda: None), "its equations read the loss"),
    "several numbers": (lambda o: o.step(loss=np.ones(2)), "the loss must be one number"),
    "no number": (lambda o: o.step(loss="low"), "the loss must be one number, got 'low'"),
    "a truth value": (lambda o: o.step(loss=True), "the loss must be one number, got True"),
    "a type": (lambda o: o.step(loss=np.float32), "the loss must be one number"),
    "a time": (lambda o: o.step(loss=np.timedelta64(3, "s")), "the loss must be one number"),
    "both": (lambda o: o.step(lambda: 1.0, loss=1.0), r"or loss=, not both"),
    "no function": (lambda o: o.step(1.0), "step takes a function that returns the loss"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_loss_changes_nothing(what: str) -> None:
    call, message = WRONG[what]
    param = Parameter(BEGIN.copy())
    param.grad = np.ones(3)
    optimizer = AliG([param], momentum=0.9)
    with pytest.raises(TypeError, match=message):
        call(optimizer)
    np.testing.assert_array_equal(param.data, BEGIN)
    assert not optimizer.state[param]


def test_a_tree_without_a_loss_is_refused() -> None:
    optimizer, tree = AliG(), {"a": mx.ones(2)}
    optimizer.init(tree)
    with pytest.raises(TypeError, match=r"call update\(model, grads, loss=\.\.\.\)"):
        optimizer.apply_gradients(tree, tree)
    for odd in (mx.ones(2), mx.array(True), mx.array(1 + 0j)):
        with pytest.raises(TypeError, match="the loss must be one number"):
            optimizer.apply_gradients(tree, tree, loss=odd)


def test_optimizers_that_do_not_read_it_take_it_too() -> None:
    params = [Parameter(BEGIN.copy()) for _ in range(2)]
    for param, given in zip(params, ({}, {"loss": 1.5}), strict=True):
        param.grad = np.ones(3)
        AdamW([param]).step(**given)
    np.testing.assert_array_equal(params[0].data, params[1].data)
    tree = {"a": mx.ones(2)}
    np.testing.assert_array_equal(
        np.array(SGD(lr=0.5).apply_gradients(tree, tree, loss=mx.array(3.0))["a"]), [0.5, 0.5]
    )


def test_several_optimizers_of_a_tree_are_given_one() -> None:
    optimizer = MultiOptimizer([AliG(lr=10.0, eps=0.0), SGD(lr=1.0)], ["weight"])
    tree = {"weight": mx.zeros(2), "bias": mx.zeros(2)}
    grads = {"weight": mx.ones(2), "bias": mx.ones(2)}
    new = optimizer.apply_gradients(grads, tree, loss=mx.array(3.0))
    assert new["weight"].tolist() == [-1.5, -1.5]
    assert new["bias"].tolist() == [-1.0, -1.0]


def test_several_optimizers_of_a_tree_without_one_stay_where_they_are() -> None:
    optimizer = MultiOptimizer([SGD(lr=1.0, momentum=0.9), AliG()], ["weight"])
    tree = {"weight": mx.zeros(2), "bias": mx.zeros(2)}
    optimizer.init(tree)
    with pytest.raises(TypeError, match="MultiOptimizer: AliG: its equations read the loss"):
        optimizer.apply_gradients(tree, tree)
    assert optimizer.optimizers[0].state["step"].item() == 0


def test_a_number_of_a_group_may_be_called_so(tmp_path: Path) -> None:
    of_group = series("loss")
    squares = Eq(of_group[t], over_group(total(grad[t] ** 2)))
    moved = Eq(w[t], w[t - 1] - lr * of_group[t] * grad[t])
    made = build([OptimizerSpec("Called", (lr,), (squares, moved))], tmp_path)
    param = Parameter(np.array([1.0]))
    param.grad = np.array([2.0])
    made.Called([param], accumulation_steps=1).step()
    np.testing.assert_array_equal(param.data, [1.0 - 0.125 * 4 * 2])


def test_a_number_that_no_float_holds_is_infinite() -> None:
    param = Parameter(BEGIN.copy())
    param.grad = np.ones(3)
    AliG([param], lr=0.5).step(loss=10**400)
    np.testing.assert_array_equal(param.data, BEGIN - 0.5)


def test_hooks_see_it_and_may_change_it() -> None:
    param, seen = Parameter(BEGIN.copy()), []
    param.grad = np.ones(3)
    optimizer = AliG([param], lr=10.0, eps=0.0)

    def half(_: Any, args: Any, kwargs: Any) -> Any:
        seen.append((args, dict(kwargs)))
        return args, {"loss": kwargs["loss"] / 2}

    optimizer.register_step_pre_hook(half)
    assert optimizer.step(loss=3.0) == 1.5
    assert seen == [((), {"loss": 3.0})]
    np.testing.assert_array_equal(param.data, BEGIN - 0.5)


def test_batches_are_not_accumulated() -> None:
    with pytest.raises(ValueError, match="AliG: accumulation_steps must be 1, got 4: the eq"):
        AliG([Parameter(BEGIN.copy())], accumulation_steps=4)
    optimizer = AliG([Parameter(BEGIN.copy())])
    with pytest.raises(ValueError, match="accumulation_steps must be 1, got 2"):
        optimizer.accumulation_steps = 2
    assert optimizer.accumulation_steps == 1


@pytest.mark.parametrize("machine", ["numpy", "mlx"])
def test_each_group_has_a_norm_of_its_own_and_all_have_one_loss(machine: str) -> None:
    of = np.array if machine == "numpy" else mx.array
    params = [Parameter(of([1.0])), Parameter(of([1.0])), Parameter(of([1.0]))]
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.25}]
    for param, value in zip(params, (3.0, 4.0, 1.0), strict=True):
        param.grad = of([value])
    AliG(groups, lr=10.0, eps=0.0).step(loss=0.5)
    expected = [1 - 3 * 0.5 / 25, 1 - 4 * 0.5 / 25, 0.75]
    np.testing.assert_allclose([float(p.data[0]) for p in params], expected, rtol=1e-7)


def test_the_library_stays_where_there_is_no_gradient() -> None:
    param = Parameter(BEGIN.copy())
    param.grad = np.zeros(3)
    PolyakSGD([param]).step(loss=1.0)
    np.testing.assert_array_equal(param.data, BEGIN)


def test_states_of_pytorch_optimizer_are_gone_on_from() -> None:
    param = Parameter(BEGIN.copy())
    optimizer = AliG([param], momentum=0.9)
    group = {"params": [0], "max_lr": 0.25, "momentum": 0.5, "adjusted_momentum": True, "step": 3}
    optimizer.load_state_dict(
        {"state": {0: {"momentum_buffer": np.ones(3)}}, "param_groups": [group]}
    )
    assert optimizer.param_groups[0]["lr"] == 0.25
    param.grad = np.ones(3)
    optimizer.step(loss=100.0)
    np.testing.assert_allclose(param.data, BEGIN - 0.25 + 0.5 * 0.25 * (0.5 - 1))
