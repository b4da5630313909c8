"""Complete kernels of rules that reduce, in the place of the compiled loops in C++.

Owns the way from a call of the loops, with its table of pointers, to a run of a file of complete
kernels on this machine, and back. What drives the calls is the runtime, as in every step; which
files there are, and how they run, is a language's (`cuda_host`, `metal_phases`).
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...runtime.arrays import TYPES as NUMPY_TYPES
from ...runtime.backends.loops import compiler
from ...runtime.backends.loops.pointer_table import RawTable
from ...runtime.rules.calling import file_of
from ...runtime.rules.rule import Rule
from . import cuda_host, metal_phases
from .cuda_host import Case, Shape
from .host import DoesNotCompile, Fault

#: The types of arrays by their numbers in a table; bfloat16 comes as its bits.
_TYPES = {number: dtype for dtype, number in NUMPY_TYPES.items()}


class Program(Protocol):
    """Some kernels of a file, compiled."""

    def run(
        self,
        case: Case,
        shapes: Sequence[Shape],
        tensors: Sequence[Sequence[bytes | None]],
        scalars: Sequence[float],
        shifts: None,
        streams: Sequence[int],
    ) -> list[list[bytes]]:
        """What w, the gradient and the states of all tensors hold after one step."""
        ...

    def close(self) -> None:
        """Remove what was compiled."""
        ...


@dataclass(frozen=True)
class Language:
    """A language with files of complete kernels: the types of arrays that they know, the target and
    how its files end, a pattern that a `{rule}` with phases has there, and what compiles some cases
    of a file.
    """

    name: str
    types: tuple[str, ...]
    ending: str
    pattern: str
    compiled: Callable[[Path, Sequence[Case]], Program]

    def source_of(self, rule: Rule) -> Path | None:
        """The file with the phases of a rule; None if it has none."""
        source = file_of(rule.targets["cpp"], ".cpp")
        found = source.parents[1] / f"_{self.name}" / f"{source.stem}{self.ending}"
        text = found.read_text(encoding="utf-8") if found.exists() else ""
        return found if re.search(self.pattern.format(rule=rule.name), text) else None


CUDA = Language("cuda", cuda_host.TYPES, ".cu", r"in_phases<\s*T, {rule}_rule,", cuda_host.Program)
METAL = Language(
    "metal",
    metal_phases.TYPES,
    ".metal",
    r"LUCIDGEN_(PHASE|KERNEL)\({rule}, 1\b",
    metal_phases.Program,
)


class Kernels:
    """The kernels of rules, called as their loops are. Each is compiled when it is asked for."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.programs: dict[Case, Program] = {}
        self.calls = 0
        self.cases: dict[tuple[Path, Case], None] | None = None  # those asked for, while we listen

    def collect(self, steps: Callable[[], None]) -> bool:
        """Compile what some steps ask for, all of it together, and let these steps do nothing.

        Returns
        -------
        Whether they ask for anything.
        """
        self.cases = {}
        try:
            steps()
            cases = self.cases
        finally:
            self.cases = None
        for source in {source for source, _ in cases}:
            own = [case for path, case in cases if path == source]
            self.programs |= dict.fromkeys(own, self._compiled(source, own))
        return bool(cases)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Steps with kernel="cpp" run these kernels, where a rule has phases."""
        loops = compiler.demanded

        def step(rule: Rule, type_: str) -> compiler.Step:
            source = self.language.source_of(rule) if type_ in self.language.types else None
            return loops(rule, type_) if source is None else partial(self._run, rule, type_, source)

        compiler.demanded = step
        try:
            yield
        finally:
            compiler.demanded = loops
            for program in set(self.programs.values()):
                program.close()
            self.programs.clear()

    def _run(
        self,
        rule: Rule,
        kind: str,
        source: Path,
        address: int,
        scalars: Sequence[float],
        choices: Sequence[int],
        threads: int,
    ) -> None:
        table = RawTable.from_address(address)
        case = rule.name, kind, tuple(map(bool, choices))
        if self.cases is not None:
            self.cases[source, case] = None
            return
        if case not in self.programs:
            self.programs[case] = self._compiled(source, [case])
        each, dtype = 1 + len(rule.arrays), np.dtype("u2" if kind == "bfloat16" else kind)
        # Tensors come as matrices, whatever the rule takes for one.
        states = [replace(state, matrices="last") for state in rule.arrays]
        starts = _array(table.starts, "i8", table.count + 1)
        sizes = [end - start for start, end in pairwise(starts)]
        shapes: list[Shape] = [(1, 1, size) for size in sizes]
        if table.shapes:
            flat = iter(_array(table.shapes, "i8", 3 * table.count))
            shapes = list(zip(flat, flat, flat, strict=True))
        addresses = _array(table.arrays, "i8", each * table.count)
        tensors, places = [], []
        for k, shape in enumerate(shapes):
            own = addresses[k * each : (k + 1) * each]
            axes = [state.shape(shape) for state in states]
            lengths = [dtype.itemsize * math.prod(of) for of in (shape, *axes)]
            arrays = [
                ctypes.string_at(address, length) if address else None
                for address, length in zip(own, lengths, strict=True)
            ]
            tensors.append([arrays[0], _gradient(table, k, sizes[k], dtype), *arrays[1:]])
            places.append(own)
        streams = _array(table.streams, "u4", 4 * table.count) if table.streams else []
        self.calls += 1
        found = self.programs[case].run(case, shapes, tensors, list(scalars), None, streams)
        for own, new in zip(places, found, strict=True):
            for address, data in zip(own, [new[0], *new[2:]], strict=True):
                if address:
                    ctypes.memmove(address, data, len(data))

    def _compiled(self, source: Path, cases: Sequence[Case]) -> Program:
        try:
            return self.language.compiled(source, cases)
        except (ValueError, DoesNotCompile) as said:
            raise Fault(f"the host's compiler: {said}") from None


def _array(address: int, kind: str, count: int) -> list[int]:
    """Numbers that lie somewhere in memory."""
    data = ctypes.string_at(address, count * np.dtype(kind).itemsize)
    return list(map(int, np.frombuffer(data, kind)))


def _gradient(table: RawTable, k: int, size: int, dtype: Any) -> bytes:
    """A gradient in the type of its weights."""
    layouts = _array(table.layouts, "i8", table.count) if table.layouts else [0] * table.count
    assert not (size and layouts[k]), "gradients must lie as their weights do"
    own = _TYPES[_array(table.types, "i1", table.count)[k]]
    address = _array(table.grads, "i8", table.count)[k]
    if table.data_offset >= 0:
        (address,) = _array(address + table.data_offset, "i8", 1)
    found = np.frombuffer(ctypes.string_at(address, size * own.itemsize), own)
    return found.astype(dtype).tobytes()
