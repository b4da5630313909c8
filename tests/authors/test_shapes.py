"""An author's spec that asks for the shape of a parameter, and what each parameter gets of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.commands import describe
from lucidgen.ir.lower import lower
from lucidgen.package.catalog import Entry
from lucidgen.passes import optimize
from lucidgen.runtime import Parameter
from lucidgen.spec import OptimizerSpec
from lucidgen.spec.loader import SpecFile
from lucidgen.verify.emitted import settings
from lucidgen.verify.gpu.subjects import Walk, subjects
from lucidgen.verify.replay import Run, replay
from lucidgen.verify.setting import Setting

SPEC = '''
"""Optimizers that ask for shapes."""

from lucidgen.spec import *

lr = hyper("lr", 0.1, at_least=0)
beta = hyper("beta", 0.9, at_least=0, below=1)
least = hyper("least", 6.0, at_least=0)
plain = flag("plain", False)
s, r, c, v, v_hat, m = map(series, ("s", "r", "c", "v", "v_hat", "m"))

Factored = OptimizerSpec(
    "Factored",
    arguments=(lr, beta),
    equations=(
        Eq(s[t], grad[t] ** 2),
        Eq(r[t], beta * r[t - 1] + (1 - beta) * row_mean(s[t])),
        Eq(c[t], beta * c[t - 1] + (1 - beta) * column_mean(s[t])),
        Eq(v[t], beta * v[t - 1] + (1 - beta) * s[t]),
        Eq(v_hat[t], when(ndim >= 2, r[t] * c[t] / column_mean(r[t]), v[t])),
        Eq(w[t], w[t - 1] - lr * sqrt(Max(1, rows / columns)) * grad[t] / (sqrt(v_hat[t]) + 1)),
    ),
)
Filters = Factored.variant("Filters", matrices="first")
Exact = Factored.variant("Exact", matrices="exact")
Elements = OptimizerSpec(
    "Elements",
    arguments=(lr, beta, least, plain),
    equations=(
        Eq(m[t], beta * m[t - 1] + grad[t]),
        Eq(v[t], when(plain | (size < least), grad[t], m[t] / rows)),
        Eq(w[t], w[t - 1] - when(ndim < 2, lr / size, lr) * v[t]),
    ),
)
Counting = OptimizerSpec(
    "Counting",
    arguments=(lr, beta),
    equations=(
        Eq(m[t], beta * m[t - 1] + rows),
        Eq(w[t], w[t - 1] - lr * m[t] * grad[t]),
    ),
)
Rows = OptimizerSpec(
    "Rows", arguments=(lr,), equations=(Eq(w[t], w[t - 1] - lr * row_mean(grad[t] + w[t - 1])),)
)
'''

made: dict[str, Any] = {}
exec(SPEC, made)
SPECS = {name: value for name, value in made.items() if isinstance(value, OptimizerSpec)}

SHAPES = [(3, 4), (5,), (), (2, 3, 2, 2), (6, 2)]


@pytest.fixture(scope="module")
def mine(built: Callable[[str], ModuleType]) -> ModuleType:
    return built(SPEC)


def arrays(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes]


def trained(
    cls: Any, starts: list[Any], count: int = 3, make: Any = np.array, **options: Any
) -> tuple[Any, list[Parameter]]:
    params = [Parameter(make(start)) for start in starts]
    optimizer = cls([(f"p{i}", p) for i, p in enumerate(params)], **options)
    go_on(optimizer, params, range(count), make)
    return optimizer, params


def go_on(optimizer: Any, params: list[Parameter], of: range, make: Any = np.array) -> None:
    for number in of:
        grads = arrays(100 + number, *(tuple(p.data.shape) for p in params))
        for param, grad in zip(params, grads, strict=True):
            param.grad = make(grad)
        optimizer.step()


def test_each_parameter_has_just_the_state_of_its_case(mine: ModuleType) -> None:
    optimizer, params = trained(mine.Factored, arrays(0, *SHAPES))
    kept = [{k: v.shape for k, v in optimizer.state[p].items()} for p in params]
    assert kept == [
        {"r": (3, 1), "c": (1, 4)},
        {"v": (5,)},
        {"v": ()},
        {"r": (2, 3, 2, 1), "c": (2, 3, 1, 2)},
        {"r": (6, 1), "c": (1, 2)},
    ]


@pytest.fixture
def uncompiled() -> Iterator[None]:
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", ["Factored", "Filters", "Elements", "Counting"])
def test_trees_and_groups_of_mlx_step_as_numpy_does(mine: ModuleType, name: str) -> None:
    cls, starts = getattr(mine, name), arrays(0, *SHAPES)
    _, expected = trained(cls, starts)
    optimizer, grouped = trained(cls, starts, make=mx.array)
    params: Any = {f"p{i}": mx.array(start) for i, start in enumerate(starts)}
    of_trees = cls(lr=0.1)
    of_trees.init(params)
    for number in range(3):
        params = of_trees.apply_gradients(tree_of_gradients(number), params)
    for i, param in enumerate(expected):
        for other in (grouped[i].data, params[f"p{i}"]):
            np.testing.assert_allclose(np.array(other), param.data, rtol=3e-6, atol=1e-6)
    saved = of_trees.state_dict()
    assert [sorted(saved["state"].get(i, {})) for i in range(5)] == [
        sorted(optimizer.state[p]) for p in grouped
    ]
    again, ours = cls([(f"p{i}", p) for i, p in enumerate(expected)]), expected
    again.load_state_dict(saved)
    go_on(again, ours, range(3, 4))
    go_on(optimizer, grouped, range(3, 4), mx.array)
    for one, other in zip(ours, grouped, strict=True):
        np.testing.assert_allclose(np.array(other.data), one.data, rtol=3e-6, atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", ["Filters", "Exact", "Elements", "Counting"])
def test_steps_are_those_of_the_equations_for_every_shape(mine: ModuleType, name: str) -> None:
    spec = SPECS[name]
    program, compared = optimize(lower(spec)), 0
    for setting in settings(spec):
        if not setting.maximize:
            start, *grads = arrays(1, *[setting.shape] * 3)
            run = Run(getattr(mine, name), setting, program, start, grads, {})
            for finding in replay(run, ("numpy", "mlx")):
                assert finding.comparison.worst <= 1, f"{setting}: {finding}"
                compared += len(finding.comparison.ratios)
    assert compared >= 200


def tree_of_gradients(number: int) -> dict[str, Any]:
    return {f"p{i}": mx.array(g) for i, g in enumerate(arrays(100 + number, *SHAPES))}


def test_a_captured_step_does_what_one_that_is_not_does(mine: ModuleType) -> None:
    params = {f"p{i}": mx.array(start) for i, start in enumerate(arrays(0, *SHAPES))}
    optimizer = mine.Filters()
    optimizer.init(params)
    step = mx.compile(
        lambda params, grads: optimizer.apply_gradients(grads, params),
        inputs=optimizer.state,
        outputs=optimizer.state,
    )
    for number in range(3):
        params = step(params, tree_of_gradients(number))
    _, expected = trained(mine.Filters, arrays(0, *SHAPES))
    for i, param in enumerate(expected):
        np.testing.assert_allclose(np.array(params[f"p{i}"]), param.data, rtol=3e-6, atol=1e-6)


def test_a_checkpoint_goes_on_to_the_bit_and_one_with_a_gap_is_refused(mine: ModuleType) -> None:
    optimizer, params = trained(mine.Factored, arrays(0, *SHAPES))
    saved = optimizer.state_dict()
    others = [Parameter(p.data.copy()) for p in params]
    other = mine.Factored([(f"p{i}", p) for i, p in enumerate(others)])
    other.load_state_dict(copy.deepcopy(saved))
    go_on(optimizer, params, range(3, 5))
    go_on(other, others, range(3, 5))
    assert all(np.array_equal(p.data, q.data) for p, q in zip(params, others, strict=True))
    del saved["state"][0]["r"]
    with pytest.raises(ValueError, match=r"'p0'\): 'r' missing from the saved state"):
        other.load_state_dict(saved)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("shape", [(12,), (4, 3), (1, 12)])
@pytest.mark.parametrize("make", [np.array, mx.array])
def test_another_shape_under_a_state_is_refused_with_what_to_do(
    mine: ModuleType, shape: tuple[int, ...], make: Any
) -> None:
    optimizer, params = trained(mine.Factored, arrays(0, (3, 4), (12,)), make=make)
    param = params[shape == (1, 12)]
    param.data, param.grad = make(np.ones(shape, np.float32)), make(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=r"\.data has shape .* delete optimizer\.state\[param"):
        optimizer.step()
    del optimizer.state[param]
    optimizer.step()


def test_a_row_reduction_without_a_case_for_vectors_names_parameter_and_equation(
    mine: ModuleType,
) -> None:
    said = (
        r"'p1'.* of shape \(5,\) has no rows.* w\[t\] = .*row_mean.*when\(ndim >= 2, \.\.\., \.\."
    )
    with pytest.raises(ValueError, match=said):
        trained(mine.Rows, arrays(0, (3, 4), (5,)))
    with pytest.raises(ValueError, match=said):
        mine.Rows(lr=0.1).init({"p0": mx.ones((3, 4)), "p1": mx.ones(5)})


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a,
        np.asfortranarray,
        lambda a: a.transpose(3, 1, 0, 2).copy().transpose(2, 1, 3, 0),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    ],
    ids=["C", "Fortran", "permuted", "strided"],
)
def test_the_first_axis_against_all_others_is_a_matrix_in_whatever_layout(
    mine: ModuleType, layout: Callable[[np.ndarray], np.ndarray]
) -> None:
    (start,) = arrays(0, (3, 2, 2, 5))
    optimizer, (param,) = trained(mine.Filters, [start], make=lambda a: layout(np.array(a)))
    flat, (matrix,) = trained(mine.Factored, [start.reshape(3, 20)], count=0)
    for number in range(3):
        (grad,) = arrays(100 + number, (3, 2, 2, 5))
        matrix.grad = grad.reshape(3, 20)
        flat.step()
    assert np.array_equal(param.data.reshape(3, 20), matrix.data)
    assert optimizer.state[param].keys() == {"r", "c"}
    for key, value in flat.state[matrix].items():
        assert np.array_equal(optimizer.state[param][key], value)


def test_where_exactly_two_axes_are_a_matrix_more_are_a_vector(mine: ModuleType) -> None:
    (start,) = arrays(0, (3, 2, 2))
    optimizer, (param,) = trained(mine.Exact, [start])
    assert optimizer.state[param]["v"].shape == (3, 2, 2)
    _, (vector,) = trained(mine.Factored, [start.ravel()])
    assert np.array_equal(param.data.ravel(), vector.data)


def test_a_limit_that_is_an_argument_moves_with_it(mine: ModuleType) -> None:
    optimizer, params = trained(mine.Elements, arrays(0, (3, 4), (5,)))
    assert [list(optimizer.state[p]) for p in params] == [["m"], []]
    optimizer, params = trained(mine.Elements, arrays(0, (3, 4), (5,)), least=5.0)
    assert [list(optimizer.state[p]) for p in params] == [["m"], ["m"]]
    optimizer.param_groups[0]["least"] = 100.0
    go_on(optimizer, params, range(1))


@pytest.mark.parametrize(("shape", "kept"), [((), []), ((3, 4), ["m"])])
def test_a_check_of_kernels_steps_a_parameter_of_the_shape_that_is_checked(
    tmp_path: Path, shape: tuple[int, ...], kept: list[str]
) -> None:
    spec = SPECS["Elements"]
    (subject,) = subjects([spec], tmp_path)
    walk = Walk(subject, Setting(spec, shape=shape), mx.zeros(12))
    assert [state.name for state in walk.settled.arrays] == kept


def test_show_says_what_is_kept_and_what_it_costs_in_each_case(mine: ModuleType) -> None:
    spec = SPECS["Factored"]
    text = describe.overview(Entry(SpecFile(Path("mine.py"), "", (spec,)), spec, spec))
    assert "r: one number per row, kept where ndim >= 2" in text
    assert "v: like the parameter, kept where ndim < 2" in text
    assert "where ndim >= 2:" in text
    assert "two axes, each matrix of its last two axes is worked on by itself." in text
    assert "per element, with every option off: reads w, grad, v; writes w, v" in text
    assert r"\text{if } \text{ndim} \ge 2" in mine.Factored.__doc__
    assert "``v``: :math:`v`, like the parameter; only if ``ndim < 2``" in mine.Factored.__doc__
    one, other = (
        Entry(SpecFile(Path("mine.py"), "", (s,)), s, s)
        for s in (SPECS["Factored"], SPECS["Filters"])
    )
    (change,) = describe.differences(one, other)["matrices"]
    assert (change.left, change.right) == (('matrices = "last"',), ('matrices = "first"',))
    seen = "Of a tensor of more than two axes, one matrix is seen, of the first axis against all"
    assert seen in " ".join(mine.Filters.__doc__.split())
