"""Clipping by value and by the global norm: as torch's, for every kind of array and kernel."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from cases import fingerprint
from cases_around import CASES_AROUND
from compare import FLOAT32, FLOAT64
from recording import Recording
from replay import assert_same, mlx32, numpy32, numpy64, run

from lucidgen import Parameter
from lucidgen.optim import LARS, SGD, Adam, AdamW, NAdam
from lucidgen.verify.gpu.machine import Machine

TORCH = Recording("torch_around")


def parameters(*gradients: Any, make: Any = np.array) -> list[Parameter]:
    """Parameters of ones with these gradients."""
    found = []
    for gradient in gradients:
        array = make(gradient)
        ones = np.ones_like if isinstance(array, np.ndarray) else mx.ones_like
        parameter = Parameter(ones(array))
        parameter.grad = array
        found.append(parameter)
    return found


def test_the_recording_is_of_these_cases() -> None:
    about = {"library": "torch", "version": "2.13.0", "cases": fingerprint(CASES_AROUND)}
    assert TORCH.about == about
    assert sorted(TORCH.cases) == sorted(CASES_AROUND)


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
@pytest.mark.parametrize("name", CASES_AROUND)
def test_a_clipped_step_is_torchs(name: str, kernel: str) -> None:
    case = CASES_AROUND[name]
    assert_same(run(case, numpy64, kernel=kernel), TORCH, case, FLOAT64)
    assert_same(run(case, numpy32, kernel=kernel), TORCH, case, FLOAT32)


@pytest.mark.parametrize("name", CASES_AROUND)
def test_a_clipped_step_on_mlx_arrays_is_torchs(name: str, uncompiled: None) -> None:
    assert_same(run(CASES_AROUND[name], mlx32), TORCH, CASES_AROUND[name], FLOAT32)


@pytest.mark.parametrize("name", ["AdamW-both", "SGD-norm-maximize"])
def test_a_compiled_clipped_step_is_torchs(name: str) -> None:
    assert_same(run(CASES_AROUND[name], mlx32), TORCH, CASES_AROUND[name], FLOAT32)


def test_a_metal_kernel_clips_as_the_compiled_function_does(uncompiled: None) -> None:
    machine = Machine(at_once=True)
    with machine.installed():
        case = CASES_AROUND["AdamW-both"]
        assert_same(run(case, mlx32, kernel="metal"), TORCH, case, FLOAT32)
    machine.close()


# The norm


def test_the_norm_is_that_of_all_groups_and_can_be_read() -> None:
    a, b = parameters([3.0, 0.0], [4.0])
    optimizer = SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=1.0, max_grad_norm=1.0)
    assert optimizer.grad_norm is None
    optimizer.step()
    assert optimizer.grad_norm == 5
    np.testing.assert_allclose(a.data, [1 - 3 / 5, 1], rtol=1e-6)
    np.testing.assert_allclose(b.data, [1 - 0.5 * 4 / 5], rtol=1e-6)


def test_a_norm_below_the_limit_changes_nothing() -> None:
    (a,), (b,) = parameters([0.3, -0.4]), parameters([0.3, -0.4])
    SGD([a], lr=0.1, max_grad_norm=0.6).step()
    SGD([b], lr=0.1).step()
    assert a.data.tobytes() == b.data.tobytes()


def test_squares_of_half_precision_gradients_do_not_overflow() -> None:
    (a,) = parameters(np.full(4, 1000, np.float16))
    optimizer = SGD([a], lr=1.0, max_grad_norm=1.0)
    optimizer.step()
    assert optimizer.grad_norm == 2000
    np.testing.assert_allclose(a.data, np.full(4, 0.5), rtol=2**-11)
    (b,) = parameters([1000.0] * 4, make=lambda x: mx.array(x, dtype=mx.float16))
    optimizer = SGD([b], lr=1.0, max_grad_norm=1.0)
    optimizer.step()
    assert optimizer.grad_norm.item() == 2000


def test_a_gradient_of_any_layout_counts_once() -> None:
    values = np.arange(24.0).reshape(4, 6)
    for gradient in (values, values.T, values[::2, 1::2], np.asfortranarray(values)):
        (a,) = parameters(gradient, make=lambda x: x)
        optimizer = SGD([a], lr=1.0, max_grad_norm=1.0)
        optimizer.step()
        assert optimizer.grad_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-14)


@pytest.mark.parametrize("size", [1000, 50_000, 3_000_001])
@pytest.mark.parametrize(
    ("make", "promised"),
    [
        (lambda values: values, 1e-10),
        (lambda values: values.astype(np.float32), 1e-4),
        (lambda values: mx.array(values.astype(np.float32)), 1e-4),
    ],
    ids=["float64", "float32", "mlx"],
)
def test_the_norm_is_as_right_as_is_promised_of_however_many_elements(
    make: Any, promised: float, size: int
) -> None:
    # Equal elements are the worst: every addition rounds in the same direction.
    found = parameters(np.full(size, 1 + 2.0**-10), np.full(9, 0.5), make=make)
    optimizer = SGD(found, lr=1.0, max_grad_norm=1.0)
    optimizer.step()
    exact = math.sqrt(size * (1 + 2.0**-10) ** 2 + 9 * 0.25)
    assert float(optimizer.grad_norm) == pytest.approx(exact, rel=promised)


def test_kernels_for_one_kind_of_arrays_find_the_same_norm() -> None:
    values = np.random.default_rng(2).standard_normal(70_000).astype(np.float32)
    for make, kernels in ((np.array, ("numpy", "cpp")), (mx.array, ("mlx", "cpp"))):
        norms = []
        for kernel in kernels:
            optimizer = SGD(parameters(values, make=make), max_grad_norm=1.0, kernel=kernel)
            optimizer.step()
            norms.append(float(optimizer.grad_norm))
        assert norms[0] == norms[1]


@pytest.mark.parametrize("make", [np.array, mx.array], ids=["numpy", "mlx"])
@pytest.mark.parametrize("gradient", [[3.0, 4.0], [np.inf, 1.0], [np.nan, 1.0]])
def test_an_infinite_limit_only_measures(gradient: list[float], make: Any) -> None:
    limits = {"max_grad_norm": float("inf"), "max_grad_value": float("inf")}
    norm = np.linalg.norm(gradient)
    (mine,), (plain,) = parameters(gradient, make=make), parameters(gradient, make=make)
    optimizer = SGD([mine], lr=0.1, **limits)
    optimizer.step()
    SGD([plain], lr=0.1).step()
    np.testing.assert_array_equal(np.array(mine.data), np.array(plain.data))
    np.testing.assert_array_equal(float(optimizer.grad_norm), norm)
    other = SGD([mine], lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.max_grad_norm == float("inf")
    if make is mx.array:
        by_tree = SGD(lr=0.1, **limits)
        made = by_tree.apply_gradients({"w": plain.grad}, {"w": mx.ones(2)})
        np.testing.assert_array_equal(np.array(made["w"]), np.array(plain.data))
        np.testing.assert_array_equal(by_tree.grad_norm.item(), norm)


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_spoils_everything_as_in_torch(bad: float, kernel: str) -> None:
    a, b = parameters([bad, 1.0], [2.0])
    SGD([a, b], lr=1.0, max_grad_norm=1.0, kernel=kernel).step()
    lost = np.isnan(bad)  # an infinite norm makes zeros of finite gradients
    np.testing.assert_array_equal(a.data, [np.nan, np.nan if lost else 1])
    np.testing.assert_array_equal(b.data, [np.nan if lost else 1])


def test_mlx_arrays_are_spoilt_in_the_same_way() -> None:
    a, b = parameters([np.inf, 1.0], [2.0], make=mx.array)
    SGD([a, b], lr=1.0, max_grad_norm=1.0).step()
    np.testing.assert_array_equal(np.array(a.data), [np.nan, 1])
    np.testing.assert_array_equal(np.array(b.data), [1])


def test_value_clips_infinities_and_leaves_nans() -> None:
    for make in (np.array, mx.array):
        (a,) = parameters([np.inf, -np.inf, np.nan, 0.1], make=make)
        SGD([a], lr=1.0, max_grad_value=0.5).step()
        np.testing.assert_allclose(np.array(a.data), [0.5, 1.5, np.nan, 0.9], rtol=1e-6)


def test_numpy_and_mlx_parameters_share_one_norm() -> None:
    (a,), (b,) = parameters([3.0]), parameters([4.0], make=mx.array)
    optimizer = SGD([a, b], lr=1.0, max_grad_norm=1.0)
    optimizer.step()
    assert optimizer.grad_norm == 5
    assert a.data[0] == pytest.approx(1 - 3 / 5)
    assert b.data.item() == pytest.approx(1 - 4 / 5)


def test_a_parameter_without_gradient_has_no_part_in_the_norm() -> None:
    a, b = parameters([3.0], [4.0])
    b.grad = None
    optimizer = SGD([a, b], lr=1.0, max_grad_norm=1.0)
    optimizer.step()
    assert optimizer.grad_norm == 3
    a.grad = None
    optimizer.step()
    assert optimizer.grad_norm == 0


def test_a_rule_that_reduces_over_tensors_sees_clipped_gradients() -> None:
    for make in (np.array, mx.array):
        (a,), (b,) = parameters([3.0, 4.0], make=make), parameters([0.6, 0.8], make=make)
        LARS([a], lr=0.1, momentum=0.9, max_grad_norm=1.0).step()
        LARS([b], lr=0.1, momentum=0.9).step()
        np.testing.assert_allclose(np.array(a.data), np.array(b.data), rtol=2e-6)


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_gradients_are_only_read(kernel: str) -> None:
    gradients = [np.full((5, 3), 2.0, np.float32), np.full(7, -3.0, np.float32)]
    for gradient in gradients:
        gradient.flags.writeable = False
    found = parameters(*gradients, make=lambda x: x)
    AdamW(found, max_grad_norm=0.1, max_grad_value=0.01, kernel=kernel).step()
    assert found[0].grad is gradients[0]
    assert (gradients[0] == 2).all()


# Changes, groups, saving


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_both_limits_can_change_between_steps(kernel: str) -> None:
    rng = np.random.default_rng(0)
    mine, plain = (parameters([3.0, 4.0], np.ones(9)) for _ in range(2))
    optimizer = NAdam(mine, lr=0.1, kernel=kernel)
    reference = NAdam(plain, lr=0.1, kernel=kernel)
    limits = ((None, None), (1.0, None), (None, 0.2), (2.0, 0.5), (None, None), (1, None))
    for norm, value in limits:
        optimizer.max_grad_norm = norm
        optimizer.param_groups[0]["max_grad_value"] = value
        for a in mine:
            a.grad = rng.standard_normal(a.data.shape)
        total = np.sqrt(sum(np.sum(a.grad**2) for a in mine))
        factor = 1 if norm is None else min(1, norm / (total + 1e-6))
        for a, b in zip(mine, plain, strict=True):
            b.grad = a.grad * factor if value is None else np.clip(a.grad * factor, -value, value)
        optimizer.step()
        reference.step()
        assert (optimizer.grad_norm is None) == (norm is None)
        for a, b in zip(mine, plain, strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-13)


def test_groups_may_clip_by_different_values() -> None:
    a, b, c = parameters([9.0], [9.0], [9.0])
    groups = [
        {"params": [a]},
        {"params": [b], "max_grad_value": 0.5},
        {"params": [c], "max_grad_value": None},
    ]
    SGD(groups, lr=1.0, max_grad_value=2.0).step()
    assert [p.data.item() for p in (a, b, c)] == [-1.0, 0.5, -8.0]


def test_both_limits_are_saved_loaded_copied_and_pickled() -> None:
    optimizer = Adam(parameters([3.0]), max_grad_norm=0.5, max_grad_value=0.25)
    saved = optimizer.state_dict()
    assert saved["options"] == {"max_grad_norm": 0.5}
    other = Adam(parameters([3.0]))
    assert "options" not in other.state_dict()
    other.load_state_dict(saved)
    for found in (other, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert found.max_grad_norm == 0.5
        assert found.param_groups[0]["max_grad_value"] == 0.25
    other.load_state_dict(Adam(parameters([3.0])).state_dict())
    assert other.max_grad_norm == 0.5  # what was not saved stays as it is


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_grad_norm": 0.0}, ValueError, "max_grad_norm must be above 0, got 0.0; None does"),
        ({"max_grad_norm": True}, TypeError, "max_grad_norm must be a number"),
        ({"max_grad_norm": float("nan")}, ValueError, "max_grad_norm must be finite"),
        ({"max_grad_value": -1}, ValueError, "max_grad_value must be at least 0, got -1.0"),
        ({"max_grad_value": "1"}, TypeError, "max_grad_value must be a number"),
        ({"max_grad_nrom": 1.0}, TypeError, "no argument 'max_grad_nrom'; did you mean 'max_gr"),
        ({"foreach": 1}, TypeError, "foreach must be True, False or None, got 1"),
        ({"differentiable": True}, ValueError, "differentiable=True is not possible"),
    ],
)
def test_an_option_out_of_its_range_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Adam(parameters([1.0]), **options)


def test_a_limit_out_of_its_range_is_refused_before_anything_changes() -> None:
    (a,) = parameters([1.0])
    optimizer = Adam([a], max_grad_norm=1.0)
    with pytest.raises(ValueError, match="Adam: max_grad_norm must be above 0"):
        optimizer.max_grad_norm = -1
    assert optimizer.max_grad_norm == 1
    optimizer.param_groups[0]["max_grad_value"] = -1
    with pytest.raises(ValueError, match="Adam: group 0: max_grad_value must be at least 0"):
        optimizer.step()
    assert a.data == 1
    optimizer.param_groups[0]["max_grad_value"] = None
    saved = Adam(parameters([1.0])).state_dict()
    with pytest.raises(ValueError, match="unknown saved options 'kernel'"):
        optimizer.load_state_dict({**saved, "options": {"kernel": "cpp"}})
    with pytest.raises(TypeError, match="the saved options must be a dict"):
        optimizer.load_state_dict({**saved, "options": [1]})


def test_what_torch_has_for_its_machinery_makes_no_difference() -> None:
    (a,), (b,) = parameters([0.5]), parameters([0.5])
    machinery = {"foreach": True, "fused": False, "capturable": None, "differentiable": False}
    optimizer = AdamW([a], **machinery)
    optimizer.step()
    AdamW([b]).step()
    assert a.data == b.data
    assert not machinery.keys() & optimizer.param_groups[0].keys()


# The MLX idiom


def trained(steps: int, captured: bool, **options: Any) -> tuple[Any, Any, list[float]]:
    mx.random.seed(1)
    model = nn.Linear(4, 2)
    optimizer = AdamW(lr=0.1, **options)
    optimizer.init(model.trainable_parameters())
    x, y = mx.random.normal((8, 4)), 30 * mx.random.normal((8, 2))
    gradients = nn.value_and_grad(model, lambda m: mx.mean((m(x) - y) ** 2))

    def step() -> None:
        optimizer.update(model, gradients(model)[1])

    state = [model.state, optimizer.state]
    run = mx.compile(step, inputs=state, outputs=state) if captured else step
    norms = []
    for _ in range(steps):
        run()
        mx.eval(state)
        norms.append(optimizer.grad_norm.item())
    return model, optimizer, norms


def test_a_captured_step_clips_and_gives_the_norm() -> None:
    options: dict[str, Any] = {"max_grad_norm": 0.5, "max_grad_value": 0.2}
    model, optimizer, norms = trained(3, True, **options)
    eager, _, expected = trained(3, False, **options)
    assert len(set(norms)) == 3
    np.testing.assert_allclose(norms, expected, rtol=1e-5)
    np.testing.assert_allclose(model.weight, eager.weight, rtol=1e-5)
    for change in (
        lambda: setattr(optimizer, "max_grad_norm", 0.7),
        lambda: optimizer.param_groups[0].update(max_grad_value=0.7),
    ):
        with pytest.raises(RuntimeError, match="cannot change after the step was traced"):
            change()


def test_the_mlx_idiom_clips_as_a_step_does() -> None:
    model, _, _ = trained(1, False, max_grad_norm=0.5)
    mx.random.seed(1)
    other = nn.Linear(4, 2)
    x, y = mx.random.normal((8, 4)), 30 * mx.random.normal((8, 2))
    _, grads = nn.value_and_grad(other, lambda m: mx.mean((m(x) - y) ** 2))(other)
    found = {name: Parameter(other[name]) for name in ("weight", "bias")}
    for name, parameter in found.items():
        parameter.grad = grads[name]
    AdamW(found.values(), lr=0.1, max_grad_norm=0.5).step()
    np.testing.assert_allclose(found["weight"].data, model.weight, rtol=1e-6)
