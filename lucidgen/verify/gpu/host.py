"""Kernels' texts, compiled for this machine and run there over a grid.

Owns the program around the texts: each in a namespace of its own (what stands before the kernel is
there once for all texts that share it), a table of their instantiations, and a loop that reads
buffers and writes them back. It runs under the address and the undefined-behaviour sanitizers,
every buffer in memory of exactly its size. What the numbers should be is not its business.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .text import Entry, Kernel, UnreadableText, halves, is_cuda, kernels, readable

_FLAGS = (
    "-std=c++17",
    "-O0",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-ftrivial-auto-var-init=pattern",
    "-ffp-contract=off",
    "-w",  # what deserves a warning, `rules` finds
)

#: The threads of a group, where kernels ask for it.
GROUP = 256

_PROLOGUE = """\
{}
#include <cstdio>
#include <cstdlib>
"""

_EPILOGUE = """
typedef void (*Run)(void** buffers, uint32_t threads);
static const Run table[] = {%s};

static bool get(void* to, size_t count) {
    return count == 0 || std::fread(to, 1, count, stdin) == count;
}

int main() {
    uint32_t head[3];
    while (get(head, sizeof head)) {
        uint32_t sizes[64];
        void* buffers[64];
        if (head[2] > 64 || !get(sizes, 4 * head[2])) {
            return 2;
        }
        for (uint32_t i = 0; i < head[2]; ++i) {
            buffers[i] = sizes[i] ? std::malloc(sizes[i]) : nullptr;
            if (!get(buffers[i], sizes[i])) {
                return 2;
            }
        }
        table[head[0]](buffers, head[1]);
        for (uint32_t i = 0; i < head[2]; ++i) {
            if (sizes[i]) {
                std::fwrite(buffers[i], 1, sizes[i], stdout);
            }
            std::free(buffers[i]);
        }
        std::fflush(stdout);
    }
    return 0;
}
"""


class DoesNotCompile(Exception):
    """The host's compiler refuses texts; `said` is what it says first of each."""

    def __init__(self, said: Mapping[str, str]) -> None:
        super().__init__("; ".join(said.values()))
        self.said = said


class Fault(Exception):
    """A kernel did what it must not; the message is the sanitizer's."""


class NoCompiler(RuntimeError):
    """There is no C++ compiler here."""


def compiler() -> str:
    """The C++ compiler of this machine."""
    for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NoCompiler("checking Metal kernels needs a C++ compiler: install g++ or clang")


def _header(texts: Sequence[str]) -> str:
    """What stands for the language of some texts."""
    if any(map(is_cuda, texts)):
        return '#include "cuda/cuda_runtime.h"'
    groups = any("threadgroup_barrier" in text for text in texts)
    return '#include "groups.h"\n' * groups + '#include "metal.h"'


def _cast(kernel: Kernel, entry: Entry) -> str:
    """The function that calls one instantiation for every thread of a grid."""
    known = dict(zip(kernel.template, entry.arguments, strict=True))
    arguments = []
    for b in kernel.buffers:
        pointer = f"{'const ' if b.is_const else ''}{known.get(b.type, b.type)}*"
        value = f"static_cast<{pointer}>(buffers[{b.index}])"
        arguments.append(value if b.is_pointer else f"*{value}")
    for kind, what in kernel.positions:
        if what not in kernel.known_positions:
            raise UnreadableText(f"{kernel.function}: {what} is not known here")
        at = kernel.known_positions[what]
        arguments.append(f"uint3{{{at}, 0, 0}}" if kind == "uint3" else at)
    call = f"{entry.function}<{', '.join(entry.arguments)}>({', '.join(arguments)});"
    if kernel.is_of_groups:
        return (
            f"static void run_{entry.name}(void** buffers, uint32_t groups) {{\n"
            f"    for (uint32_t group = 0; group < groups; ++group) {{\n"
            f"        standin::block.run({GROUP}, [&] {{ {call} }});\n    }}\n}}\n"
        )
    if not kernel.positions:
        place = "blockDim.x = 32; blockIdx.x = i / 32; threadIdx.x = i % 32;"
        call = f"{place} mlx::core::cu::{entry.function}({', '.join(arguments)});"
    return (
        f"static void run_{entry.name}(void** buffers, uint32_t threads) {{\n"
        f"    for (uint32_t i = 0; i < threads; ++i) {{\n        {call}\n    }}\n}}\n"
    )


class Program:
    """Texts, compiled into one program that waits for work. Use it as a context manager."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lucidgen-metal-")
        self.index: dict[tuple[str, str], int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.binary = Path(self.folder.name) / "kernels"
        source = Path(self.folder.name) / "kernels.cpp"
        parts = self._parts(list(dict.fromkeys(texts)))
        source.write_text("\n".join(part for part, _ in parts), encoding="utf-8")
        here = str(Path(__file__).parent)
        command = [compiler(), *_FLAGS, "-I", here, str(source), "-o", str(self.binary)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            self.close()
            raise DoesNotCompile(_said(done.stderr, parts) or dict.fromkeys(texts, done.stderr))

    def _parts(self, texts: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
        """The parts of the source, each with the texts that it stems from."""
        table: list[str] = []
        shared: dict[str, list[str]] = {}
        for text in texts:
            shared.setdefault(halves(readable(text))[0], []).append(text)
        parts: list[tuple[str, Sequence[str]]] = [(_PROLOGUE.format(_header(texts)), ())]
        for number, (header, members) in enumerate(shared.items()):
            parts.append((f"namespace texts_{number} {{\n{header}", members))
            for member, text in enumerate(members):
                lines = [f"namespace text_{member} {{", halves(readable(text))[1]]
                for kernel in kernels(text):
                    for entry in kernel.entries:
                        lines.append(_cast(kernel, entry))
                        self.index[text, entry.name] = len(table)
                        table.append(f"texts_{number}::text_{member}::run_{entry.name}")
                parts.append(("\n".join([*lines, "}"]), [text]))
            parts.append(("}", ()))
        return [*parts, (_EPILOGUE % ", ".join(table), texts)]

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the program and remove its files."""
        self._stop()
        self.folder.cleanup()

    def _stop(self) -> None:
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process.wait()
            self.process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:color=never"}
            with open(f"{self.binary}.log", "wb") as log:
                self.process = subprocess.Popen(
                    [str(self.binary)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                )
        return self.process

    def run(self, text: str, entry: str, buffers: Sequence[bytes], threads: int) -> list[bytes]:
        """What the buffers hold after every thread of a grid has run.

        Of kernels that ask for groups, `threads` counts these.
        """
        process = self._running()
        sizes = [len(data) for data in buffers]
        head = struct.pack("<3I", self.index[text, entry], threads, len(buffers))
        found = None
        try:
            given: Any = process.stdin
            given.write(b"".join((head, struct.pack(f"<{len(sizes)}I", *sizes), *buffers)))
            given.flush()
            found = _read(process.stdout, sum(sizes))
        except (BrokenPipeError, ConnectionResetError):
            found = None
        if found is None:
            self._stop_after_fault()
            raise Fault(self._complaint())
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return [found[start : start + size] for start, size in zip(starts, sizes, strict=True)]

    def _stop_after_fault(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                try:
                    if pipe is not None:
                        pipe.close()
                except BrokenPipeError:
                    continue
            process.wait()

    def _complaint(self) -> str:
        return complaint(Path(f"{self.binary}.log").read_text(encoding="utf-8", errors="replace"))


def complaint(log: str) -> str:
    """What a sanitizer says first."""
    lines = [
        line.partition("ERROR: ")[2] or line.partition("runtime error: ")[2]
        for line in log.splitlines()
        if "ERROR: " in line or "runtime error: " in line
    ]
    return lines[0].partition(" on address")[0] if lines else "the program ended by itself"


def _read(pipe: IO[bytes] | None, count: int) -> bytes | None:
    """That many bytes, or None if there are no more."""
    assert pipe is not None
    data = pipe.read(count)
    return data if len(data) == count else None


def _said(errors: str, parts: Sequence[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """What the compiler says first of each text, by the lines that it names."""
    ends, line = [], 0
    for part, texts in parts:
        line += part.count("\n") + 1
        ends.append((line, texts))
    found: dict[str, str] = {}
    for match in re.finditer(r"kernels\.cpp:(\d+):\d+: (?:fatal )?error: (.*)", errors):
        texts = next((texts for end, texts in ends if int(match[1]) <= end), ())
        found |= {text: match[2] for text in texts if text not in found}
    return found
