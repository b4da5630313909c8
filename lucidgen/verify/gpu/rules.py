"""A kernel's text read as clang reads it, with Metal's address spaces; nothing runs.

Owns what a text must not say: write to constant memory or to a read-only buffer, mix address
spaces, compute in double, or declare names that are not its to use (Metal's, MLX's, and everything
outside `lucidgen` but the kernel itself).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ...targets.common.names import is_foreign
from ...targets.metal import MAX_BUFFERS
from .text import code_of, is_cuda, kernels, readable

_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?(\w*)")
_PREFIXES = ("custom_kernel_", "lucidgen_")


class NoClang(RuntimeError):
    """The clang library is not installed."""


def violations(text: str, names: bool = True) -> list[str]:
    """Everything that is wrong with a text, in words; empty if nothing is.

    Names need to be looked at only once in texts that differ in types and choices alone.
    """
    if is_cuda(text):
        return []  # nvcc reads those, where there is one
    return list(dict.fromkeys([*_doubles(text), *_buffers(text), *_clang(text, names)]))


def _doubles(text: str) -> Iterator[str]:
    """Metal has no double: its literals need a suffix."""
    code = code_of(text)
    if re.search(r"\bdouble\b", code):
        yield "it uses the type double"
    for match in _NUMBER.finditer(code):
        if match[3] not in ("f", "F", "h", "H"):
            yield f"the literal {match[0]} is a double"


def _buffers(text: str) -> Iterator[str]:
    for kernel in kernels(text):
        if len(kernel.buffers) > MAX_BUFFERS:
            yield f"{kernel.function} has {len(kernel.buffers)} buffers; Metal has {MAX_BUFFERS}"
        for _, what in kernel.positions:
            if what not in kernel.known_positions:
                yield f"{kernel.function} asks for {what}, which is not checked here"


@cache
def _library() -> Any:
    try:
        from clang import cindex
    except ImportError:
        raise NoClang(
            "checking Metal kernels needs clang's library: python -m pip install 'lucidgen[verify]'"
        ) from None
    return cindex


def _clang(text: str, names: bool) -> Iterator[str]:
    cindex = _library()
    body = readable(text)
    unit = cindex.Index.create().parse(
        "kernel.cpp",
        args=[
            "-std=c++14",
            "-target",
            "x86_64-unknown-linux-gnu",
            "-nostdinc",
            "-include",
            str(Path(__file__).parent / "spaces.h"),
            "-Wdouble-promotion",
            "-Wuninitialized",
            "-Wconditional-uninitialized",
            "-Wno-unknown-attributes",
            "-Wno-ignored-attributes",
            "-Wno-duplicate-decl-specifier",
            "-Wno-unknown-pragmas",
        ],
        unsaved_files=[("kernel.cpp", body)],
    )
    for found in unit.diagnostics:
        if found.severity >= cindex.Diagnostic.Warning:
            yield f"clang: {found.spelling}"
    for cursor in unit.cursor.get_children() if names else ():
        if str(cursor.location.file) == "kernel.cpp":
            yield from _outside(cursor, cindex)
            yield from _reserved(cursor, cindex)


def _outside(cursor: Any, cindex: Any) -> Iterator[str]:
    """Declarations at the top, where MLX's preamble declares its own."""
    is_ours = cursor.kind == cindex.CursorKind.NAMESPACE and cursor.spelling == "lucidgen"
    if not is_ours and not cursor.spelling.startswith(_PREFIXES):
        yield f"it declares {cursor.spelling!r} outside the namespace lucidgen"


def _reserved(cursor: Any, cindex: Any) -> Iterator[str]:
    kinds = cindex.CursorKind
    declares = cursor.kind in (
        kinds.PARM_DECL,
        kinds.VAR_DECL,
        kinds.FUNCTION_DECL,
        kinds.FUNCTION_TEMPLATE,
        kinds.TEMPLATE_NON_TYPE_PARAMETER,
        kinds.TEMPLATE_TYPE_PARAMETER,
    )
    name = cursor.spelling
    if declares and is_foreign(name) and not name.startswith(_PREFIXES):
        yield f"it declares {name!r}, a name that is not free"
    for child in cursor.get_children():
        yield from _reserved(child, cindex)
