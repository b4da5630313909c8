"""The protocol of backends: one that is written here takes part in a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.runtime import kernel_choice
from lucidgen.runtime.backends.numpy import NumPy
from lucidgen.runtime.backends.numpy_arrays import bind, keep
from lucidgen.runtime.groups.bucket import Part


class Vectors:
    """Updates what has one axis, by adding 1 to weights; leaves the rest."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log
        self.parts: list[Part] = []

    def prepare(self, parts: Sequence[Part], own: dict[str, Any]) -> tuple[list[Any], list[Part]]:
        self.log.append("vectors prepare")
        self.parts = list(parts)
        own["vectors"] = own.get("vectors", 0) + 1
        calls, rest = [], []
        for part in parts:
            bind(part)
            flat = [i for i, slot in enumerate(part.slots) if slot.param.data.ndim == 1]
            calls.append(Adding(self, part, flat))
            rest.append(part.only([i for i in range(len(part.slots)) if i not in flat]))
        return calls, rest


class Adding:
    def __init__(self, owner: Vectors, part: Part, places: list[int]) -> None:
        self.owner, self.part, self.places = owner, part, places

    def run(self) -> None:
        self.owner.log.append("vectors run")
        keep(self.part.members)
        for i in self.places:
            seen = self.part.slots[i].seen
            assert seen is not None
            seen.data += 1
            seen.own["vectors"] = seen.own.get("vectors", 0) + 1
        self.part.members.own["vectors"] = self.part.members.own.get("vectors", 0) + 1


class Refusing:
    def prepare(self, parts: Sequence[Part], own: dict[str, Any]) -> tuple[list[Any], list[Part]]:
        raise RuntimeError("not today")


def use(patch: pytest.MonkeyPatch, *backends: Any) -> None:
    def chosen(kernel: str, kind: type) -> list[Callable[[], Any]]:
        return [lambda it=it: it for it in backends]

    patch.setattr(kernel_choice, "backends", chosen)


def model() -> list[Parameter]:
    params = [Parameter(np.zeros(3)), Parameter(np.zeros((2, 2))), Parameter(np.zeros(2))]
    give(params)
    return params


def give(params: Sequence[Any]) -> None:
    for param in params:
        param.grad = np.ones(param.data.shape)


def test_a_backend_takes_some_parameters_and_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Vectors(), NumPy())
    params = model()
    optimizer = optim.SGD(params, lr=0.5, momentum=0.9)
    optimizer.step()
    assert [p.data.ravel()[0] for p in params] == [1, -0.5, 1]
    assert all("momentum_buffer" in optimizer.state[p] for p in params)
    assert optimizer._engine._last_step.own["vectors"] == 1


def test_step_counts_are_stored_whoever_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Vectors(), NumPy())
    params = model()
    optimizer = optim.Adam(params)
    for _ in range(3):
        optimizer.step()
    assert [optimizer.state[p]["step"] for p in params] == [3, 3, 3]


def test_all_prepare_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Last(NumPy):
        def prepare(self, parts: Any, own: Any) -> Any:
            log.append("last prepare")
            return super().prepare(parts, own)

    use(monkeypatch, Vectors(log), Last())
    optim.SGD(model(), lr=0.5).step()
    assert log == ["vectors prepare", "last prepare", "vectors run"]


def test_a_step_that_a_backend_refuses_has_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    params = model()
    optimizer = optim.Adam(params)
    optimizer.step()
    weights = [p.data.copy() for p in params]
    states = [optimizer.state[p]["exp_avg"].copy() for p in params]
    late = Parameter(np.zeros(2))
    late.grad = np.ones(2)
    optimizer.add_param_group({"params": [late]})
    with monkeypatch.context() as patch:
        use(patch, Vectors(), Refusing())
        with pytest.raises(RuntimeError, match="not today"):
            optimizer.step()
    assert all(np.array_equal(p.data, w) for p, w in zip(params, weights, strict=True))
    for p, m in zip(params, states, strict=True):
        assert np.array_equal(optimizer.state[p]["exp_avg"], m)
        assert optimizer.state[p]["step"] == 1
    assert not optimizer.state[late]
    assert late.data.tolist() == [0, 0]
    optimizer.step()
    assert [optimizer.state[p]["step"] for p in (*params, late)] == [2, 2, 2, 1]


def test_the_last_backend_is_not_asked_when_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, NumPy(), Refusing())
    params = model()
    optim.SGD(params, lr=0.5).step()
    assert params[0].data[0] == -0.5


def test_a_backend_gets_gradients_with_the_factor_that_clips_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = Vectors()
    use(monkeypatch, backend, NumPy())
    optimizer = optim.SGD(model(), lr=0.5, max_grad_norm=1.5)
    optimizer.step()
    assert optimizer.grad_norm == 3
    (part,) = backend.parts
    assert part.bucket.values["grad_factor"] == pytest.approx(0.5)
    assert [grad.max() for grad in part.grads] == [1, 1, 1]


def test_what_a_backend_keeps_is_there_for_as_long_as_the_arrays_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Vectors(), NumPy())
    params = model()
    optimizer = optim.SGD(params, lr=0.5)
    for count in (1, 2, 3):
        optimizer.step()
        (members,) = optimizer._engine._last_step.groups[0]._members
        assert members.own["vectors"] == count
        assert [s.seen.own.get("vectors") for s in members.slots] == [count, None, count]
    params[0].data = np.zeros(3)
    optimizer.step()
    (members,) = optimizer._engine._last_step.groups[0]._members
    assert members.own["vectors"] == 1
    assert [s.seen.own.get("vectors") for s in members.slots] == [1, None, 4]


def names(kernel: str, kind: type) -> list[str]:
    found = [type(backend()) for backend in kernel_choice.backends(kernel, kind)]
    return [f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}" for cls in found]


def test_a_choice_is_an_order_of_backends() -> None:
    for kernel in kernel_choice.CHOICES:
        loops = [] if kernel == "numpy" else ["numpy_memory.Loops"]
        assert names(kernel, np.ndarray) == [*loops, "numpy.NumPy"]
        loops = ["mlx_memory.Loops"] if kernel in ("auto", "cpp") else []
        assert names(kernel, mx.array) == [*loops, "mlx.MLX"]


def test_a_choice_says_which_kernels_on_a_gpu_are_wanted() -> None:
    found = {kernel: kernel_choice.gpu_kernels(kernel) for kernel in kernel_choice.CHOICES}
    assert found.pop("mlx") is None
    assert (found.pop("metal"), found.pop("cuda")) == ("metal", "cuda")
    assert set(found.values()) == {"any"}


@pytest.mark.parametrize("kernel", ["auto", "cpp"])
def test_loops_are_demanded_by_cpp_alone(kernel: str) -> None:
    loops: Any = kernel_choice.backends(kernel, np.ndarray)[0]()
    assert loops.demanded is (kernel == "cpp")
