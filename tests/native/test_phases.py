"""Loops with reductions between them: right in every digit, whoever does which part of them."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from readings import rule_of, sample

from lucidgen import Parameter, optim
from lucidgen.ir.lower import lower
from lucidgen.package.catalog import Entry
from lucidgen.passes import optimize
from lucidgen.runtime.backends.loops import pointer_table
from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    mean,
    norm,
    series,
    t,
    total,
    w,
    when,
)
from lucidgen.targets.cpp import loops
from lucidgen.verify.emitted import build

lr, early, x = hyper("lr", 0.1), flag("early", False), series("x")

#: The readings with phases.
READINGS = [p for p in sample("cpp") if not rule_of(*p.values).elementwise]

#: The last are large enough for several threads to share them; not all of their blocks are whole.
SHAPES = [(), (1,), (0, 3), (3, 0), (33, 65), (1_100, 3), (70_000,), (2, 2_100, 33), (65, 4_200)]

#: Those that make do for what half types add: elements, what is read again, numbers, rows, columns.
WIDENED = ("Adafactor", "Adalite", "FAdam")

Arrays = list[np.ndarray[Any, Any]]


def gradient(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def trained(
    cls: Any, dtype: Any, kernel: str = "cpp", layout: Any = np.asarray, **chosen: Any
) -> Arrays:
    """Weights and states after three steps."""
    rng = np.random.default_rng(1)
    parameters = [Parameter(gradient(rng, shape, dtype)) for shape in SHAPES]
    optimizer = cls(parameters, kernel=kernel, **chosen)
    for step in range(3):
        for i, parameter in enumerate(parameters):
            grad = layout(gradient(rng, SHAPES[i], dtype))
            parameter.grad = None if (step, i) == (1, 4) else grad
        with np.errstate(invalid="ignore"):  # means of nothing
            optimizer.step()
    states = [optimizer.state[parameter] for parameter in parameters]
    return [p.data for p in parameters] + [np.asarray(v) for s in states for v in s.values()]


def assert_same(ours: Arrays, theirs: Arrays) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        assert mine.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("reading", "dtype"),
    [
        pytest.param(*p.values, dtype, marks=marks, id=f"{p.id}-{dtype.__name__}")
        for p in READINGS
        for dtype in (np.float32, np.float64, np.float16)
        for few in [dtype is np.float32 or (dtype is np.float16 and p.id in WIDENED)]
        for marks in [p.marks if few else pytest.mark.complete]
    ],
)
def test_the_number_of_threads_makes_no_difference(
    reading: Entry, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls, chosen = getattr(optim, reading.main.name), {"dialect": reading.spec.reading}
    found = []
    for threads in (1, 2, 3, 1000):
        monkeypatch.setattr(pointer_table, "threads", partial(int, threads))
        found.append(trained(cls, dtype, **chosen))
    for others in found[1:]:
        assert_same(found[0], others)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, -1)[..., ::2]])
def test_the_layout_of_a_gradient_makes_no_difference(layout: Any) -> None:
    def other(grad: Any) -> Any:
        return layout(grad) if grad.ndim > 1 else grad

    assert_same(trained(optim.LAMB, np.float32), trained(optim.LAMB, np.float32, layout=other))


def test_a_tensor_gets_what_it_gets_alone() -> None:
    together = trained(optim.NovoGrad, np.float32)
    rng = np.random.default_rng(1)
    starts = [gradient(rng, shape, np.float32) for shape in SHAPES]
    alone = [Parameter(start) for start in starts]
    optimizers = [optim.NovoGrad([p], kernel="cpp") for p in alone]
    for step in range(3):
        for i, parameter in enumerate(alone):
            grad = gradient(rng, SHAPES[i], np.float32)
            parameter.grad = None if (step, i) == (1, 4) else grad
            optimizers[i].step()
    assert_same(together[: len(SHAPES)], [p.data for p in alone])


@pytest.mark.parametrize(
    ("dtype", "error"),
    [(np.float32, 132 * 2.0**-24), (np.float64, 1100 * 2.0**-53)],
    ids=["float32", "float64"],
)
def test_sums_of_millions_are_right(dtype: Any, error: float) -> None:
    """The norm that NovoGrad keeps, of terms that a running sum would lose.

    In four lanes or more, 512 floats make 128 in a row at most; doubles are at most 1,024.
    """
    grad = np.full(5_000_003, 0.1, dtype)
    grad[0] = 3e3
    parameter = Parameter(np.zeros_like(grad))
    optimizer = optim.NovoGrad([parameter], kernel="cpp")
    parameter.grad = grad
    optimizer.step()
    exact = float(dtype(0.1)) ** 2 * (len(grad) - 1) + 9e6
    assert abs(float(optimizer.state[parameter]["grads_ema"]) - exact) <= error * exact


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["LARS", "LAMB", "NovoGrad", "StableAdamW"])
def test_what_is_no_number_goes_where_it_goes_in_numpy(name: str, bad: float) -> None:
    results = []
    for kernel in ("cpp", "numpy"):
        parameters = [Parameter(np.linspace(-1, 1, 3000, dtype=np.float32)) for _ in range(2)]
        optimizer = getattr(optim, name)(parameters, kernel=kernel)
        for step in range(2):
            for parameter in parameters:
                parameter.grad = np.linspace(1, 2, 3000, dtype=np.float32)
            parameters[0].grad[1234] = bad if step else 1
            optimizer.step()
        results.append([p.data for p in parameters])
    for ours, theirs in zip(*results, strict=True):
        assert np.array_equal(np.isnan(ours), np.isnan(theirs))
        assert np.array_equal(np.isinf(ours), np.isinf(theirs))
    assert np.isfinite(results[0][1]).all()


def test_squares_that_overflow_make_an_infinite_norm_as_elsewhere() -> None:
    for kernel in ("cpp", "numpy"):
        parameter = Parameter(np.ones(4, np.float32))
        optimizer = optim.LARS([parameter], lr=1.0, kernel=kernel)
        parameter.grad = np.full(4, 1e20, np.float32)
        optimizer.step()
        assert parameter.data.tolist() == [1.0] * 4, kernel


@pytest.mark.parametrize(
    "name", ["LAMB", *(pytest.param(n, marks=pytest.mark.complete) for n in ("CAME", "AdamP"))]
)
def test_what_a_half_cannot_hold_is_there_until_the_step_ends(name: str) -> None:
    """A second moment of 25e-9 is 0 as a half; sums, and what comes after them, have it."""
    found = []
    for kernel in ("cpp", "mlx"):
        parameters = [Parameter(mx.array([1, 2, 3, 4]).astype(mx.float16))]
        parameters.append(Parameter(mx.full((70, 70), 2.0, mx.float16)))
        optimizer = getattr(optim, name)(parameters, kernel=kernel)
        for step in range(2):
            parameters[0].grad = mx.array([1, 1, 1 + step, 5e-3]).astype(mx.float16)
            parameters[1].grad = mx.linspace(1e-4, 1, 4_900).reshape(70, 70).astype(mx.float16)
            optimizer.step()
        found.append([np.array(p.data.astype(mx.float32)) for p in parameters])
    for ours, theirs in zip(*found, strict=True):
        assert np.all(np.abs(ours - theirs) <= 2.0**-10 * np.abs(theirs))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_states_that_are_one_number_are_kept_in_the_type_of_the_weights(dtype: Any) -> None:
    parameter = Parameter(mx.ones((40, 40), dtype))
    optimizer = optim.NovoGrad([parameter], kernel="cpp")
    for _ in range(2):
        parameter.grad = mx.full((40, 40), 0.5, dtype)
        optimizer.step()
    kept = optimizer.state[parameter]["grads_ema"]
    assert (kept.shape, kept.dtype) == ((), dtype)
    assert kept.item() == 400.0


def test_a_checkpoint_goes_on_from_one_kernel_to_the_other() -> None:
    parameters = [Parameter(np.ones(3000)), Parameter(np.ones(3000))]
    ours = optim.NovoGrad([parameters[0]], kernel="cpp")
    theirs = optim.NovoGrad([parameters[1]], kernel="numpy")
    for step in range(4):
        if step == 2:
            saved = ours.state_dict()
            ours.load_state_dict({**saved, "state": theirs.state_dict()["state"]})
            theirs.load_state_dict({**theirs.state_dict(), "state": saved["state"]})
        for parameter in parameters:
            parameter.grad = np.linspace(0, 1, 3000) + step
        ours.step()
        theirs.step()
    np.testing.assert_allclose(parameters[0].data, parameters[1].data, rtol=1e-13)


def test_two_packages_may_have_a_rule_of_one_name(tmp_path: Path) -> None:
    """Of what they say of their loops, in tables, g++ would keep one in a process."""
    results = []
    sums = total(grad[t]), norm(grad[t]), mean(grad[t] + w[t - 1])
    for step in (grad[t] / norm(grad[t]), grad[t] * sums[0] / sums[1] / sums[2] / 2):
        spec = OptimizerSpec("Twin", (lr,), (Eq(w[t], w[t - 1] - lr * step),))
        cls = build([spec], tmp_path).Twin
        parameter = Parameter(np.zeros(4))
        parameter.grad = np.ones(4)
        cls([parameter], lr=1.0, kernel="cpp").step()
        results.append(parameter.data.tolist())
    assert results == [[-0.5] * 4, [-1.0] * 4]


def test_a_reduction_of_what_flags_decide_is_found_for_each_choice(tmp_path: Path) -> None:
    late = flag("late", False)
    step = grad[t] * when(early, 3, 1) / norm(when(late, w[t - 1] + 1, grad[t]))
    spec = OptimizerSpec("Chosen", (lr, early, late), (Eq(w[t], w[t - 1] - lr * step),))
    cls = build([spec], tmp_path).Chosen
    for is_early, is_late in itertools.product((False, True), repeat=2):
        parameter = Parameter(np.zeros(4))
        parameter.grad = np.full(4, 2.0)
        cls([parameter], lr=1.0, early=is_early, late=is_late, kernel="cpp").step()
        expected = -2.0 * (3 if is_early else 1) / (2.0 if is_late else 4.0)
        assert parameter.data.tolist() == [expected] * 4


def test_the_mean_of_changed_gradients_is_that_of_what_they_are_changed_to(tmp_path: Path) -> None:
    """The sum has no other name for its term, even where that is the gradient's."""
    cls = build(
        [OptimizerSpec("Mean", (lr,), (Eq(w[t], w[t - 1] - lr * mean(grad[t])),))], tmp_path
    )
    parameter = Parameter(np.zeros(4))
    parameter.grad = np.arange(4.0)
    cls.Mean([parameter], lr=1.0, maximize=True, kernel="cpp").step()
    assert parameter.data.tolist() == [1.5] * 4


def test_an_element_never_takes_the_variable_of_a_number() -> None:
    """That is declared above the loop, whose lanes would all write to it."""
    number = Eq(x[t], 3 * norm(grad[t]) + lr)
    step = Eq(w[t], w[t - 1] - lr * grad[t] * when(early, x[t], 2 * grad[t]))
    program = optimize(lower(OptimizerSpec("Either", (lr, early), (number, step))))
    last = loops(program).loops[-1]
    above = {line.split()[-1].rstrip(";") for line in last.head if line.startswith("real ")}
    assert above == {"x"}
    assert not any(line.strip().startswith("x =") for line in last.lines)
