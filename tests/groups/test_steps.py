"""What takes part in the sums of a group, and what a group keeps: saved, loaded, set by hand."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, AdamW, DoG, Prodigy

MAKE: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda x: np.array(x, np.float32),
    "cpp": lambda x: np.array(x, np.float32),
    "mlx": lambda x: mx.array(np.array(x, np.float32)),
}


def parameters(*values: Any, machine: str = "numpy") -> list[Parameter]:
    return [Parameter(MAKE[machine](value)) for value in values]


def stepped(optimizer: Any, params: Sequence[Parameter], *gradients: Any) -> list[np.ndarray]:
    """The weights after a step for each row of gradients."""
    for row in gradients:
        for param, grad in zip(params, row, strict=True):
            like = mx.array if isinstance(param.data, mx.array) else np.array
            param.grad = None if grad is None else like(np.array(grad, np.float32))
        optimizer.step()
    return [np.array(param.data) for param in params]


ROWS = (([3.0, 0.0], [4.0]), ([0.3, 0.0], [0.4]), ([30.0, 1.0], [-40.0]))


@pytest.mark.parametrize("machine", MAKE)
def test_clipping_over_a_group_is_what_max_grad_norm_does(made: ModuleType, machine: str) -> None:
    ours, theirs = (parameters([1.0, 2.0], [3.0], machine=machine) for _ in range(2))
    written = made.Clipped(ours, lr=0.1, limit=2.0, kernel=machine)
    option = SGD(theirs, lr=0.1, momentum=0.9, max_grad_norm=2.0, kernel=machine)
    for a, b in zip(stepped(written, ours, *ROWS), stepped(option, theirs, *ROWS), strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-7)


def test_clipping_over_a_group_is_what_max_grad_norm_does_in_a_tree(made: ModuleType) -> None:
    trees = [{"a": mx.array([1.0, 2.0]), "b": mx.array([3.0])} for _ in range(2)]
    both = made.Clipped(lr=0.1, limit=2.0), SGD(lr=0.1, momentum=0.9, max_grad_norm=2.0)
    for grads in ({"a": mx.array(a), "b": mx.array(b)} for a, b in ROWS):
        trees = [o.apply_gradients(grads, t) for o, t in zip(both, trees, strict=True)]
    for key in ("a", "b"):
        np.testing.assert_allclose(np.array(trees[0][key]), np.array(trees[1][key]), rtol=3e-7)


@pytest.mark.parametrize("machine", ["numpy", "mlx"])
def test_a_transform_may_clip_over_a_group(made: ModuleType, machine: str) -> None:
    ours, theirs = (parameters([1.0, 2.0], [3.0], machine=machine) for _ in range(2))
    written = made.WithClipping(ours, lr=0.1, limit=2.0)
    option = AdamW(theirs, lr=0.1, max_grad_norm=2.0)
    for a, b in zip(stepped(written, ours, *ROWS), stepped(option, theirs, *ROWS), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_transform_may_limit_a_step_over_a_group(made: ModuleType) -> None:
    params = parameters([1.0, 2.0], [3.0])
    begin = [param.data.copy() for param in params]
    optimizer = made.Bounded(params, lr=0.1, limit=0.03)
    moved = np.concatenate(stepped(optimizer, params, ROWS[0])) - np.concatenate(begin)
    np.testing.assert_allclose(np.linalg.norm(moved), 0.03, rtol=1e-5)


def test_what_sums_read_is_kept_only_where_a_step_keeps_it(made: ModuleType) -> None:
    for amsgrad in (False, True):
        params = parameters([1.0])
        optimizer = made.Bounded(params, amsgrad=amsgrad)
        stepped(optimizer, params, ([1.0],))
        keys = {"step", "exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] * amsgrad)}
        assert optimizer.state[params[0]].keys() == keys


def test_a_step_is_the_same_whether_captured_or_not(made: ModuleType) -> None:
    for name, arguments in (("Kept", {}), ("Twice", {"limit": 0.5})):
        params = parameters([1.0, 2.0], [3.0])
        expected = stepped(getattr(made, name)(params, **arguments), params, *ROWS)
        optimizer = getattr(made, name)(**arguments)
        tree = {"a": mx.array([1.0, 2.0]), "b": mx.array([3.0])}
        optimizer.init(tree)
        mx.enable_compile()
        captured = mx.compile(
            optimizer.apply_gradients, inputs=optimizer.state, outputs=optimizer.state
        )
        for a, b in ROWS:
            tree = captured({"a": mx.array(a), "b": mx.array(b)}, tree)
            mx.eval(tree, optimizer.state)
        mx.disable_compile()
        for key, values in zip(("a", "b"), expected, strict=True):
            np.testing.assert_allclose(np.array(tree[key]), values, rtol=2e-6, err_msg=name)
        assert optimizer.state["group_step"].item() == 3


def test_a_number_of_a_group_in_a_captured_step_can_be_set_between_steps(made: ModuleType) -> None:
    optimizer, tree = made.Kept(), {"a": mx.array([1.0, 2.0])}
    optimizer.init(tree)
    assert optimizer.state["d"].item() == np.float32(0.1)
    mx.enable_compile()
    captured = mx.compile(
        optimizer.apply_gradients, inputs=optimizer.state, outputs=optimizer.state
    )
    tree = captured({"a": mx.array([1.0, 1.0])}, tree)
    optimizer.state["d"] = mx.array(50.0)
    captured({"a": mx.array([1.0, 1.0])}, tree)
    mx.disable_compile()
    assert optimizer.state["d"].item() == 50


@pytest.mark.parametrize("machine", ["numpy", "mlx"])
def test_a_parameter_without_a_gradient_does_not_take_part(made: ModuleType, machine: str) -> None:
    both, one = (parameters([1.0], [2.0], machine=machine) for _ in range(2))
    first, second = made.Clipped(both, limit=1.0), made.Clipped(one[:1], limit=1.0)
    w, other = stepped(first, both, ([3.0], None))
    assert w == stepped(second, one[:1], ([3.0],))[0]
    assert other == 2.0


def test_a_group_without_any_gradient_stays_as_it_is(made: ModuleType) -> None:
    groups = [parameters([1.0]), parameters([2.0])]
    optimizer = made.Kept([{"params": group} for group in groups])
    stepped(optimizer, [*groups[0], *groups[1]], ([3.0], [3.0]))
    kept = dict(optimizer.param_groups[1])
    stepped(optimizer, [*groups[0], *groups[1]], ([9.0], None))
    assert optimizer.param_groups[1] == kept
    assert optimizer.param_groups[0]["group_step"] == 2 == kept["group_step"] + 1
    stepped(optimizer, [*groups[0], *groups[1]], (None, None))
    assert optimizer.param_groups[0]["group_step"] == 2


def test_groups_are_summed_apart(made: ModuleType) -> None:
    params = parameters([0.0], [0.0])
    optimizer = made.Clipped(
        [{"params": params[:1]}, {"params": params[1:], "limit": 2.0}], lr=1.0, limit=1.0
    )
    first, second = stepped(optimizer, params, ([30.0], [40.0]))
    np.testing.assert_allclose([first[0], second[0]], [-1, -2], rtol=1e-6)


@pytest.mark.parametrize("machine", ["numpy", "mlx"])
def test_a_group_of_no_elements_steps(made: ModuleType, machine: str) -> None:
    params = parameters(np.zeros((0, 2)), machine=machine)
    optimizer = made.Clipped(params)
    (w,) = stepped(optimizer, params, (np.zeros((0, 2)),))
    assert w.shape == (0, 2)
    mixed = parameters(np.zeros((0, 2)), [1.0], machine=machine)
    _, moved = stepped(made.Clipped(mixed, lr=1.0), mixed, (np.zeros((0, 2)), [0.5]))
    assert moved == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("machine", ["numpy", "mlx"])
def test_a_gradient_that_is_no_number_makes_none_of_its_group_alone(
    made: ModuleType, machine: str, bad: float
) -> None:
    params = parameters([1.0, 1.0], [1.0], [1.0], machine=machine)
    optimizer = made.Clipped([{"params": params[:2]}, {"params": params[2:]}])
    first, second, third = stepped(optimizer, params, ([bad, 0.5], [0.5], [0.5]))
    assert np.isnan(first[0])
    assert np.isnan(second[0]) if math.isnan(bad) else second[0] == 1.0
    assert third[0] == np.float32(0.95)


def test_a_group_that_is_added_later_begins_by_itself(made: ModuleType) -> None:
    params = parameters([1.0], [2.0])
    optimizer = made.Kept(params[:1])
    stepped(optimizer, params[:1], ([3.0],), ([3.0],))
    optimizer.add_param_group({"params": params[1:], "lr": 0.3})
    stepped(optimizer, params, ([3.0], [0.0]))
    assert [group["group_step"] for group in optimizer.param_groups] == [3, 1]
    assert optimizer.param_groups[1]["d"] == 0.3


def test_maximize_turns_the_gradients_that_are_summed() -> None:
    for sign in (1.0, -1.0):
        params = parameters([1.0, 2.0], [3.0])
        optimizer = Prodigy(params, d0=0.1, maximize=sign < 0)
        rows = [tuple(sign * np.array(g) for g in row) for row in ROWS]
        found = stepped(optimizer, params, *rows)
        if sign > 0:
            expected, d = found, optimizer.param_groups[0]["d"]
        else:
            np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
            assert optimizer.param_groups[0]["d"] == d


@pytest.mark.parametrize("machine", ["numpy", "mlx"])
def test_sums_are_of_gradients_that_are_clipped_already(machine: str) -> None:
    clipped, by_hand = (parameters([1.0, 2.0], [3.0], machine=machine) for _ in range(2))
    first = Prodigy(clipped, d0=0.1, max_grad_norm=1.0)
    second = Prodigy(by_hand, d0=0.1)
    norms = [math.sqrt(sum(np.square(g).sum() for g in map(np.array, row))) for row in ROWS]
    rows = [
        tuple(np.array(g) * min(1, 1 / (norm + 1e-6)) for g in row)
        for row, norm in zip(ROWS, norms, strict=True)
    ]
    found, expected = stepped(first, clipped, *ROWS), stepped(second, by_hand, *rows)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    for key in ("d", "d_numerator"):
        assert first.param_groups[0][key] == pytest.approx(second.param_groups[0][key], rel=1e-5)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sums_of_half_precision_are_taken_in_single(made: ModuleType, kind: str) -> None:
    def array(values: Any) -> Any:
        found = np.array(values, np.float32)
        return found.astype(kind) if kind == "float16" else mx.array(found, dtype=mx.bfloat16)

    params = [Parameter(array(np.zeros(3)))]
    optimizer = made.Clipped(params, lr=1.0, limit=900.0)
    params[0].grad = array(np.full(3, 300.0))  # its square is no float16
    optimizer.step()
    wide = params[0].data.astype(np.float32 if kind == "float16" else mx.float32)
    np.testing.assert_allclose(np.array(wide), -300)
    assert str(params[0].data.dtype).endswith(kind)


def test_steps_with_masters_are_those_of_single_precision() -> None:
    half = [Parameter(np.array([1.0, 2.0], np.float16)), Parameter(np.array([3.0], np.float16))]
    single = parameters([1.0, 2.0], [3.0])
    first, second = Prodigy(half, d0=0.1, master_weights=True), Prodigy(single, d0=0.1)
    for row in ROWS:
        for param, other, grad in zip(half, single, row, strict=True):
            param.grad = np.array(grad, np.float16)
            other.grad = param.grad.astype(np.float32)
        first.step()
        second.step()
    assert first.param_groups[0]["d"] == second.param_groups[0]["d"]
    assert (half[0].data == single[0].data.astype(np.float16)).all()


def kept(optimizer: Any) -> list[dict[str, Any]]:
    return [
        {key: group[key] for key in ("d", "n", "group_step") if key in group}
        for group in optimizer.param_groups
    ]


def two_groups(made: ModuleType, names: str = "ab") -> tuple[Any, list[Parameter]]:
    """Named parameters in groups of their own, and what steps them."""
    params = parameters([1.0], [2.0])
    pairs = list(zip(names, params, strict=True))
    return made.Kept([{"params": [pair]} for pair in pairs]), params


def test_what_a_group_keeps_is_saved_and_loaded(made: ModuleType, tmp_path: Path) -> None:
    optimizer, params = two_groups(made)
    stepped(optimizer, params, ([3.0], [40.0]), ([3.0], None))
    saved, path = optimizer.state_dict(), tmp_path / "kept.safetensors"
    optimizer.save(path)
    for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert kept(copied) == kept(optimizer)
    for load in (lambda o: o.load_state_dict(saved), lambda o: o.load(path)):
        other, _ = two_groups(made)
        load(other)
        assert kept(other) == kept(optimizer)


def test_what_a_group_keeps_goes_with_the_names_of_its_parameters(made: ModuleType) -> None:
    optimizer, params = two_groups(made)
    stepped(optimizer, params, ([3.0], [40.0]))
    turned, _ = two_groups(made, "ba")
    turned.load_state_dict(optimizer.state_dict())
    assert kept(turned) == kept(optimizer)[::-1]


def test_what_a_group_keeps_moves_between_parameters_and_trees(made: ModuleType) -> None:
    params = parameters([1.0, 2.0], [3.0])
    optimizer = made.Kept(list(zip("ab", params, strict=True)))
    stepped(optimizer, params, *ROWS)
    tree = made.Kept()
    tree.init({"a": mx.array([1.0, 2.0]), "b": mx.array([3.0])})
    tree.load_state_dict(optimizer.state_dict())
    assert tree.state["group_step"].item() == 3
    assert tree.state["d"].item() == np.float32(optimizer.param_groups[0]["d"])
    back = made.Kept(list(zip("ab", params, strict=True)))
    back.load_state_dict(tree.state_dict())
    assert back.param_groups[0]["d"] == tree.state["d"].item()
    assert back.param_groups[0]["group_step"] == 3


def test_a_load_without_what_the_group_keeps_is_refused_and_changes_nothing(
    made: ModuleType,
) -> None:
    optimizer, params = two_groups(made)
    stepped(optimizer, params, ([3.0], [40.0]))
    saved, before = optimizer.state_dict(), kept(optimizer)
    del saved["param_groups"][1]["d"]
    with pytest.raises(ValueError, match=r"group 1: 'd' missing from the saved group"):
        optimizer.load_state_dict(saved)
    assert kept(optimizer) == before
    fresh, _ = two_groups(made)
    optimizer.load_state_dict(fresh.state_dict())
    assert kept(optimizer) == [{}, {}]


def test_a_load_of_another_number_of_groups_is_refused(made: ModuleType) -> None:
    optimizer, params = two_groups(made)
    stepped(optimizer, params, ([3.0], [40.0]))
    one = made.Kept(list(zip("ab", params, strict=True)))
    with pytest.raises(ValueError, match="has 2 groups, the optimizer 1"):
        one.load_state_dict(optimizer.state_dict())


def test_what_a_group_keeps_can_be_set_and_must_be_a_number(made: ModuleType) -> None:
    params = parameters([1.0])
    optimizer = made.Kept(params)
    optimizer.param_groups[0]["d"] = 70.0
    stepped(optimizer, params, ([1.0],))
    assert optimizer.param_groups[0]["d"] == 70.0
    optimizer.param_groups[0]["d"] = "much"
    with pytest.raises(TypeError, match="group 0: the saved 'd'"):
        stepped(optimizer, params, ([1.0],))
    optimizer.param_groups[0]["d"] = 7.0
    optimizer.param_groups[0]["group_step"] = 0.5
    with pytest.raises(TypeError, match="group_step must be a whole number"):
        stepped(optimizer, params, ([1.0],))


def test_a_refused_step_changes_nothing_of_the_group(made: ModuleType) -> None:
    params = parameters([1.0], [2.0])
    optimizer = made.Kept(params)
    stepped(optimizer, params, ([1.0], [1.0]))
    before = kept(optimizer)
    params[0].grad, params[1].grad = np.ones(1, np.float32), np.ones(3, np.float32)
    with pytest.raises(ValueError, match="the gradient has shape"):
        optimizer.step()
    assert kept(optimizer) == before


def test_a_step_of_a_mixed_group_sums_numpys_and_mlxs_arrays(made: ModuleType) -> None:
    params = [*parameters([0.0]), *parameters([0.0], machine="mlx")]
    found = stepped(made.Clipped(params, lr=1.0, limit=1.0), params, ([3.0], [4.0]))
    np.testing.assert_allclose(np.concatenate(found), [-0.6, -0.8], rtol=1e-6)


def test_means_of_several_batches_are_summed_once(made: ModuleType) -> None:
    params, others = parameters([1.0], [2.0]), parameters([1.0], [2.0])
    optimizer = made.Kept(params, accumulation_steps=2)
    stepped(optimizer, params, ([1.0], [3.0]), ([3.0], [5.0]))
    other = made.Kept(others)
    assert stepped(other, others, ([2.0], [4.0])) == [p.data for p in params]
    assert kept(optimizer) == kept(other)


def test_dog_and_prodigy_learn() -> None:
    for cls in (DoG, Prodigy):
        (param,) = params = parameters([5.0, -3.0])
        optimizer = cls(params)
        for _ in range(400):
            param.grad = 2 * param.data
            optimizer.step()
        assert np.abs(param.data).max() < 0.5, cls
    assert AdamW.rules["torch"].group_keys == ()
