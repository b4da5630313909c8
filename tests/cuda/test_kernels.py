"""CUDA kernels against the equations, on this machine; and that wrong ones are found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from readings import CATALOG, every, sample, subject_of

from lucidgen.package.catalog import Entry
from lucidgen.runtime.backends.gpu import languages, text
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, series, t, w, when
from lucidgen.verify.emitted import pairwise
from lucidgen.verify.gpu.check import check
from lucidgen.verify.gpu.subjects import Subject, subjects
from lucidgen.verify.gpu.text import assembled_cuda, kernels
from lucidgen.verify.setting import Setting

Change = Callable[[Subject, Path], Subject]

lr = hyper("lr", 0.1, at_least=0)


@pytest.mark.parametrize("reading", sample("cuda"))
def test_kernels_keep_to_the_equations(
    reading: Entry, emitted: Callable[[str], list[Subject]]
) -> None:
    """With all options on; in half precision too, Adam's."""
    types = (mx.float32, mx.bfloat16) if reading.file.name == "adam" else (mx.float32,)
    (report,) = check(
        [subject_of(reading, emitted)],
        sizes=(1, 7, 257),
        steps=(1, 2),
        types=types,
        among=all_options_on,
    )
    assert [str(finding) for finding in report.findings] == []
    assert report.passed


@pytest.mark.complete
@pytest.mark.parametrize("reading", every("cuda"))
def test_all_kernels_keep_to_the_equations(
    reading: Entry, emitted: Callable[[str], list[Subject]]
) -> None:
    subject = subject_of(reading, emitted)
    (report,) = check([subject], sizes=(1, 7, 257), steps=(1, 2), among=pairwise)
    assert [str(finding) for finding in report.findings] == []
    assert report.passed


def all_options_on(settings: list[Setting]) -> list[Setting]:
    return settings[-1:]


def test_every_rule_with_a_metal_kernel_has_one_in_cuda(
    emitted: Callable[[str], list[Subject]],
) -> None:
    for stem in ("adam", "lars", "radam", "sgd"):
        subjects = emitted(stem)
        assert {s.main.name for s in subjects} == {
            entry.main.name for entry in CATALOG.entries if entry.file.name == stem
        }
        assert all({"metal", "cuda"} <= s.rule.targets.keys() for s in subjects)


def test_a_text_is_laid_out_as_mlx_does_it() -> None:
    arguments = {
        "name": "twice",
        "input_names": ["x", "by", "is_on"],
        "output_names": ["y"],
        "header": "// ours\n",
        "source": "    y[0] = x[0];\n",
    }
    call = {
        "inputs": [mx.ones(9, dtype=mx.bfloat16), mx.array(2.0), mx.array(True)],
        "template": [("T", mx.bfloat16), ("flag", False)],
        "output_dtypes": [mx.bfloat16],
    }
    text = assembled_cuda(arguments, call)
    (kernel,) = kernels(text)
    assert kernel.function == "custom_kernel_twice___nv_bfloat16_f"
    assert [(b.name, b.type, b.is_const) for b in kernel.buffers] == [
        ("x", "__nv_bfloat16", True),
        ("by", "float", True),
        ("is_on", "bool", True),
        ("y", "__nv_bfloat16", False),
    ]
    assert "using T = __nv_bfloat16;\n  constexpr bool flag = false;" in text
    assert text.index("// ours") < text.index("namespace mlx::core::cu") < text.index("y[0]")


def test_a_grid_is_rounded_up_and_numbers_are_pointers(
    emitted: Callable[[str], list[Subject]],
) -> None:
    first = languages.CUDA.one()
    assert "unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;" in first
    assert "if (i >= *size) {\n        return;" in first
    made = text.arguments(emitted("adam")[0].kernel, ("m", "v"))
    assert made["source"].startswith(first)
    assert "*weight_decay, *beta1," in made["source"]


def test_names_that_cuda_has_taken_are_no_trouble(tmp_path: Path) -> None:
    warp, states, real = series("warpSize"), series("states"), series("real")
    inf, scalars = hyper("inf", 0.5, special=0), flag("scalars", False)
    spec = OptimizerSpec(
        "Named",
        paper="none",
        arguments=(lr, inf, scalars),
        equations=(
            Eq(warp[t], inf * warp[t - 1] + grad[t]),
            Eq(states[t], when(scalars, warp[t] + states[t - 1], warp[t])),
            Eq(real[t], states[t] ** 2),
            Eq(w[t], w[t - 1] - lr * real[t]),
        ),
    )
    (subject,) = subjects([spec], tmp_path, "cuda")
    assert subject.kernel.states == ("warpSize", "states")  # as in the equations
    assert {"warpSize", "states", "inf", "scalars"} <= set(subject.kernel.spelled)
    (report,) = check(
        [subject], sizes=(1, 9), steps=(1, 2), types=(mx.float32,), among=all_options_on
    )
    assert report.findings == []
    assert report.passed


# Mutants


def header(old: str, new: str) -> Change:
    """Another function, in the text for MLX."""

    def change(subject: Subject, _: Path) -> Subject:
        assert old in subject.kernel.header
        mutant = subject.with_kernel(header=subject.kernel.header.replace(old, new))
        return replace(mutant, standalone="no file")

    return change


def body(old: str, new: str) -> Change:
    """Other bodies, with what the runtime writes before them."""

    def change(subject: Subject, _: Path) -> Subject:
        return replace(
            subject, change=lambda source: source.replace(old, new), standalone="no file"
        )

    return change


def complete(old: str, new: str, file: str = "multi_tensor.cuh") -> Change:
    """Another complete file."""

    def change(subject: Subject, folder: Path) -> Subject:
        copied = Path(shutil.copytree(subject.source.parent, folder))
        text = (copied / file.format(subject.source.name)).read_text()
        assert old in text
        (copied / file.format(subject.source.name)).write_text(text.replace(old, new, 1))
        return replace(subject, source=copied / subject.source.name)

    return change


MUTANTS: dict[str, tuple[Change, str]] = {
    "a wrong constant": (header("beta2 * v +", "beta1 * v +"), "error bounds"),
    "a lost square": (header("(g * g)", "g"), "error bounds"),
    "a maximum that hides nan": (header("maximum(v_max, v)", "fmax(v_max, v)"), "finite"),
    "no bounds check": (body("if (i >= *size)", "if (i > 9999)"), "AddressSanitizer"),
    "the address of the size": (body("*size", "*(&*size + 1)"), "AddressSanitizer"),
    "the thread of a block": (body("blockIdx.x * blockDim.x + ", ""), ""),
    "many: a start": (body("start = starts[3]", "start = starts[2]"), "AddressSanitizer"),
    "many: another's states": (body("flat_m + start", "flat_m"), "of many tensors"),
    "complete: vectors too far": (
        complete("(size - first) / lanes * lanes", "(size - first + lanes - 1) / lanes * lanes"),
        "AddressSanitizer",
    ),
    "complete: the tail forgotten": (complete("Index i = last +", "Index i = size +"), "another"),
    "complete: the head forgotten": (
        complete("Index i = threadIdx.x;", "Index i = size;"),
        "another",
    ),
    "complete: taken for aligned": (complete("return alike ?", "return true ?"), "misaligned"),
    "complete: the states not looked at": (
        complete("alike &= !is_live(s) || other == place", "alike &= true || other == place"),
        "misaligned",
    ),
    "complete: no bounds check": (
        complete("rest < share<T> ? rest : share<T>", "share<T>"),
        "AddressSanitizer",
    ),
    "complete: another's elements": (
        complete("<= blockIdx.x ? k : above", "< blockIdx.x ? k : above"),
        "",
    ),
    "complete: a state never stored": (complete("states[s][i] = T(now[s]);", ""), "another"),
    "complete: vectors never stored": (
        complete("*reinterpret_cast<Loaded*>(w + i) = ws;", ""),
        "another",
    ),
    "complete: a state that is not live": (
        complete("1u | 1u << 1 | unsigned(amsgrad) << 2", "7u", "{}"),
        "null pointer",
    ),
    "complete: scalars transposed": (
        complete("scalars[1], scalars[2]", "scalars[2], scalars[1]", "{}"),
        "another",
    ),
    "complete: a write to a gradient": (
        complete("w[i] = T(new_w);", "w[i] = T(new_w); const_cast<T*>(grad)[i] = w[i];"),
        "wrote to a gradient",
    ),
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
def test_every_mutant_is_found(
    names: list[str], emitted: Callable[[str], list[Subject]], tmp_path: Path
) -> None:
    adam = emitted("adam")[0]
    found = check(
        [MUTANTS[name][0](adam, tmp_path / str(i)) for i, name in enumerate(names)],
        sizes=(1, 257),
        steps=(1, 2),
        types=(mx.float32,),
        among=lambda settings: settings[-4::3],
    )
    missed = {
        name: [str(finding) for finding in report.findings[:3]]
        for name, report in zip(names, found, strict=True)
        if not any(MUTANTS[name][1] in finding.what for finding in report.findings)
    }
    assert missed == {}
