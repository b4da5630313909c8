"""What the runtime gives to a kernel, and when it uses one at all."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import lucidgen
import lucidgen.optim
from lucidgen.runtime.backends.gpu import languages, trial
from lucidgen.verify.gpu.machine import Machine

Array = Any


class Recorder:
    """Stands for Metal: notes what kernels are made of and called with, and gives back w."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def make_kernel(self, _: languages.Language, **arguments: Any) -> Any:
        self.made.append(arguments)

        def kernel(**call: Any) -> list[Array]:
            self.calls.append(call)
            return [a.reshape(s) for a, s in zip(_arrays(call), call["output_shapes"], strict=True)]

        return kernel


def _arrays(call: dict[str, Any]) -> list[Array]:
    """w and the states, which the outputs have the shapes of."""
    count = len(call["output_shapes"])
    return [call["inputs"][0], *call["inputs"][2 : 1 + count]]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """MLX has Metal, and every kernel passes its trial."""
    found = Recorder()
    monkeypatch.setattr(languages, "running", lambda: languages.METAL)
    monkeypatch.setattr(languages, "make_kernel", found.make_kernel)
    monkeypatch.setattr(trial, "differences", lambda *_: None)
    trial.forget()
    yield found
    trial.forget()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """MLX has Metal: kernels run on this machine's processor."""
    machine = Machine(at_once=True)
    with machine.installed():
        yield machine
    machine.close()


def parameter(w: Array, grad: Array) -> Any:
    found = lucidgen.Parameter(w)
    found.grad = grad
    return found


def ones(*shape: int, dtype: Any = mx.float32) -> Any:
    return parameter(mx.ones(shape, dtype=dtype), mx.ones(shape, dtype=dtype))


def step(name: str, p: Any, **arguments: Any) -> Any:
    optimizer = getattr(lucidgen.optim, name)([p], **arguments)
    optimizer.step()
    return optimizer


def test_inputs_are_w_grad_live_states_scalars_and_the_size(recorder: Recorder) -> None:
    step("Adam", ones(3, 5))
    (made,), (call,) = recorder.made, recorder.calls
    assert made["input_names"][:4] == ["w", "grad", "m", "v"]
    assert made["input_names"][-1] == "size"
    assert made["output_names"] == ["new_w", "new_m", "new_v"]
    assert len(call["inputs"]) == len(made["input_names"])
    named = dict(zip(made["input_names"], call["inputs"], strict=True))
    assert named["size"].item() == 15
    assert named["size"].dtype == mx.uint32
    assert named["beta1"].item() == pytest.approx(0.9)
    assert named["one_minus_beta2"].item() == np.float32(1 - 0.999)
    assert all(named[n].ndim == 0 for n in made["input_names"][4:])


def test_the_grid_has_a_thread_for_each_element(recorder: Recorder) -> None:
    step("SGD", ones(3, 5))
    step("SGD", ones(1000))
    grids = [(call["grid"], call["threadgroup"]) for call in recorder.calls]
    assert grids == [((15, 1, 1), (15, 1, 1)), ((1000, 1, 1), (256, 1, 1))]


def test_outputs_have_the_shape_and_type_of_the_parameter(recorder: Recorder) -> None:
    step("Adam", ones(2, 3, dtype=mx.bfloat16))
    (call,) = recorder.calls
    assert call["output_shapes"] == [(2, 3)] * 3
    assert call["output_dtypes"] == [mx.bfloat16] * 3
    assert call["template"][0] == ("T", mx.bfloat16)


def test_static_choices_are_template_arguments(recorder: Recorder) -> None:
    step("Adam", ones(9), amsgrad=True, maximize=True)
    (call,) = recorder.calls
    assert dict(call["template"][1:]) == {
        "use_weight_decay": False,
        "amsgrad": True,
        "scale_grad": True,
    }


def test_a_state_that_is_not_live_is_no_buffer(recorder: Recorder) -> None:
    step("Adam", ones(9))
    step("Adam", ones(9), amsgrad=True)
    assert ["v_max" in made["input_names"] for made in recorder.made] == [False, True]


def test_conditions_of_the_host_are_scalars_of_their_own(recorder: Recorder) -> None:
    optimizer = step("RAdam", p := ones(9))
    for _ in range(9):
        p.grad = mx.ones(9)
        optimizer.step()
    where = [recorder.made[0]["input_names"].index("rho_above_5")]
    values = [call["inputs"][where[0]] for call in recorder.calls]
    assert [value.dtype for value in values] == [mx.bool_] * 10
    assert [value.item() for value in values] == [False] * 5 + [True] * 5


def test_a_0d_parameter_comes_as_a_pointer(recorder: Recorder) -> None:
    optimizer = step("Adam", p := ones())
    assert [a.shape for a in recorder.calls[0]["inputs"][:4]] == [(1,)] * 4
    assert p.data.shape == ()
    assert optimizer.state[p]["exp_avg"].shape == ()


def test_an_empty_parameter_needs_no_kernel(recorder: Recorder) -> None:
    step("Adam", p := ones(0, 3))
    assert recorder.calls == []
    assert p.data.shape == (0, 3)


def test_a_gradient_of_another_type_is_cast(recorder: Recorder) -> None:
    step("SGD", parameter(mx.ones(9, dtype=mx.float16), mx.ones(9)))
    assert recorder.calls[0]["inputs"][1].dtype == mx.float16


def test_a_new_learning_rate_makes_no_new_kernel(recorder: Recorder) -> None:
    optimizer = step("AdamW", p := ones(9))
    optimizer.param_groups[0]["lr"] = 0.5
    p.grad = mx.ones(9)
    optimizer.step()
    assert len(recorder.made) == 1
    assert len(recorder.calls) == 2


def test_kernels_have_names_of_their_own(recorder: Recorder) -> None:
    step("Adam", ones(9))
    step("Adam", ones(9), amsgrad=True)
    step("AdamW", ones(9))
    names = [made["name"] for made in recorder.made]
    assert len(set(names)) == 3
    assert all(name.startswith("lucidgen_adam") for name in names)


def test_reductions_are_left_to_mlx(recorder: Recorder) -> None:
    step("LARS", parameter(2 * mx.ones(9), mx.ones(9)), momentum=0.5, weight_decay=0.0)
    named = dict(zip(recorder.made[0]["input_names"], recorder.calls[0]["inputs"], strict=True))
    assert named["scaled_lr"].item() == pytest.approx(1e-1 * 1e-3 * 2)


def test_float64_takes_the_mlx_function(recorder: Recorder) -> None:
    with mx.stream(mx.cpu):
        p = parameter(mx.ones(9).astype(mx.float64), mx.ones(9).astype(mx.float64))
        step("SGD", p)
        assert p.data[0].item() == 0.999
    assert recorder.calls == []


def test_mlx_can_be_asked_for(recorder: Recorder) -> None:
    step("Adam", ones(9), kernel="mlx")
    assert recorder.calls == []


def test_the_mlx_idiom_uses_kernels_too(recorder: Recorder) -> None:
    optimizer = lucidgen.optim.RAdam(lr=0.1)
    params = {"a": mx.ones(9), "b": mx.ones((2, 2))}
    new = optimizer.apply_gradients(params, params)
    assert len(recorder.calls) == 2
    assert new["b"].shape == (2, 2)


def test_the_trial_may_happen_inside_a_captured_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def make_kernel(_: languages.Language, **made: Any) -> Any:
        def kernel(**call: Any) -> list[Array]:
            calls.append(call)
            named = dict(zip(made["input_names"], call["inputs"], strict=True))
            return [named["w"] - named["lr"] * named["grad"]]

        return kernel

    monkeypatch.setattr(languages, "running", lambda: languages.METAL)
    monkeypatch.setattr(languages, "make_kernel", make_kernel)
    trial.forget()
    optimizer = lucidgen.optim.SGD(lr=0.5)
    params = {"a": mx.ones(9)}
    optimizer.init(params)

    def update(params: dict[str, Array], grads: dict[str, Array]) -> Any:
        return optimizer.apply_gradients(grads, params)

    step = mx.compile(update, inputs=[optimizer.state], outputs=[optimizer.state])
    for _ in range(3):
        params = step(params, {"a": mx.ones(9)})
    mx.eval(params, optimizer.state)
    assert params["a"][0].item() == -0.5
    assert optimizer.state["step"].item() == 3
    assert [call["inputs"][0].size for call in calls] == [33, 9]
    trial.forget()


def test_metal_where_there_is_none_is_refused_at_once() -> None:
    p = ones(9)
    with pytest.raises(RuntimeError, match=r'Adam: kernel="metal", but MLX runs on Metal only'):
        lucidgen.optim.Adam([p], kernel="metal")


def test_metal_that_is_gone_is_refused_before_anything_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(languages, "running", lambda: languages.METAL)
        p = ones(9)
        optimizer = lucidgen.optim.Adam([p, q := lucidgen.Parameter(np.ones(3))], kernel="metal")
        saved = pickle.dumps(optimizer)
    q.grad = np.ones(3)
    with pytest.raises(RuntimeError, match='kernel="metal" cannot be had'):
        optimizer.step()
    assert p.data[0].item() == 1.0
    assert q.data[0] == 1.0
    assert not optimizer.state[q]
    assert pickle.loads(saved).kernel == "metal"


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel must be one of auto"):
        lucidgen.optim.Adam([ones(9)], kernel="vulkan")


def test_a_kernel_that_disagrees_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Recorder()
    monkeypatch.setattr(languages, "running", lambda: languages.METAL)
    monkeypatch.setattr(languages, "make_kernel", wrong.make_kernel)
    trial.forget()
    p = ones(9)
    with pytest.warns(RuntimeWarning, match=r"the Metal kernel of 'sgd' is not used.*differs by"):
        optimizer = step("SGD", p, lr=0.5)
    assert p.data[0].item() == 0.5
    p.grad = mx.ones(9)
    optimizer.step()  # says it once
    optimizer.kernel = "metal"
    with pytest.raises(RuntimeError, match='kernel="metal" cannot be had: the new w differs'):
        optimizer.step()
    trial.forget()


def test_a_kernel_that_does_not_run_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "running", lambda: languages.METAL)
    trial.forget()
    p = ones(9)
    with pytest.warns(RuntimeWarning, match="is not used, although MLX runs on Metal: it does not"):
        step("SGD", p, lr=0.5)
    assert p.data[0].item() == 0.5
    trial.forget()


@pytest.mark.parametrize("name", ["Adam", "LARS"])
def test_a_step_by_kernels_is_a_step(name: str, machine: Machine) -> None:
    random = np.random.default_rng(1)
    values, gradient = random.standard_normal((2, 3, 5)).astype(np.float32)
    results = []
    for kernel in ("metal", "mlx"):
        p = parameter(mx.array(values), mx.array(gradient))
        optimizer = step(name, p, kernel=kernel)
        results.append(
            [p.data, *(a for a in optimizer.state[p].values() if not isinstance(a, int))]
        )
    assert machine.texts
    for mine, other in zip(*results, strict=True):
        assert np.allclose(np.array(mine), np.array(other), rtol=1e-6, atol=1e-7)
