"""An author's own optimizer goes on from the state of another library, as the spec says it."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest

import lucidgen

SPEC = """
    '''An optimizer whose velocity holds the learning rate.'''
    from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, series, t, w, when, where

    lr = hyper("lr", 1e-2, at_least=0)
    mu = hyper("mu", 0.9, at_least=0, below=1, special=0)
    heat = hyper("heat", 0.0, at_least=0, special=0)
    decoupled = flag("decoupled", True)
    velocity, size = series("velocity"), series("size", saved_as="steps")

    Mine = OptimizerSpec(
        "Mine",
        arguments=(lr, mu, heat, decoupled),
        saved_elsewhere={
            "torch": {"momentum_buffer": -velocity[t] / lr, "mu_product": size[t]},
            "mlx": {"v": -velocity[t] / lr, "n": size[t]},
            "keras": {"speed": velocity[t], "size": 2 * size[t]},
            "optax": {"trail": -velocity[t], "heights": size[t]},
            "pytorch_optimizer": {
                "k": t,
                "buffer1": velocity[t] / (1 - mu),
                "size": size[t],
                "momentum": mu,
                "warm": (heat,),
                "decouple": decoupled,
                "fixed": False,
                "hot": where(heat, True),
            },
        },
        equations=(
            Eq(velocity[t], mu * velocity[t - 1] - lr * grad[t]),
            Eq(size[t], size[t - 1] + t),
            Eq(w[t], w[t - 1] + velocity[t] + when(heat, heat * when(decoupled, 1, size[t]), 0)),
        ),
    )
"""
Built = Callable[[str], ModuleType]


def made(built: Built, **arguments: Any) -> Any:
    """The author's optimizer of one parameter."""
    w = lucidgen.Parameter(np.array([1.0, -2.0]))
    return built(SPEC).Mine([("w", w)], lr=0.1, **arguments), w


def entry(optimizer: Any) -> dict[str, Any]:
    """What it has for its parameter."""
    found: dict[str, Any] = optimizer.state_dict()["state"][0]
    return found


def test_a_run_of_mlx_goes_on_as_it_would_have(built: Built) -> None:
    with mx.stream(mx.cpu):
        theirs = mlx.optimizers.SGD(0.1, momentum=0.9)
        tree = {"w": mx.array([1.0, -2.0], dtype=mx.float64)}
        theirs.init(tree)
        theirs.state["learning_rate"] = mx.array(0.1, dtype=mx.float64)
        gradients = [np.array([0.5, 1.0]) * k for k in range(1, 7)]
        for grad in gradients[:3]:
            tree = theirs.apply_gradients({"w": mx.array(grad, dtype=mx.float64)}, tree)
            mx.eval(tree, theirs.state)
        ours, w = made(built)
        w.data[...] = np.array(tree["w"])
        # It keeps one number that MLX has not.
        ours.load_state_dict({**theirs.state, "w": {**theirs.state["w"], "n": np.array(6.0)}})
        assert entry(ours)["step"] == 3
        for grad in gradients[3:]:
            tree = theirs.apply_gradients({"w": mx.array(grad, dtype=mx.float64)}, tree)
            w.grad = grad
            ours.step()
        np.testing.assert_allclose(w.data, np.array(tree["w"]), rtol=1e-14)


def test_keras_variables_go_by_the_keys_of_the_spec(built: Built) -> None:
    ours, _ = made(built)
    ours.load_state_dict(
        {
            "mine/iteration": 4,
            "mine/learning_rate": 0.5,
            "mine/dense_kernel_speed": np.array([3.0, 4.0]),
            "mine/size": 20.0,
        }
    )
    assert entry(ours)["velocity"].tolist() == [3.0, 4.0]
    assert (entry(ours)["steps"], ours.param_groups[0]["lr"]) == (10.0, 0.5)


TrailState = namedtuple("TrailState", "count trail heights")
ScaleState = namedtuple("ScaleState", "scale")
Wrapper = namedtuple("Wrapper", "inner")


def test_fields_that_no_optimizer_of_ours_has_come_from_optax_too(built: Built) -> None:
    ours, _ = made(built)
    state = TrailState(np.array(4), {"w": np.array([3.0, 4.0])}, {"w": np.array(10.0)})
    beside = ScaleState(np.array(0.5))  # one number, of no parameter
    ours.load_state_dict(lucidgen.from_optax(Wrapper((state, beside))))
    assert entry(ours)["velocity"].tolist() == [-3.0, -4.0]
    assert (entry(ours)["steps"], entry(ours)["step"]) == (10.0, 4)


def pytorch_optimizer(**changes: Any) -> dict[str, Any]:
    """A state dict as pytorch_optimizer's are, with other values in its group."""
    values = {"lr": 0.5, "momentum": 0.75, "warm": 0.0, "decouple": False, "fixed": False}
    buffers = {0.0: np.array([7.0, 7.0]), 0.75: np.array([8.0, 4.0])}
    return {
        "state": {"k": 6, 0: {"buffer": dict(reversed(buffers.items())), "size": 21.0}},
        "param_groups": [{**values, "hot": False, "step": 9, "params": [0], **changes}],
    }


def test_counts_arguments_and_settings_of_pytorch_optimizer_have_our_names(built: Built) -> None:
    ours, _ = made(built)
    ours.load_state_dict(pytorch_optimizer())
    assert entry(ours)["velocity"].tolist() == [2.0, 1.0]
    assert entry(ours)["step"] == 6
    group = ours.param_groups[0]
    found = {name: group[name] for name in ("lr", "mu", "heat", "decoupled")}
    assert found == {"lr": 0.5, "mu": 0.75, "heat": 0.0, "decoupled": False}
    ours.load_state_dict(pytorch_optimizer(warm=None))
    assert group["heat"] == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixed": True}, "saved with fixed=True, but what is computed here is that of fixed=F"),
        ({"warm": 1.0}, "saved with hot=False, but what is computed here is that of hot=True"),
        ({"momentum": "high"}, "mu must be a number, got 'high'"),
        ({"step": None, "decouple": 1}, "decoupled must be True or False, got 1"),
    ],
)
def test_a_setting_that_means_another_optimizer_is_refused(
    built: Built, changes: dict[str, Any], message: str
) -> None:
    ours, _ = made(built)
    with pytest.raises((ValueError, TypeError), match=f"^Mine: .*{message}"):
        ours.load_state_dict(pytorch_optimizer(**changes))
    assert not ours.state_dict()["state"]


def test_a_setting_under_a_condition_matters_where_it_holds(built: Built) -> None:
    ours, _ = made(built)
    ours.load_state_dict(pytorch_optimizer(warm=1.0, hot=True))
    assert ours.param_groups[0]["heat"] == 1.0


def test_states_of_torch_go_under_their_keys_but_for_those_that_differ(built: Built) -> None:
    ours, _ = made(built)
    saved = {"step": 6.0, "momentum_buffer": np.array([3.0, 4.0]), "mu_product": 21.0}
    ours.load_state_dict(
        {"state": {0: saved}, "param_groups": [{"lr": 0.5, "mu": 0.75, "params": [0]}]}
    )
    assert entry(ours)["velocity"].tolist() == [-1.5, -2.0]
    assert (entry(ours)["steps"], entry(ours)["step"]) == (21.0, 6)
