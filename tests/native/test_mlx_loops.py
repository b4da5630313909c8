"""Compiled loops on MLX arrays give the same bits as on NumPy's, whatever the arrays are like."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_arrays import LARGE, parameter, steps, values
from readings import sample

from lucidgen import Parameter, optim
from lucidgen.package.catalog import Entry
from lucidgen.runtime.backends.loops import mlx_memory
from lucidgen.verify.emitted import arguments, settings
from lucidgen.verify.setting import Setting

Among = Callable[[list[Setting]], Sequence[Setting]]

#: On either side of the size from which on weights stay in place, and shapes that are special.
SHAPES = [(), (1,), (0, 3), (7,), (4, 3, 5), (128, 128), (129, 128), (2, LARGE // 2, 3)]


def as_numpy(array: mx.array) -> Any:
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)


def trained(which: Callable[[Any], Any], cls: Any, count: int = 4, **chosen: Any) -> list[Any]:
    """Weights and states after some steps on arrays of one library."""
    parameters = [Parameter(which(values(i, shape))) for i, shape in enumerate(SHAPES)]
    optimizer = cls(parameters, kernel="cpp", **chosen)
    for step in range(count):
        for i, p in enumerate(parameters):
            missing = (step, i) == (2, 4)
            p.grad = None if missing else which(values(100 * step + i, SHAPES[i]))
        optimizer.step()
    states = [optimizer.state[p] for p in parameters]
    return [p.data for p in parameters] + [v for s in states for v in s.values()]


@pytest.mark.parametrize("reading", sample("cpp"))
def test_a_loop_gives_what_it_gives_on_numpy_whatever_the_static_choices(
    reading: Entry, among: Among
) -> None:
    cls = getattr(optim, reading.main.name)
    for setting in among(list(settings(reading.spec, reading.main))):
        chosen = {"dialect": reading.spec.reading, **arguments(setting, reading.main)}
        ours, theirs = trained(mx.array, cls, **chosen), trained(np.asarray, cls, **chosen)
        for mine, other in zip(ours, theirs, strict=True):
            assert np.array_equal(np.array(mine), np.asarray(other), equal_nan=True)


# Arrays of every kind


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.T,
        lambda w: w[::-1],
        lambda w: w[:, ::2],
        lambda w: mx.broadcast_to(w[:1], w.shape),
        lambda w: mx.broadcast_to(w[0, 0], w.shape),
        lambda w: w + 1,
    ],
)
@pytest.mark.parametrize("side", [8, 180])
def test_weights_and_gradients_lie_in_memory_as_they_like(
    change: Callable[[mx.array], mx.array], side: int
) -> None:
    start = change(mx.array(values(0, (side, side))))
    p, twin = Parameter(start), Parameter(np.array(start))
    optimizer, reference = optim.AdamW([p], kernel="cpp"), optim.AdamW([twin], kernel="cpp")
    for step in range(3):
        p.grad = change(mx.array(values(step, (side, side))))
        twin.grad = np.array(p.grad)
        optimizer.step()
        reference.step()
        assert np.array_equal(np.array(p.data), twin.data)
        assert np.array_equal(np.array(start), np.array(change(mx.array(values(0, (side, side))))))
        p.data[:] = mx.contiguous(p.data.T).T  # the same object and values, in another order


@pytest.mark.parametrize("shape", [(), (5,), (3, LARGE)])
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float64])
def test_other_types_are_stored_as_they_are(dtype: Any, shape: tuple[int, ...]) -> None:
    ours, theirs = (Parameter(mx.array(values(0, shape)).astype(dtype)) for _ in range(2))
    one, two = optim.Adam([ours], kernel="cpp"), optim.Adam([theirs], kernel="mlx")
    mx.disable_compile()
    for step in range(4):
        other = (dtype, mx.float32, mx.bfloat16, mx.float16)[step]
        ours.grad = theirs.grad = mx.array(values(step, shape)).astype(other)
        one.step()
        two.step()
    mx.enable_compile()
    for x, y in ((ours.data, theirs.data), (one.state[ours], two.state[theirs])):
        pairs = [(x, y)] if isinstance(x, mx.array) else [(x[k], y[k]) for k in x if k != "step"]
        for mine, other in pairs:
            assert mine.dtype == other.dtype == dtype
            unit = {mx.float16: 2**-10, mx.bfloat16: 2**-7, mx.float64: 2**-50}[dtype]
            np.testing.assert_allclose(as_numpy(mine), as_numpy(other), rtol=4 * unit, atol=1e-9)


def test_bfloat16_gradients_serve_float32_weights() -> None:
    p, twin = parameter(), Parameter(values(0))
    for q in (p, twin):
        grad = mx.array(values(1)).astype(mx.bfloat16)
        q.grad = grad if q is p else np.array(grad.astype(mx.float32))
        optim.SGD([q], lr=0.1, kernel="cpp").step()
    assert np.array_equal(np.array(p.data), twin.data)


def test_what_changes_in_place_is_noticed() -> None:
    p = parameter((3, 4))
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5, kernel="cpp")
    p.grad = mx.ones((3, 4))
    optimizer.step()
    p.data[0] = 7.0
    optimizer.state[p]["momentum_buffer"] *= 4
    optimizer.step()
    assert p.data[0].tolist() == [7 - 0.5 * (0.5 * 4 + 1)] * 4
    half = Parameter(mx.ones(3, mx.float16))
    optimizer = optim.SGD([half], lr=0.5, momentum=0.5, kernel="cpp")
    half.grad = mx.ones(3, mx.float16)
    optimizer.step()
    half.data += mx.ones(3)  # it is float32 from here on
    assert half.data.dtype == mx.float32
    optimizer.step()
    assert half.data.tolist() == [0.5 + 1 - 0.5 * 1.5] * 3
    assert optimizer.state[half]["momentum_buffer"].dtype == mx.float32


def test_gradients_are_clipped_by_a_norm_that_mlx_computes() -> None:
    results = []
    for make in (mx.array, np.array):
        parameters = [Parameter(make(values(i, (size,)))) for i, size in enumerate((5, LARGE))]
        optimizer = optim.SGD(parameters, lr=0.1, max_grad_norm=0.5, kernel="cpp")
        for step in range(3):
            for p in parameters:
                p.grad = make(values(step, p.data.shape))
            optimizer.step()
        results.append([np.array(p.data) for p in parameters])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_state_that_has_lost_its_shape_is_refused() -> None:
    for kernel in ("cpp", "mlx"):
        p = parameter((4,))
        optimizer = optim.AdamW([p], kernel=kernel)
        steps(optimizer, [p])
        array = optimizer.state[p]["exp_avg"]
        array += mx.ones((3, 4))
        optimizer.kernel = "cpp"
        before = np.array(p.data)
        with pytest.raises(ValueError, match="shape"):
            steps(optimizer, [p])
        assert np.array_equal(np.array(p.data), before)


def test_loops_and_functions_may_alternate() -> None:
    results = []
    mx.disable_compile()
    for kernels in (["cpp"], ["cpp", "mlx"], ["mlx", "mlx", "cpp"]):
        parameters = [parameter((size,)) for size in (5, LARGE)]
        optimizer = optim.NAdam(parameters)
        for step in range(6):
            optimizer.kernel = kernels[step % len(kernels)]
            steps(optimizer, parameters)
        results.append([np.array(p.data) for p in parameters])
    mx.enable_compile()
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-6, atol=2e-6)


# Where loops are not for


def refused(*_: Any) -> Any:
    raise AssertionError("no loop must be asked for")


def test_on_a_gpu_and_by_choice_mlx_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlx_memory, "Call", refused)
    p = parameter((3,))
    mx.disable_compile()
    try:
        for kernel in ("mlx", "numpy"):
            steps(optim.AdamW([p], kernel=kernel), [p])
        monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
        steps(optim.AdamW([p], kernel="cpp"), [p])
    finally:
        mx.enable_compile()


def test_an_mlx_that_gives_away_what_is_held_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert mlx_memory.respects_holders()
    mlx_memory.respects_holders.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(mlx_memory, "addresses", lambda arrays: [0])  # as if nothing were ever copied
        assert not mlx_memory.respects_holders()
        patch.setattr(mlx_memory, "Call", refused)
        mx.disable_compile()
        p = parameter((3,))
        steps(optim.AdamW([p], kernel="cpp"), [p])
        mx.enable_compile()
    mlx_memory.respects_holders.cache_clear()
    assert mlx_memory.respects_holders()


def test_where_loops_do_everything_nothing_else_is_imported() -> None:
    program = """if True:
        import sys, mlx.core as mx
        from lucidgen import Parameter, optim
        p = Parameter(mx.ones(3))
        p.grad = mx.ones(3)
        optim.AdamW([p], kernel="cpp").step()
        names = "loops.mlx_memory", "mlx", "gpu.trial", "loops.numpy_memory"
        print(*(f"lucidgen.runtime.backends.{name}" in sys.modules for name in names))
    """
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False", "False"]
