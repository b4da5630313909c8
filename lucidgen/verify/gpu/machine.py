"""A machine on which the runtime's GPU kernels run without a GPU.

Owns what stands for `mx.fast.metal_kernel` and `mx.fast.cuda_kernel`: it takes the text that MLX
would compile, and the arguments that the runtime gives, to the program of `host`. First it only
collects texts, so that all of them can be compiled together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np

from ...runtime.backends.gpu import languages, trial
from .host import Fault, Program
from .text import Kernel, assembled, assembled_cuda, kernels

Array = Any
Call = Mapping[str, Any]

#: What memory holds before a kernel writes to it.
_UNWRITTEN = 0xA5


class Machine:
    """Runs kernels once it has a program; before that it collects their texts.

    With `at_once` it compiles each text by itself as soon as it is called, which takes a second.
    `change` is done to the source of each body: it makes mutants.
    """

    def __init__(
        self,
        at_once: bool = False,
        change: Callable[[str], str] = lambda source: source,
        language: languages.Language = languages.METAL,
    ) -> None:
        self.at_once, self.change, self.language = at_once, change, language
        self.texts: dict[Any, str] = {}
        self.parsed: dict[str, Kernel] = {}
        self.program: Program | None = None
        self.programs: dict[str, Program] = {}  # those of single texts
        self.last: tuple[Mapping[str, Any], Call] | None = None

    def make_kernel(self, language: languages.Language, **arguments: Any) -> Callable[..., Any]:
        """What the runtime takes for a kernel of a language."""
        arguments["source"] = self.change(arguments["source"])

        def kernel(**call: Any) -> list[Array]:
            self.last = arguments, call
            return self.call(arguments, call)

        return kernel

    def text(self, arguments: Mapping[str, Any], call: Call) -> str:
        """The text that MLX assembles for a call."""
        arrays = tuple((a.dtype, a.ndim, a.size < 8) for a in call["inputs"])
        key = arguments["name"], arguments["source"], str(call["template"]), arrays
        if key not in self.texts:
            is_metal = self.language is languages.METAL
            self.texts[key] = (assembled if is_metal else assembled_cuda)(arguments, call)
        return self.texts[key]

    def close(self) -> None:
        """Stop the programs."""
        for program in (*self.programs.values(), *([self.program] if self.program else ())):
            program.close()

    def call(self, arguments: Mapping[str, Any], call: Call) -> list[Array]:
        """The outputs of a kernel; zeros while texts are collected."""
        text = self.text(arguments, call)
        results = list(zip(call["output_shapes"], call["output_dtypes"], strict=True))
        program = self._at_once(text) if self.at_once else self.program
        if program is None:
            return [mx.zeros(shape, dtype=dtype) for shape, dtype in results]
        if text not in self.parsed:
            self.parsed[text] = kernels(text)[0]
        entry = self.parsed[text].entries[0].name
        given = [data_of(array) for array in call["inputs"]]
        sizes = [int(np.prod(shape)) * dtype.size for shape, dtype in results]
        new = [bytes([_UNWRITTEN]) * size for size in sizes]
        found = program.run(text, entry, [*given, *new], threads(call))
        if found[: len(given)] != given:
            raise Fault("it wrote to one of its inputs")
        outputs = found[len(given) :]
        return [
            array_of(data, shape, dtype)
            for data, (shape, dtype) in zip(outputs, results, strict=True)
        ]

    def _at_once(self, text: str) -> Program:
        if text not in self.programs:
            self.programs[text] = Program([text])
        return self.programs[text]

    @contextmanager
    def installed(self) -> Iterator[Machine]:
        """Within it, the runtime takes this machine for a GPU of the language."""
        before = languages.running, languages.make_kernel
        languages.running = lambda: self.language
        languages.make_kernel = self.make_kernel
        trial.forget()
        try:
            yield self
        finally:
            languages.running, languages.make_kernel = before
            trial.forget()


def threads(call: Call) -> int:
    """More threads than elements: whole groups, and one group beyond."""
    wide, group = call["grid"][0], call["threadgroup"][0]
    return int(-(-wide // group) + 1) * int(group)


def data_of(array: Array) -> bytes:
    """The memory of an MLX array."""
    plain = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
    return np.ascontiguousarray(np.array(plain)).tobytes()


_NUMPY = {
    mx.float32: np.float32,
    mx.float16: np.float16,
    mx.bfloat16: np.uint16,
}


def array_of(data: bytes, shape: Sequence[int], dtype: Any) -> Array:
    """The MLX array in some memory."""
    found = mx.array(np.frombuffer(data, dtype=_NUMPY[dtype]).reshape(shape))
    return found.view(mx.bfloat16) if dtype == mx.bfloat16 else found
