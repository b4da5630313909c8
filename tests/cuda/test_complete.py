"""Complete kernels: as NVIDIA compiles them, where nvcc is, and as any program calls them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from readings import covering, different, rule_of

import lucidgen.optim
from lucidgen import Parameter
from lucidgen.package.catalog import Entry
from lucidgen.runtime.backends.loops import compiler
from lucidgen.runtime.rules.rule import Rule
from lucidgen.verify.gpu import cuda_host

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "generated" / "lucid" / "optim" / "_cuda"
STANDIN = Path(cuda_host.__file__).parent / "cuda"
NVCC = shutil.which("nvcc")
HOST = (*compiler.compiler(), "-std=c++17", "-x", "c++", f"-I{STANDIN}", "-Wno-unknown-pragmas")


def architectures() -> list[Any]:
    """The oldest architecture that nvcc knows, and Hopper's."""
    done = subprocess.run([str(NVCC), "--list-gpu-arch"], capture_output=True, text=True)
    known = sorted((int(n) for n in re.findall(r"compute_(\d+)", done.stdout)), key=int)
    return [f"sm_{known[0]}", pytest.param("sm_90", marks=pytest.mark.complete)]


def compiled(source: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(NVCC), "-Werror=all-warnings"] if NVCC else [*HOST, "-Wall", "-Wextra"]
    return subprocess.run(
        [*command, *options, f"-I{FOLDER}", str(source), "-o", str(output)],
        capture_output=True,
        text=True,
    )


def joined(sources: Sequence[Path]) -> str:
    """Some files and their headers as one text, in which each helper function is there once."""
    seen: set[str] = set()
    found = ['#include "phases.cuh"', "#undef LUCIDGEN_STEPS", "#define LUCIDGEN_STEPS(rule)"]
    for source in sources:
        header = source.with_name(f"{source.stem}_step.cuh")
        text = header.read_text() + source.read_text()
        for part in re.sub(r"^#(include|pragma once).*", "", text, flags=re.M).split("\n\n"):
            if "__device__ inline" not in part or part not in seen:
                found.append(part)
            seen.add(part)
    return "\n\n".join(found)


def launches(readings: Sequence[Entry]) -> list[str]:
    """One kernel of each rule, with every choice on, each of another type than the one before."""
    rules = [rule for r in readings for rule in (rule_of(r), *shares_of(rule_of(r)))]
    texts = {r.file.name: (FOLDER / f"{r.file.name}.cu").read_text() for r in readings}
    found = {
        name: int(choices)
        for text in texts.values()
        for name, choices in re.findall(r"struct (\w+)_rule \{.*?choices = (\d+);", text, re.S)
    }
    return [
        f"lucidgen::{rule.name}_rule::launch<lucidgen::{cuda_host.TYPES[number % 4]}"
        f"{', true' * found[rule.name]}>"
        for number, rule in enumerate(rule for rule in rules if rule.name in found)
    ]


def shares_of(rule: Rule) -> list[Rule]:
    """The rules of what parameters give to sums over their group."""
    return [found.shares for found in rule.rounds if found.shares is not None]


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param(covering("cuda"), id="a sample"),
        pytest.param(different("cuda"), id="all", marks=pytest.mark.complete),
    ],
)
@pytest.mark.parametrize("architecture", architectures() if NVCC else ["this machine's"])
def test_a_compiler_takes_every_rule_without_a_word(
    readings: Sequence[Entry], architecture: str, tmp_path: Path
) -> None:
    """All of them in one text: a compiler takes seconds to start."""
    text = tmp_path / "all.cu"
    sources = dict.fromkeys(FOLDER / f"{reading.file.name}.cu" for reading in readings)
    cases = "".join(f", {launch}" for launch in launches(readings))
    text.write_text(
        f"{joined(list(sources))}\nlucidgen::Launch* launches[] = {{nullptr{cases}}};\n"
    )
    options = ["-c", f"-arch={architecture}"] if NVCC else ["-c"]
    done = compiled(text, tmp_path / "all.o", *options)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_compiler_refuses_what_is_wrong(tmp_path: Path) -> None:
    """A kernel that converts halves without saying so: the compilers above do look."""
    shutil.copytree(FOLDER, tmp_path / "own")
    options = ("-c", "-DLUCIDGEN_RULE=signsgd", "-DLUCIDGEN_TYPE=float16")
    source = tmp_path / "own" / "sign_sgd.cu"
    assert compiled(source, tmp_path / "sgd.o", *options).returncode == 0
    wrong = tmp_path / "own" / "sign_sgd_step.cuh"
    text = wrong.read_text()
    wrong.write_text(text.replace("real(", "T(").replace("real& w", "const real& w"))
    assert compiled(source, tmp_path / "sgd.o", *options).returncode != 0


def test_vectors_are_loaded_and_stored_at_once(tmp_path: Path) -> None:
    assert "struct alignas(16) Vector" in (FOLDER / "multi_tensor.cuh").read_text()
    if NVCC:
        options = ("-ptx", "-arch=sm_90", "-DLUCIDGEN_RULE=signsgd", "-DLUCIDGEN_TYPE=float32")
        assert compiled(FOLDER / "sign_sgd.cu", tmp_path / "a.ptx", *options).returncode == 0
        code = (tmp_path / "a.ptx").read_text()
        assert "ld.global.v4.f32" in code
        assert "st.global.v4.f32" in code
        assert ".local" not in code


# Calls


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    """The module of the benchmark that compiles and calls kernels."""
    path = ROOT / "bench" / "cuda" / "kernels.py"
    spec = importlib.util.spec_from_file_location("cuda_kernels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cuda_kernels"] = module
    spec.loader.exec_module(module)
    return module


SIZES = [0, 1, 7, 8, 33, 1000, 5000, *([3] * 200)]


def apart(size: int, dtype: Any, away: int) -> Any:
    """Memory for some elements, so many of them behind a multiple of 64 bytes."""
    raw = np.zeros((size + 32) * dtype().itemsize + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64 + away * dtype().itemsize
    return raw[start : start + size * dtype().itemsize].view(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_call_from_any_program_is_the_numpy_step_bit_for_bit(
    dtype: Any, kernels: ModuleType, tmp_path: Path
) -> None:
    """AMSGrad, over tensors enough for several launches, aligned and not, for three steps."""
    command = (*HOST, "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC")
    kind = np.dtype(dtype).name
    function = kernels.library(tmp_path / "adam.so", command, "adam", kind, "adam.cu")
    options: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}
    random = np.random.default_rng(0)
    rows = [
        [apart(n, dtype, away if array != 3 else away + k % 2) for array in range(4)]
        for k, (n, away) in enumerate((n, k % 3) for k, n in enumerate(SIZES))
    ]
    for row in rows:
        row[0][:] = random.standard_normal(row[0].size)
    params = [Parameter(row[0].copy()) for row in rows]
    reference = lucidgen.optim.Adam(params, kernel="numpy", **options)
    addresses = [[array.ctypes.data for array in row] for row in rows]
    step = kernels.Step(function, "Adam", options, SIZES, addresses)
    for t in (1, 2, 3):
        grads = [random.standard_normal(n).astype(dtype) for n in SIZES]
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad
        reference.step()
        step.run(t, [grad.ctypes.data for grad in grads])
    for row, p in zip(rows, params, strict=True):
        entry = reference.state[p]
        expected = [p.data, entry["exp_avg"], entry["exp_avg_sq"], entry["max_exp_avg_sq"]]
        assert all(np.array_equal(a, b) for a, b in zip(row, expected, strict=True))


def test_the_benchmark_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "cuda")],
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 1
    assert done.stderr == "error: nvcc is not on the PATH: install the CUDA toolkit\n"


def test_a_compiler_that_is_not_there_is_named(kernels: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(kernels.DoesNotCompile, match="no-such-compiler does not run"):
        kernels.library(tmp_path / "a.so", ("no-such-compiler",), "adam", "float32", "adam.cu")
