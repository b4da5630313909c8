"""What the documentation of single built-in optimizers promises."""

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import ASGD, Adagrad, RMSprop, Rprop

MAKERS = {
    "float64": lambda values: np.array(values, np.float64),
    "float32": lambda values: np.array(values, np.float32),
    "mlx": lambda values: mx.array(values, mx.float32),
}


def constant_gradients(optimizer, parameter, make, steps):
    """Step with the same gradients; the first step after which something is not finite."""
    gradient = make([1.0, -3.0, 0.1])
    for step in range(1, steps + 1):
        parameter.grad = gradient
        optimizer.step()
        if step % 100 == 0 and not np.isfinite(np.array(parameter.data)).all():
            return step
    return None


@pytest.mark.parametrize(("array", "momentum"), [("float64", 0.0), ("float32", 0.9), ("mlx", 0.0)])
def test_centered_rmsprop_stays_finite_under_constant_gradients(array, momentum):
    make = MAKERS[array]
    parameter = Parameter(make([0.0, 0.0, 0.0]))
    optimizer = RMSprop(
        [parameter], centered=True, momentum=momentum, kernel="numpy" if array != "mlx" else "mlx"
    )
    assert constant_gradients(optimizer, parameter, make, 10_000) is None
    assert (np.sign(np.array(parameter.data)) == [-1, 1, -1]).all()


def test_centered_rmsprop_turns_to_nan_as_in_torch_without_the_clamp():
    parameter = Parameter(np.zeros(3))
    optimizer = RMSprop([parameter], centered=True, clamp=False)
    assert constant_gradients(optimizer, parameter, MAKERS["float64"], 5000) is not None


@pytest.mark.parametrize("t0", [0, 3])
def test_the_average_of_asgd_is_that_of_the_parameters_after_t0(t0):
    parameter = Parameter(np.array([1.0, -2.0]))
    optimizer = ASGD([parameter], lr=0.1, t0=t0)
    seen = []
    for gradient in np.random.RandomState(0).randn(9, 2):
        parameter.grad = gradient
        optimizer.step()
        seen.append(parameter.data.copy())
    # mu is 1/max(1, t - t0) of the step before, so that the parameters after t0 + 1 count.
    assert optimizer.state[parameter]["ax"] == pytest.approx(np.mean(seen[t0 + 1 :], axis=0))


def test_rprop_refuses_factors_that_do_not_surround_one():
    with pytest.raises(ValueError, match="one number below 1 and one above it"):
        Rprop([Parameter(np.zeros(2))], etas=(1.2, 0.5))


def test_a_dialects_own_argument_is_refused_elsewhere():
    parameter = Parameter(np.zeros(2))
    assert ASGD([parameter]).defaults.get("momentum", 0) == 0
    assert ASGD([parameter], momentum=0.9, dialect="lucid2").defaults["momentum"] == 0.9
    with pytest.raises(ValueError, match=r"momentum=0\.9 is not part of the dialect 'torch'"):
        ASGD([parameter], momentum=0.9)
    assert 'Only in dialect "lucid2".' in ASGD.__doc__


def test_a_dict_of_another_dialect_is_refused_with_the_dialect_that_fits():
    saved, parameter = Parameter(np.zeros(2)), Parameter(np.zeros(2))
    saved.grad = np.ones(2)
    optimizer = Adagrad([saved], dialect="lucid2")
    optimizer.step()
    state = {"state": optimizer.state_dict()["state"], "param_groups": [{"params": [0]}]}
    assert list(state["state"][0]) == ["step", "sum_sq_grad"]
    with pytest.raises(ValueError, match=r"keeps sum; construct .* dialect='lucid2'"):
        Adagrad([parameter]).load_state_dict(state)


def test_lucid_2_saves_the_step_size_of_rprop_as_an_array():
    parameter = Parameter(np.zeros(2))
    optimizer = Rprop([parameter], dialect="lucid2")
    state = {"step": 1, "prev_grad": np.ones(2), "step_size": np.full(2, 0.25)}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": [{"params": [0]}]})
    assert optimizer.state[parameter]["step_size"] == 0.25
    state["step_size"][1] = 0.5
    with pytest.raises(ValueError, match="'step_size' must be one number"):
        optimizer.load_state_dict({"state": {0: state}, "param_groups": [{"params": [0]}]})
