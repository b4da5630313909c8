"""Emitted loops under the sanitizers: addresses, undefined behaviour, races between threads."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from readings import sampled

from lucidgen.runtime.backends.loops import compiler

DRIVER = Path(__file__).with_name("driver.cpp")
SOURCES = Path(__file__).parents[2] / "generated" / "lucid" / "optim" / "_cpp"
RULE = ("-DLUCIDGEN_RULE=adam", "-DLUCIDGEN_TYPE=float32")
#: Where the processor can, halves are converted eight at once, as in loops compiled for it.
CPU = Path("/proc/cpuinfo")
HALF = ("-mf16c",) if CPU.is_file() and "f16c" in CPU.read_text() else ()
#: How each sanitizer is run: the one for threads, whose runs are long, on optimized code.
SANITIZERS = {"address,undefined": "-O0", "address": "-O0", "undefined": "-O0", "thread": "-O1"}
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")


def compiled(target: Path, *options: str, source: Path = DRIVER, folder: Path = SOURCES) -> None:
    command = [*compiler.compiler(), "-std=c++17", "-pthread", "-fopenmp-simd", f"-I{folder}"]
    subprocess.run(
        [*command, *HALF, *options, str(source), "-o", str(target)], check=True, timeout=120
    )


def run(program: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TSAN_OPTIONS": "halt_on_error=1"}
    return subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60)


def sanitized(sanitizer: str) -> tuple[str, ...]:
    return (SANITIZERS[sanitizer], f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", *RULE)


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_no_sanitizer_finds_anything(sanitizer: str, tmp_path: Path) -> None:
    compiled(tmp_path / "driver", *sanitized(sanitizer))
    done = run(tmp_path / "driver")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["agree"] * 10


def test_gradients_are_halves_even_where_the_compiler_has_none(tmp_path: Path) -> None:
    options = ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", *RULE)
    compiled(tmp_path / "driver", "-U__FLT16_MANT_DIG__", *STRICT, *options)
    done = run(tmp_path / "driver")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["agree"] * 7


#: A bug of each kind: the sanitizer, the header that it is put into, and what stands there then.
BUGS = {
    "a thread goes one too far": (
        "address",
        "multi_tensor.h",
        "stop - next);",
        "stop - next + 1);",
    ),
    "shares overlap": (
        *("thread", "multi_tensor.h"),
        *("total / threads * (i + 1)", "total / threads * (i + 2)"),
    ),
    "gradients are taken for aligned": (
        *("undefined", "multi_tensor.h"),
        *("% alignof(G) == 0", "% 1 == 0"),
    ),
    "units overlap": (
        *("thread", "phases.h"),
        *("end = units * (thread + 1) / threads", "end = units * (thread + 2) / threads"),
    ),
    "a piece is always as wide as a block": (
        *("address", "phases.h"),
        *("rest < block<T> ? rest : block<T>", "block<T>"),
    ),
    "a piece has more rows than are left": (
        *("address", "phases.h"),
        *("each < end - row ? each : end - row", "each"),
    ),
    "bands share the sums of their columns": (
        *("thread", "phases.h"),
        *("(matrix * bands + band) * shape.columns", "matrix * shape.columns"),
    ),
}


#: Those that `make test` puts in.
SOME = ("a thread goes one too far", "units overlap")


@pytest.mark.parametrize("bug", sampled((*BUGS,), SOME, str))
def test_a_sanitizer_finds_a_bug_put_in(bug: str, tmp_path: Path) -> None:
    sanitizer, name, before, after = BUGS[bug]
    folder = tmp_path / "sources"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("*.py"))
    header = folder / name
    text = header.read_text()
    assert text.count(before) == 1
    header.write_text(text.replace(before, after))
    compiled(tmp_path / "driver", *sanitized(sanitizer), folder=folder)
    done = run(tmp_path / "driver")
    assert done.returncode != 0
    assert "Sanitizer" in done.stderr or "runtime error" in done.stderr


def test_the_strictest_warnings_have_nothing_to_say(tmp_path: Path) -> None:
    """In one text: all steps of the first rules, and four loops of each other."""
    first, *others = sorted(SOURCES.glob("*.cpp"))
    lines = [f'#include "{first.name}"', "#undef LUCIDGEN_STEPS", "#define LUCIDGEN_STEPS(rule)"]
    lines += [f'#include "{path.name}"' for path in others]
    loops = []
    for path in others:
        found = re.findall(
            r"struct (\w+)_rule {\n.*?choices = (\d+);.*?constexpr \w+<T>\* (loop|phases\b)",
            path.read_text(),
            re.DOTALL,
        )
        assert len(found) == path.read_text().count("_rule {")
        for rule, choices, member in found:
            for kind, on in itertools.product(("float", "double"), ("true", "false")):
                arguments = ", ".join([kind, *[on] * int(choices)])
                loops.append(
                    f"constexpr auto {rule}_{kind}_{on} = {rule}_rule::{member}<{arguments}>;"
                )
    text = tmp_path / "all.cpp"
    text.write_text("\n".join([*lines, "namespace lucidgen {", *loops, "}", ""]))
    compiled(tmp_path / "nothing", *STRICT, "-fsyntax-only", source=text)


def test_a_warning_in_what_a_loop_instantiates_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "adam.cpp"
    text = (SOURCES / source.name).read_text()
    source.write_text(text.replace("const real ", "const float ", 1))
    with pytest.raises(subprocess.CalledProcessError):
        compiled(tmp_path / "nothing", *STRICT, "-fsyntax-only", source=source)
