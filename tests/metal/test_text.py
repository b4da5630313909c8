"""The parts of the check: texts, rules, the stand-in's types, names, and the build's refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.runtime.backends.gpu.kernel import forget, kernel_of
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, norm, series, sqrt, t, w, when
from lucidgen.targets.metal import kernels as emitted_kernels
from lucidgen.verify.gpu.check import check
from lucidgen.verify.gpu.host import DoesNotCompile, Program
from lucidgen.verify.gpu.machine import array_of, data_of
from lucidgen.verify.gpu.rules import violations
from lucidgen.verify.gpu.subjects import Subject, subjects
from lucidgen.verify.gpu.text import UnreadableText, assembled, kernels

COPY = """
template <typename T>
[[kernel]] void lucidgen_copy(
    device T* to [[buffer(0)]],
    const device float* from [[buffer(1)]],
    constant uint& size [[buffer(2)]],
    uint i [[thread_position_in_grid]]) {
    if (i < size) {
        to[i] = T(from[i]);
    }
}

template [[host_name("copy_half")]] [[kernel]]
decltype(lucidgen_copy<half>) lucidgen_copy<half>;
template [[host_name("copy_bfloat")]] [[kernel]]
decltype(lucidgen_copy<bfloat>) lucidgen_copy<bfloat>;
"""


def test_the_text_is_what_mlx_assembles() -> None:
    arguments = {
        "name": "twice",
        "input_names": ["x"],
        "output_names": ["y"],
        "source": "    uint i = thread_position_in_grid.x;\n    y[i] = x[i] + x[i];\n",
        "header": "// ours\n",
    }
    call = {
        "inputs": [mx.ones(9)],
        "template": [("T", mx.float32), ("flag", True)],
        "grid": (9, 1, 1),
        "threadgroup": (9, 1, 1),
        "output_shapes": [(9,)],
        "output_dtypes": [mx.float32],
    }
    text = assembled(arguments, call)
    assert text.startswith("// ours\n")
    (kernel,) = kernels(text)
    assert [(b.name, b.space, b.type, b.is_read_only) for b in kernel.buffers] == [
        ("x", "device", "float", True),
        ("y", "device", "float", False),
    ]
    assert kernel.entries[0].arguments == ("float", "1")


def test_a_text_without_kernels_is_refused() -> None:
    with pytest.raises(UnreadableText, match="holds no kernel"):
        kernels("float f(float x) { return x; }")


def test_half_types_round_as_mlx_does() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    special = [0.0, -0.0, 65504.0, 65520.0, 1e-8, 5.97e-8, 2.98e-8, 6.1e-5, np.inf, -np.inf, 3.4e38]
    values = np.concatenate([bits.view(np.float32), np.array(special, dtype=np.float32)])
    values = values[~np.isnan(values)]
    assert violations(COPY) == []
    with Program([COPY]) as program:
        for entry, dtype in (("copy_half", mx.float16), ("copy_bfloat", mx.bfloat16)):
            data = [bytes(2 * values.size), values.tobytes(), np.uint32(values.size).tobytes()]
            found, _, _ = program.run(COPY, entry, data, values.size + 5)
            expected = mx.array(values).astype(dtype)
            assert found == data_of(expected)
            again = array_of(found, values.shape, dtype)
            assert mx.array_equal(again, expected, equal_nan=True).item()


def test_the_host_compiler_says_which_text_it_refuses() -> None:
    wrong = COPY.replace("T(from[i])", "from[i]").replace("lucidgen_copy", "lucidgen_wrong")
    with pytest.raises(DoesNotCompile) as caught:
        Program([COPY, wrong])
    assert list(caught.value.said) == [wrong]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("T(from[i])", "T(2.0 * from[i])", "2.0 is a double"),
        ("T(from[i])", "T(2e3 * from[i])", "2e3 is a double"),
        ("T(from[i])", "T(double(from[i]))", "type double"),
        ("to[i] =", "size =", "const"),
        ("uint i", "uint half", "clang"),
        ("i < size", "i <= size;", "clang"),
    ],
)
def test_what_a_text_must_not_say(old: str, new: str, words: str) -> None:
    assert any(words in what for what in violations(COPY.replace(old, new)))


def test_comments_are_not_read() -> None:
    assert violations(COPY.replace("if (i", "// 2.0 is a double /* 1.0 */\n    if (i")) == []


# Specs


lr = hyper("lr", 0.1, at_least=0)


def test_names_that_metal_has_taken_are_no_trouble(tmp_path: Path) -> None:
    half, i, w_shape, new_w = series("half"), series("i"), series("w_shape"), series("thread")
    w_i, m_pi = series("w_i"), series("M_PI")
    kernel_, device = flag("T", False), hyper("device", 0.5, special=0)
    spec = OptimizerSpec(
        "Named",
        paper="none",
        arguments=(lr, device, kernel_),
        equations=(
            Eq(half[t], device * half[t - 1] + grad[t]),
            Eq(i[t], half[t] ** 2 + i[t - 1] / 2),
            Eq(w_shape[t], when(kernel_, half[t] + i[t - 1], half[t])),
            Eq(new_w[t], new_w[t - 1] / 3 + w_shape[t]),
            Eq(w_i[t], new_w[t] / (sqrt(i[t]) + 1)),
            Eq(m_pi[t], w_i[t] + grad[t] ** 3),
            Eq(w[t], w[t - 1] - lr * (w_i[t] + m_pi[t] ** 2)),
        ),
    )
    (subject,) = subjects([spec], tmp_path)
    kernel = subject.kernel
    assert kernel.states == ("half", "i", "thread")  # as in the equations
    assert {"half", "i", "thread", "device"} <= set(kernel.spelled)
    (report,) = check(
        [subject], sizes=(1, 9), steps=(1, 2), types=(mx.float32,), among=lambda s: s[-1:]
    )
    assert report.findings == []
    assert report.passed


def test_a_header_that_is_gone_or_of_another_build_says_what_to_do(tmp_path: Path) -> None:
    spec = OptimizerSpec(
        "Plain", paper="none", arguments=(lr,), equations=(Eq(w[t], w[t - 1] - lr * grad[t]),)
    )
    (subject,) = subjects([spec], tmp_path)
    header = subject.source.with_name(f"{subject.source.stem}_step.h")
    text = header.read_text()
    try:
        header.write_text(text.replace("plain_step", "other_step"))
        forget()
        with pytest.raises(ImportError, match="no function plain_step; run `lucidgen build`"):
            kernel_of(subject.rule, "metal")
        header.unlink()
        forget()
        with pytest.raises(ImportError, match=r"cannot be read .*; run `lucidgen build`"):
            kernel_of(subject.rule, "metal")
    finally:
        forget()


def test_a_reduction_of_an_update_is_left_to_mlx(tmp_path: Path) -> None:
    m, update, trust = series("m"), series("u"), series("trust")
    spec = OptimizerSpec(
        "Lamb",
        paper="You et al. 2020, arXiv:1904.00962, simplified",
        arguments=(lr,),
        equations=(
            Eq(m[t], (9 * m[t - 1] + grad[t]) / 10),
            Eq(update[t], m[t] / (1 + abs(m[t]))),
            Eq(trust[t], norm(w[t - 1]) / (1 + norm(update[t]))),
            Eq(w[t], w[t - 1] - lr * trust[t] * update[t] - lr * norm(grad[t]) * grad[t]),
        ),
    )
    (subject,) = subjects([spec], tmp_path)
    assert subject.kernel.tensors is not None
    (report,) = check([subject], sizes=(1, 9), steps=(1, 2, 3))
    assert report.findings == []
    assert report.passed


def test_the_last_value_of_a_per_tensor_state_is_left_to_mlx() -> None:
    scale = series("scale")
    spec = OptimizerSpec(
        "Scaled",
        arguments=(lr,),
        equations=(
            Eq(scale[t], (scale[t - 1] + lr * norm(grad[t])) / 2),
            Eq(w[t], w[t - 1] - scale[t - 1] * grad[t]),
        ),
    )
    found = emitted_kernels(optimize(lower(spec)), "scaled")
    assert found.step is None
    assert found.without == "its elements read the last value of what is one number per tensor"
    assert found.is_complete


def test_a_rule_with_too_many_buffers_has_no_kernel_and_says_why(tmp_path: Path) -> None:
    states = [series(f"s{k}") for k in range(15)]
    total = sum((s[t] for s in states), start=grad[t])
    spec = OptimizerSpec(
        "Many",
        paper="none",
        arguments=(lr,),
        equations=(
            *(Eq(s[t], s[t - 1] + (k + 1) * grad[t]) for k, s in enumerate(states)),
            Eq(w[t], w[t - 1] - lr * total),
        ),
    )
    few = OptimizerSpec("Few", arguments=(lr,), equations=(Eq(w[t], w[t - 1] - lr * grad[t]),))
    assert [subject.main.name for subject in subjects([spec, few], tmp_path)] == ["Few"]
    (path,) = tmp_path.rglob("_metal/*_step.h")
    assert "// Many has no kernel: it would need 37 buffers, and Metal has 31." in path.read_text()


def test_every_kernel_says_what_it_is(emitted: Callable[[str], list[Subject]]) -> None:
    for subject in emitted("nadam"):
        assert f"/// One step of {subject.main.name}" in subject.kernel.header
        assert subject.kernel.header.startswith("namespace lucidgen {")
