"""The languages of GPU kernels that MLX takes, and the first lines of a kernel in each.

Owns what differs between them: what a kernel may be given, how a thread finds its element, and
where MLX runs kernels at all. A body (``text``) says what is done to element i of w; the lines
here, put before it, say which element of which tensor that is. They depend on how many tensors a
call updates, which is known only when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language of kernels.

    ``name`` is that of the argument ``kernel`` and of the rule's field; ``buffers`` are the most
    that a kernel is given; ``index`` numbers the threads of a grid; ``read`` and ``write`` declare
    pointers to inputs and outputs, ``number`` reads an input that is one number, and ``stream`` is
    that of a tensor among those of all.
    """

    name: str
    title: str
    where: str
    buffers: int
    index: str
    uint: str
    read: str
    write: str
    number: str
    stream: str

    def is_running(self) -> bool:
        """Whether MLX has such a device, and that is where it computes."""
        has_device = bool(getattr(mx, self.name).is_available())
        return has_device and mx.default_device() == mx.Device(mx.gpu)

    def one(self, draws: bool = False) -> str:
        """The first lines of a body for one tensor: element i of ``size``."""
        place = [f"const {self.uint} tensor = 0;"] if draws else []
        return self._position(self.number.format("size")) + _indented(place)

    def many(self, tensors: int, states: Sequence[str], draws: bool = False) -> str:
        """The first lines of a body for several tensors, whose states lie one after the other.

        The elements of tensor k have the numbers from ``starts[k]`` to ``starts[k + 1]``.
        """
        lines = [
            f"{self.read} w = w_0;",
            f"{self.read} grad = grad_0;",
            f"{self.write} new_w = new_w_0;",
            f"{self.uint} start = 0;",
            *([f"{self.uint} tensor = 0;"] if draws else []),
        ]
        for k in range(1, tensors):
            lines += [
                f"if (i >= starts[{k}]) {{",
                f"    w = w_{k};",
                f"    grad = grad_{k};",
                f"    new_w = new_w_{k};",
                f"    start = starts[{k}];",
                *([f"    tensor = {k};"] if draws else []),
                "}",
            ]
        lines.append("i -= start;")
        for state in states:
            lines += [
                f"{self.read} {state} = flat_{state} + start;",
                f"{self.write} new_{state} = flat_new_{state} + start;",
            ]
        return self._position(f"starts[{tensors}]") + _indented(lines)

    def _position(self, end: str) -> str:
        lines = f"{self.uint} i = {self.index};", f"if (i >= {end}) {{", "    return;", "}"
        return "\n" + _indented(lines)


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


_STREAM = ", ".join(f"streams[4 * tensor + {k}]" for k in range(4))

METAL = Language(
    name="metal",
    title="Metal",
    where="on a Mac",
    buffers=31,
    index="thread_position_in_grid.x",
    uint="uint",
    read="const device T*",
    write="device T*",
    number="{}",
    stream=f"uint4({_STREAM})",
)

#: A kernel takes 4096 bytes of arguments here, far more than the search for a tensor is worth.
CUDA = Language(
    name="cuda",
    title="CUDA",
    where="in its build for CUDA",
    buffers=64,
    index="blockIdx.x * blockDim.x + threadIdx.x",
    uint="unsigned int",
    read="const T*",
    write="T*",
    number="*{}",
    stream=f"make_uint4({_STREAM})",
)

LANGUAGES = {language.name: language for language in (METAL, CUDA)}


def running() -> Language | None:
    """The language of the device that MLX computes on; None on a processor."""
    return next((language for language in LANGUAGES.values() if language.is_running()), None)


def make_kernel(language: Language, **arguments: Any) -> Callable[..., Any]:
    """An MLX kernel of a text; the one place where a GPU is asked for anything."""
    made: Any = getattr(mx.fast, f"{language.name}_kernel")(**arguments)
    return made  # type: ignore[no-any-return]
