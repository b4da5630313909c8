"""The text of a kernel: as MLX assembles it, and what it says of its own arguments.

Owns the way to MLX's text on a machine without Metal (an exported function holds it whole), and the
reading of signatures and instantiations, of MLX's texts and of `.metal` files alike.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class UnreadableText(ValueError):
    """A text is not as kernels are written."""


@dataclass(frozen=True)
class Buffer:
    """A parameter of a kernel that is memory: its address space and type, as they stand there."""

    name: str
    space: str
    type: str
    is_pointer: bool
    is_const: bool
    index: int

    @property
    def is_read_only(self) -> bool:
        """Whether a kernel may not write to it."""
        return self.is_const or self.space == "constant"


@dataclass(frozen=True)
class Entry:
    """An instantiation of a kernel: its name for callers, the template and its arguments."""

    name: str
    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """A kernel in a text: its buffers, its position arguments, its instantiations."""

    function: str
    template: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    positions: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]

    @property
    def is_of_groups(self) -> bool:
        """Whether it asks which group a thread is in."""
        return any(what.startswith("threadgroup") for _, what in self.positions)

    @property
    def known_positions(self) -> Mapping[str, str]:
        """What it may ask of where a thread is, and what says so on this machine."""
        if not self.is_of_groups:
            return {"thread_position_in_grid": "i"}
        return {
            "threadgroup_position_in_grid": "group",
            "threadgroups_per_grid": "groups",
            "thread_position_in_threadgroup": "standin::thread_index",
        }


_KERNEL = re.compile(
    r"template <(?P<template>[^>]*)>\s*"
    r"\[\[kernel(?:, max_total_threads_per_threadgroup\(256\))?\]\] "
    r"void (?P<name>\w+)\((?P<parameters>.*?)\) \{",
    re.DOTALL,
)
_BUFFER = re.compile(
    r"(?P<const>const )?(?P<space>device|constant) (?P<type>[\w:]+)(?P<kind>[*&]) (?P<name>\w+) "
    r"\[\[buffer\((?P<index>\d+)\)\]\]"
)
_POSITION = re.compile(r"(?P<type>\w+) (?P<name>\w+) \[\[(?P<what>\w+)\]\]")
_ENTRY = re.compile(
    r"template \[\[host_name\(\"(?P<name>\w+)\"\)\]\]\s*\[\[kernel\]\]\s*"
    r"decltype\((?P<function>\w+)<(?P<arguments>[^>]*)>\)"
)

#: A phase, whose kernel a macro makes in each type or in one.
_PHASE = re.compile(
    r"^LUCIDGEN_(?:PHASE|KERNEL)\((?P<rule>\w+), (?P<number>\d+)(?:, (?P<type>\w+))?\)$",
    re.MULTILINE,
)
_TYPES = ("float", "half", "bfloat")

_CUDA = re.compile(r"__global__ void (?P<name>\w+)\((?P<parameters>[^)]*)\) \{")
_POINTER = re.compile(r"(?P<const>const )?(?P<type>\w+)\* (?P<name>\w+)")

#: MLX's names for types in CUDA.
_CUDA_TYPES = {
    "float32": "float",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "uint32": "uint32_t",
    "bool": "bool",
}


def kernels(text: str) -> list[Kernel]:
    """The kernels of a text, in order."""
    if is_cuda(text):
        return [_cuda_kernel(text)]
    entries = [
        Entry(m["name"], m["function"], tuple(a.strip() for a in m["arguments"].split(",")))
        for m in _ENTRY.finditer(text)
    ]
    entries += [
        Entry(
            f"{m['rule']}_phase_{m['number']}_{kind}",
            f"lucidgen_{m['rule']}",
            (kind, f"lucidgen::{m['rule']}_phase_{m['number']}"),
        )
        for m in _PHASE.finditer(text)
        for kind in ([m["type"]] if m["type"] else _TYPES)
    ]
    found = []
    for match in _KERNEL.finditer(text):
        buffers, positions = [], []
        for parameter in match["parameters"].split(",\n"):
            memory = _BUFFER.fullmatch(parameter.strip())
            position = _POSITION.fullmatch(parameter.strip())
            if memory:
                buffers.append(_buffer(memory))
            elif position:
                positions.append((position["type"], position["what"]))
            else:
                raise UnreadableText(f"{match['name']}: cannot read {parameter.strip()!r}")
        if [b.index for b in buffers] != list(range(len(buffers))):
            raise UnreadableText(f"{match['name']}: its buffers are not numbered from 0 on")
        names = tuple(word.split()[-1] for word in match["template"].split(","))
        own = tuple(e for e in entries if e.function == match["name"])
        found.append(Kernel(match["name"], names, tuple(buffers), tuple(positions), own))
    if not found:
        raise UnreadableText("the text holds no kernel")
    return found


def is_cuda(text: str) -> bool:
    """Whether the text is in CUDA, not in Metal."""
    return "__global__" in text


def _cuda_kernel(text: str) -> Kernel:
    match = _CUDA.search(text)
    if match is None:
        raise UnreadableText("the text holds no kernel")
    buffers = []
    for index, parameter in enumerate(match["parameters"].split(",")):
        memory = _POINTER.fullmatch(parameter.strip())
        if memory is None:
            raise UnreadableText(f"{match['name']}: cannot read {parameter.strip()!r}")
        is_const = bool(memory["const"])
        buffers.append(Buffer(memory["name"], "device", memory["type"], True, is_const, index))
    return Kernel(match["name"], (), tuple(buffers), (), (Entry(match["name"], match["name"], ()),))


def _buffer(match: re.Match[str]) -> Buffer:
    return Buffer(
        match["name"],
        match["space"],
        match["type"],
        match["kind"] == "*",
        bool(match["const"]),
        int(match["index"]),
    )


def assembled(arguments: Mapping[str, Any], call: Mapping[str, Any]) -> str:
    """The text that MLX makes of `mx.fast.metal_kernel(**arguments)` and a call of it.

    MLX assembles it when the call is traced, and an exported function holds it. Nothing runs.
    """
    import mlx.core as mx

    made: Any = mx.fast.metal_kernel(**arguments)
    rest = {key: value for key, value in call.items() if key != "inputs"}

    def traced(*inputs: Any) -> Any:
        return made(inputs=list(inputs), **rest)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.mlxfn"
        mx.export_function(str(path), traced, *call["inputs"])
        return _exported(path.read_bytes())


def assembled_cuda(arguments: Mapping[str, Any], call: Mapping[str, Any]) -> str:
    """The text that MLX makes of `mx.fast.cuda_kernel(**arguments)` and a call of it.

    MLX makes none where it has no CUDA. This follows its sources (0.30 and later): every input is
    a pointer, numbers too; types and choices are declared before the body.
    """
    names = {dtype: _CUDA_TYPES[str(dtype).rpartition(".")[2]] for dtype in _types(call)}
    inputs = zip(call["inputs"], arguments["input_names"], strict=True)
    outputs = zip(call["output_dtypes"], arguments["output_names"], strict=True)
    parameters = [f"    const {names[array.dtype]}* {name}" for array, name in inputs]
    parameters += [f"    {names[dtype]}* {name}" for dtype, name in outputs]
    declared, mark = [], ""
    for name, value in call["template"]:
        if isinstance(value, bool):
            declared.append(f"  constexpr bool {name} = {str(value).lower()};\n")
            mark += "_t" if value else "_f"
        else:
            declared.append(f"  using {name} = {names[value]};\n")
            mark += f"_{names[value]}"
    signature = ",\n".join(parameters)
    return (
        f"#define inf standin_inf\n{arguments['header']}"
        f"namespace mlx::core::cu {{\n\n__global__ void custom_kernel_{arguments['name']}{mark}(\n"
        f"{signature}) {{\n{''.join(declared)}\n{arguments['source']}\n}}\n\n}}\n"
    )


def _types(call: Mapping[str, Any]) -> set[Any]:
    return {*(array.dtype for array in call["inputs"]), *call["output_dtypes"]}


def _exported(data: bytes) -> str:
    """The source of the custom kernel in an exported function: name and text, with lengths."""
    mark = b"CustomKernel"
    start = data.find(mark)
    if start < 0:
        raise UnreadableText("MLX exported no custom kernel")
    start += len(mark)
    (length,) = struct.unpack_from("<Q", data, start)
    name = data[start + 8 : start + 8 + length]
    start += 8 + length
    (length,) = struct.unpack_from("<Q", data, start)
    text = data[start + 8 : start + 8 + length]
    if not name.startswith(b"custom_kernel_") or name not in text:
        raise UnreadableText("this version of MLX exports kernels in another form")
    return text.decode()


def inlined(source: Path) -> str:
    """The text of a file with the headers in it that lie beside it."""
    text = source.read_text(encoding="utf-8")

    def header(match: re.Match[str]) -> str:
        return source.with_name(match[1]).read_text(encoding="utf-8")

    return re.sub(r'^#include "(\w+\.h)"\n', header, text, flags=re.MULTILINE)


def code_of(text: str) -> str:
    """The text without comments, its line numbers kept."""
    blank = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), blank, flags=re.DOTALL)


def readable(text: str) -> str:
    """The text as plain C++ compilers read it.

    They know no standard library of Metal, and refuse attributes on explicit instantiations, which
    only name an entry for callers; what a group shares lives as long as the program there. Nothing
    else is changed.
    """
    plain = text.replace("#include <metal_stdlib>", "").replace("#pragma once", "")
    plain = re.sub(r"^( +)(threadgroup \w+ \w+\[)", r"\1static \2", plain, flags=re.MULTILINE)
    return re.sub(r"template \[\[host_name\([^]]+\)\]\]\s*\[\[kernel\]\]", "template", plain)


def halves(text: str) -> tuple[str, str]:
    """What stands before the first kernel, and the rest; texts of one rule share the former."""
    match = re.search("namespace mlx", text) if is_cuda(text) else _KERNEL.search(text)
    start = match.start() if match else 0
    return text[:start], text[start:]
