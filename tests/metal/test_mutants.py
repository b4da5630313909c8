"""The check is checked: kernels that are wrong in one way each must all be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mlx.core as mx
import pytest

from lucidgen.verify.gpu.check import check
from lucidgen.verify.gpu.subjects import Subject

Change = Callable[[Subject], Subject]


def header(old: str, new: str) -> Change:
    """Another function."""

    def change(subject: Subject) -> Subject:
        assert old in subject.kernel.header
        return subject.with_kernel(header=subject.kernel.header.replace(old, new))

    return change


def body(old: str, new: str) -> Change:
    """Other bodies, with what the runtime writes before them."""

    def change(subject: Subject) -> Subject:
        return replace(subject, change=lambda source: source.replace(old, new))

    return change


def swapped(field: str, one: str, other: str) -> Change:
    """Two names exchanged of what the kernel takes."""
    names = {one: other, other: one}

    def change(subject: Subject) -> Subject:
        before = getattr(subject.kernel, field)
        assert {one, other} <= set(before)
        return subject.with_kernel(**{field: tuple(names.get(n, n) for n in before)})

    return change


def exchanged(one: str, other: str) -> Change:
    """Two parts of bodies exchanged."""
    marked = f"<{one}>"

    def change(subject: Subject) -> Subject:
        return replace(
            subject,
            change=lambda source: (
                source.replace(one, marked).replace(other, one).replace(marked, other)
            ),
        )

    return change


def complete(old: str, new: str) -> Change:
    """Another complete kernel."""

    def change(subject: Subject) -> Subject:
        assert old in subject.standalone
        return replace(subject, standalone=subject.standalone.replace(old, new))

    return change


BOUNDS = "if (i >= size) {\n        return;\n    }"
DECAY = "g = g + weight_decay * w;"
V_MAX = "if (amsgrad) {\n        v_max[i] = T(v_max_i);\n    }"

#: Each mutant, and words of what must be found.
MUTANTS: dict[str, tuple[Change, str]] = {
    "input buffers swapped": (exchanged("float(m[i])", "float(v[i])"), "error bounds"),
    "output buffers swapped": (exchanged("new_m[i] =", "new_v[i] ="), "error bounds"),
    "states transposed in the call": (swapped("states", "m", "v"), "error bounds"),
    "a write to a read-only buffer": (body("new_w[i] =", "grad[i] ="), "clang: read-only"),
    "a read-only buffer made writable": (
        body("new_w[i] =", "const_cast<device T*>(grad)[i] = T(w_i);\n    new_w[i] ="),
        "",
    ),
    "no bounds check": (body(BOUNDS, ""), "AddressSanitizer"),
    "a bounds check off by one": (body("i >= size", "i > size"), "AddressSanitizer"),
    "a bounds check that is too strict": (body("i >= size", "i + 1 >= size"), ""),
    "a wrong constant": (header("beta2 * v +", "beta1 * v +"), "error bounds"),
    "a wrong literal": (header("one_minus_beta2 * (g", "0.001f * (g * 1.0001f"), "error bounds"),
    "eps inside the root": (header("sqrt(v_max_or_v) + ", "sqrt(v_max_or_v + "), ""),
    "a square lost": (header("(g * g)", "g"), "error bounds"),
    "a sign": (header("w - m_scale", "w + m_scale"), "error bounds"),
    "a cast lost at a load": (body("float w_i = float(w[i])", "float w_i = w[i]"), ""),
    "a cast lost at a store": (body("new_w[i] = T(w_i)", "new_w[i] = w_i"), ""),
    "arithmetic in half precision": (body("float(grad[i])", "float(half(float(grad[i])))"), ""),
    "a wrong address space of a parameter": (
        header("thread float& m,", "device float& m,"),
        "clang:",
    ),
    "a wrong address space of a pointer": (
        body("float w_i = float(w[i]);", "thread T* p = new_w;\n    float w_i = float(w[i]);"),
        "clang:",
    ),
    "a stale state": (body("new_m[i] = T(m_i)", "new_m[i] = T(float(m[i]))"), "error bounds"),
    "a state never stored": (body("    new_v[i] = T(v_i);\n", ""), ""),
    "a state updated twice": (header(DECAY, DECAY + "\n        m = beta1 * m;"), "error bounds"),
    "scalars transposed on the way in": (swapped("scalars", "beta1", "beta2"), "error bounds"),
    "scalars transposed in the call": (
        body("one_minus_beta1, beta2", "beta2, one_minus_beta1"),
        "error bounds",
    ),
    "choices transposed": (swapped("choices", "amsgrad", "use_weight_decay"), ""),
    "a choice negated": (header("if (scale_grad)", "if (!scale_grad)"), "error bounds"),
    "a choice ignored": (header("if (scale_grad)", "if (false)"), "error bounds"),
    "a bound left out": (
        header("minimum(grad_factor * grad, grad_bound)", "grad_factor * grad"),
        "error bounds",
    ),
    "a maximum that hides nan": (header("maximum(v_max, v)", "metal::max(v_max, v)"), "finite"),
    "a variable that is not set": (header("v_max_or_v = v;  // (6)", ""), ""),
    "a double literal": (header("w - m_scale", "w - 1.0 * m_scale"), "double"),
    "a macro's name": (header("v_max_or_v", "M_PI_F"), "not free"),
    "a function beside the namespace": (
        header("namespace lucidgen {", "inline float helper(float x);\nnamespace lucidgen {"),
        "outside the namespace",
    ),
    "a write to a neighbour": (body("new_w[i] =", "new_w[i + 1] ="), "AddressSanitizer"),
    "a read from a neighbour": (body("grad[i]", "grad[i + 1]"), "AddressSanitizer"),
    "a read before the start": (body("float(w[i])", "float(w[i - 1])"), ""),
    "the position in a group": (
        body("thread_position_in_grid", "thread_position_in_threadgroup"),
        "thread_position_in_threadgroup",
    ),
    "many: no bounds check": (body("if (i >= starts[5])", "if (i > 999)"), "AddressSanitizer"),
    "many: one tensor's gradient for another's": (body("grad = grad_2;", "grad = grad_3;"), ""),
    "many: one tensor's new values for another's": (body("new_w = new_w_2", "new_w = new_w_3"), ""),
    "many: an element of the neighbour": (body("i >= starts[2]", "i > starts[2]"), ""),
    "many: a start": (body("start = starts[3]", "start = starts[2]"), "AddressSanitizer"),
    "many: no start": (body("i -= start;", ""), "AddressSanitizer"),
    "many: the states of the first": (body("flat_m + start", "flat_m"), "of many tensors"),
    "many: one state for another": (body("flat_v + start", "flat_m + start"), "of many tensors"),
    "many: a read-only pointer": (
        body("device T* new_w = new_w_0", "const device T* new_w = new_w_0"),
        "clang:",
    ),
    "complete: no bounds check": (complete(BOUNDS, ""), "AddressSanitizer"),
    "complete: buffers swapped": (complete("m[i] = T(m_i)", "m[i] = T(v_i)"), "another"),
    "complete: a state that is not live": (complete(V_MAX, "v_max[i] = T(v_max_i);"), ""),
    "complete: a write to a constant": (complete("w[i] = T(w_i);", "beta1 = 0.0f;"), "clang:"),
}


#: One for each way of being found, of kernels for one tensor, for many, and of complete ones.
SAMPLE = list(
    {
        (name.rpartition(":")[0], words): name for name, (_, words) in MUTANTS.items() if words
    }.values()
)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(SAMPLE, id="a sample"),
        pytest.param(list(MUTANTS), id="all", marks=pytest.mark.complete),
    ],
)
def test_every_mutant_is_found_and_only_mutants(
    names: list[str], emitted: Callable[[str], list[Subject]]
) -> None:
    adam = emitted("adam")[0]
    found = check(
        [adam, *(MUTANTS[name][0](adam) for name in names)],
        sizes=(1, 257),
        steps=(1, 2),
        types=(mx.float32, mx.bfloat16),
        # With weight decay, AMSGrad and maximize.
        among=lambda settings: settings[-1:],
    )
    assert found[0].passed, found[0].findings
    reports = dict(zip(names, found[1:], strict=True))
    assert [name for name in names if not reports[name].findings] == []
    missed = {
        name: [str(finding) for finding in report.findings[:3]]
        for name, report in reports.items()
        if not any(MUTANTS[name][1] in finding.what for finding in report.findings)
    }
    assert missed == {}
