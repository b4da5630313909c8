"""Steps on MLX parameters."""

import copy
import pickle

import formulas
import mlx.core as mx
import numpy as np
import pytest
from handwritten import SGD, Adam, AdamW, Clipped, NAdam, Slow

from lucidgen.runtime import Parameter
from lucidgen.runtime.backends import mlx as backend

SHAPES = [(3, 4), (), (5,), (0, 2)]


def as_mlx(params):
    made = []
    for p in params:
        q = Parameter(mx.array(p.data.astype(np.float32)))
        q.grad = mx.array(np.asarray(p.grad, dtype=np.float32))
        made.append(q)
    return made


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("cls", [Adam, AdamW, NAdam, SGD, Clipped, Slow])
def test_a_step_agrees_with_numpy(make, rng, cls):
    options = {"momentum": 0.9, "weight_decay": 0.1} if cls is SGD else {}
    params = make(*SHAPES, dtype=np.float32)
    on_mlx = as_mlx(params)
    one, other = cls(params, lr=0.01, **options), cls(on_mlx, lr=0.01, **options)
    for _ in range(6):
        for p, q in zip(params, on_mlx, strict=True):
            p.grad = np.asarray(rng.standard_normal(p.data.shape), dtype=np.float32)
            q.grad = mx.array(p.grad)
        one.step()
        other.step()
    for p, q in zip(params, on_mlx, strict=True):
        np.testing.assert_allclose(np.array(q.data), p.data, rtol=2e-6, atol=2e-6)
        assert one.state[p].keys() == other.state[q].keys()


def test_a_compiled_step_computes_what_torch_does(make, rng):
    params = make((3, 4), (5,))
    starts = [p.data for p in params]
    on_mlx = as_mlx(params)
    opt = Adam(on_mlx, lr=0.01)
    grads = [[rng.standard_normal(p.data.shape) for p in params] for _ in range(5)]
    for step in grads:
        for q, g in zip(on_mlx, step, strict=True):
            q.grad = mx.array(g.astype(np.float32))
        opt.step()
    for i, q in enumerate(on_mlx):
        expected = formulas.adam(starts[i], [g[i] for g in grads], lr=0.01)
        np.testing.assert_allclose(np.array(q.data), expected, rtol=2e-6, atol=2e-7)


def test_new_learning_rates_and_step_counts_never_trace_again(make, monkeypatch):
    from handwritten._mlx import family

    traces = []
    original = family.slow_step

    def slow_step(w, grad, mean, lr, first_w, scale_grad, grad_factor, grad_bound):
        traces.append(first_w)
        return original(w, grad, mean, lr, first_w, scale_grad, grad_factor, grad_bound)

    monkeypatch.setattr(family, "slow_step", slow_step)
    backend.compiled.cache_clear()
    params = as_mlx(make((3,), (3,)))
    opt = Slow(params)
    for lr in (0.1, 0.2, 0.3, 0.4):
        opt.param_groups[0]["lr"] = lr
        opt.step()
    params[1].grad = None
    opt.step()
    backend.compiled.cache_clear()
    assert traces == [True, False]


@pytest.mark.usefixtures("uncompiled")
def test_all_parameters_of_all_groups_are_evaluated_at_once(make, monkeypatch):
    params = as_mlx(make((3,), (4,), (5,)))
    opt = Adam([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}])
    opt.step()
    params[2].grad = None
    opt.step()
    params[2].grad = mx.ones(5)
    calls = []
    evaluate = mx.eval
    monkeypatch.setattr(mx, "eval", lambda *args: calls.append(1) or evaluate(*args))
    opt.step()
    assert calls == [1]


@pytest.mark.usefixtures("uncompiled")
def test_what_was_taken_before_a_step_is_unchanged_after_it(make):
    (p,) = as_mlx(make((4,)))
    opt = Adam([p], lr=0.5)
    for _ in range(3):
        alias, lazy, twin = p.data, p.data * 2, copy.deepcopy(p.data)
        state = opt.state[p].get("exp_avg")
        before, state_before = np.array(p.data), None if state is None else np.array(state)
        opt.step()
        assert not np.array_equal(np.array(p.data), before)
        np.testing.assert_array_equal(np.array(alias), before)
        np.testing.assert_array_equal(np.array(lazy), before * 2)
        np.testing.assert_array_equal(np.array(twin), before)
        if state is not None:
            np.testing.assert_array_equal(np.array(state), state_before)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_types_are_computed_in_float32_and_stored_as_they_are(rng, dtype):
    start = mx.array(rng.standard_normal(6).astype(np.float32)).astype(dtype)
    p = Parameter(start)
    p.grad = mx.array((rng.standard_normal(6) * 1e-3).astype(np.float32)).astype(dtype)
    opt = Adam([p], lr=0.01)
    opt.step()
    assert p.data.dtype == opt.state[p]["exp_avg"].dtype == dtype
    wide, grad = (np.array(x.astype(mx.float32)) for x in (start, p.grad))
    expected = mx.array(wide - 0.01 * grad / (np.abs(grad) + 1e-8)).astype(dtype)
    assert mx.allclose(p.data, expected, rtol=1e-2).item()


@pytest.mark.usefixtures("uncompiled")
def test_a_gradient_of_another_floating_type_is_cast():
    p = Parameter(mx.ones(3))
    p.grad = mx.ones(3, dtype=mx.float16)
    SGD([p], lr=0.5).step()
    assert p.data.dtype == mx.float32
    assert p.data.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.usefixtures("uncompiled")
def test_a_group_may_hold_both_kinds_of_parameters(make):
    (a,) = make((3,), dtype=np.float32)
    (b,) = as_mlx([a])
    opt = Adam([a, b], lr=0.1)
    opt.step()
    opt.step()
    assert isinstance(a.data, np.ndarray)
    assert isinstance(b.data, mx.array)
    np.testing.assert_allclose(np.array(b.data), a.data, rtol=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_a_gradient_on_the_other_device_is_refused_before_anything_changes(make):
    a, b = make((3,), (3,))
    (c,) = as_mlx([b])
    opt = Adam([a, b])
    kept = a.data.copy()
    b.grad = mx.ones(3)
    with pytest.raises(TypeError, match="parameter 1: a NumPy parameter with an MLX gradient"):
        opt.step()
    np.testing.assert_array_equal(a.data, kept)
    c.grad = np.ones(3)
    with pytest.raises(TypeError, match="an MLX parameter with a NumPy gradient; move both"):
        Adam([c]).step()


@pytest.mark.usefixtures("uncompiled")
def test_the_state_follows_the_parameter_from_device_to_device(make):
    (p,) = make((3, 2), dtype=np.float32)
    opt = NAdam([p])
    opt.step()
    before = opt.state[p]["exp_avg"].copy()
    p.data, p.grad = mx.array(p.data), mx.zeros((3, 2))
    opt.step()
    assert isinstance(opt.state[p]["exp_avg"], mx.array)
    np.testing.assert_allclose(np.array(opt.state[p]["exp_avg"]), 0.9 * before, rtol=1e-6)
    p.data, p.grad = np.array(p.data), np.zeros((3, 2), np.float32)
    opt.step()
    assert isinstance(opt.state[p]["exp_avg"], np.ndarray)
    np.testing.assert_allclose(opt.state[p]["exp_avg"], 0.81 * before, rtol=1e-6)
    assert opt.state[p]["step"] == 3


@pytest.mark.usefixtures("uncompiled")
def test_momentum_switched_on_midway_starts_its_buffer_as_the_gradient(make):
    (p,) = as_mlx(make((3,)))
    opt = SGD([p], lr=0.1)
    opt.step()
    opt.param_groups[0]["momentum"] = 0.9
    opt.step()
    assert mx.array_equal(opt.state[p]["momentum_buffer"], p.grad).item()
    opt.step()
    assert mx.allclose(opt.state[p]["momentum_buffer"], 1.9 * p.grad).item()


@pytest.mark.usefixtures("uncompiled")
def test_a_failing_evaluation_changes_nothing(make, monkeypatch):
    a, b = make((3,), (3,))
    (c,) = as_mlx([b])
    opt = Adam([a, c])
    kept, data = a.data.copy(), c.data

    def fail(*args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(mx, "eval", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        opt.step()
    np.testing.assert_array_equal(a.data, kept)
    assert c.data is data
    assert not opt.state[a]
    assert not opt.state[c]


def test_a_missing_compiler_is_told_once(monkeypatch):
    monkeypatch.setattr(backend.shutil, "which", lambda name: None)
    monkeypatch.setattr(backend.sys, "platform", "linux")
    backend._warn_without_compiler.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"g\+\+, which is not on the PATH") as caught:
        [backend._warn_without_compiler() for _ in range(2)]
    assert len(caught) == 1


def test_mlx_types_can_be_pickled_once_there_is_an_optimizer(make):
    Adam(make((2,)))
    assert pickle.loads(pickle.dumps([mx.float32, mx.bfloat16])) == [mx.float32, mx.bfloat16]


def test_mlx_is_not_imported_for_numpy_parameters():
    import subprocess
    import sys
    from pathlib import Path

    code = (
        "import sys, numpy as np\n"
        "from handwritten import Adam\n"
        "from lucidgen.runtime import Parameter\n"
        "p = Parameter(np.ones(2)); p.grad = np.ones(2)\n"
        "opt = Adam([p]); opt.step(); opt.load_state_dict(opt.state_dict())\n"
        "assert not {'mlx.core', 'mlx', 'sympy', 'jinja2', 'lucid'} & set(sys.modules)\n"
    )
    here = Path(__file__).parent
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={"PYTHONPATH": f"{here}:{here.parents[1]}"},
    )


IDIOM = """
import sys
sys.path += sys.argv[1:]
import numpy as np
from lucidgen import Parameter
from lucidgen.optim import SGD, Adam

p = Parameter(np.ones(2))
p.grad = np.ones(2)
opt = SGD([p], lr=0.5)
opt.step()  # NumPy does without
opt.load_state_dict(opt.state_dict())
for use in (
    lambda: Adam().init({}),
    lambda: Adam().update({}, {}),
    lambda: Adam().learning_rate,
    lambda: Adam(lr=lambda step: 0.1),
    lambda: Adam([p], kernel="metal"),
):
    try:
        use()
    except (ImportError, RuntimeError) as error:
        print(error)
"""


@pytest.mark.parametrize("what", ["missing", "broken"])
def test_without_a_working_mlx_its_idiom_says_what_to_install(tmp_path, numpy_alone, what):
    import subprocess
    import sys
    from pathlib import Path

    here, said = Path(__file__).parents[2], "is not installed"
    if what == "broken":
        said = "is installed but does not load (libmlx.so: cannot open shared object file)"
        (tmp_path / "mlx").mkdir()
        (tmp_path / "mlx" / "__init__.py").touch()
        text = "raise ImportError('libmlx.so: cannot open shared object file')"
        (tmp_path / "mlx" / "core.py").write_text(text)
    folders = [str(here), str(here / "generated"), str(numpy_alone), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-S", "-c", IDIOM, *folders], capture_output=True, text=True
    )
    assert done.stderr == ""
    package = '"mlx[cpu]", or for a GPU' if sys.platform == "linux" else "mlx"
    assert [line.partition(" needs MLX, ")[0] for line in done.stdout.splitlines()] == [
        *["Adam: a tree of arrays"] * 3,
        "Adam: a schedule that is a function",
        'Adam: kernel="metal"',
    ]
    for line in done.stdout.splitlines():
        assert f"needs MLX, which {said}; install {package}" in line
