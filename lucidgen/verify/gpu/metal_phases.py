"""Complete Metal kernels of rules that reduce (`.metal` files), run on this machine.

Owns what a step of a tensor gives to the kernels of its phases: arguments and room, as the file's
own text and comments say. Texts are compiled and run by `host`, under sanitizers, and read by
`rules` first. What the numbers should be is not its business.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import host
from .cuda_host import Case, Shape
from .host import Fault
from .rules import violations
from .text import inlined

TYPES = ("float32", "float16", "bfloat16")
_IN_METAL = {"float32": "float", "float16": "half", "bfloat16": "bfloat"}

#: What a comment says of the memory that phases share.
_ROOM = re.compile(
    r"`room` is memory that they share: at most (?P<room>.+?) floats"
    r"(; half types need (?P<halves>.+?) more)?\.(?: |$)"
)

#: How many groups run each phase: more than there are units, or fewer.
GROUPS = 3


class Program:
    """Some kernels of a `.metal` file, compiled. The cases of a rule differ in its arguments alone.

    Parameters
    ----------
    source : Path
        The file, beside the headers that it includes.
    cases : sequence of Case
        Rules and types that are compiled; choices make no difference.

    Raises
    ------
    NoCompiler, NoClang
        If there is no compiler, or no clang to read the text.
    DoesNotCompile
        If the compiler refuses it.
    Fault
        If something is wrong with it as Metal.
    """

    def __init__(self, source: Path, cases: Sequence[Case]) -> None:
        kinds = {
            rule: {_IN_METAL[kind] for of, kind, _ in cases if of == rule} for rule, *_ in cases
        }

        def wanted(match: re.Match[str]) -> str:
            rule, number = match.groups()
            kernels = (f"LUCIDGEN_KERNEL({rule}, {number}, {t})" for t in kinds.get(rule, ()))
            return "\n".join(kernels)

        whole = inlined(source)
        self.text = re.sub(
            r"(?m)^LUCIDGEN_(?:PHASE|KERNEL)\((\w+), (\d+)(?:, float)?\)$", wanted, whole
        )
        wrong = violations(self.text)
        if wrong:
            raise Fault(f"reading the text: {'; '.join(wrong)}")
        self.program = host.Program([self.text])
        self.tensors = {rule: _Tensor(self.text, rule) for rule in kinds}

    def close(self) -> None:
        """Stop and remove the program."""
        self.program.close()

    def run(
        self,
        case: Case,
        shapes: Sequence[Shape],
        tensors: Sequence[Sequence[bytes | None]],
        scalars: Sequence[float],
        shifts: None = None,
        streams: Sequence[int] = (),
    ) -> list[list[bytes]]:
        """What the arrays hold after one step of each tensor; empty where they were None.

        Raises
        ------
        Fault
            If a sanitizer found something, or a kernel wrote to what it may only read.
        """
        rule, kind, choices = case
        own = self.tensors[rule]
        found = []
        for k, (shape, arrays) in enumerate(zip(shapes, tensors, strict=True)):
            stream = streams[4 * k : 4 * k + 4]
            given = own.arguments(shape, scalars, choices, stream)
            room = b"\xff" * (4 * own.room(shape, kind))
            buffers = [*(array or b"" for array in arrays), given, room]
            for number in range(1, own.phases + 1):
                entry = f"{rule}_phase_{number}_{_IN_METAL[kind]}"
                buffers = self.program.run(self.text, entry, buffers, GROUPS)
            if buffers[1] != arrays[1] or buffers[-2] != given:
                raise Fault("it wrote to what it may only read")
            found.append(buffers[:-2])
        return found


class _Tensor:
    """What the text says of the tensors of a rule."""

    def __init__(self, text: str, rule: str) -> None:
        self.phases = len(re.findall(rf"(?m)^using {rule}_phase_\d+ =", text))
        (fields,) = re.findall(rf"(?ms)^struct {rule}_arguments {{(.*?)^}};", text)
        self.fields = list(_fields(fields))
        (comment,) = re.findall(
            rf"((?:^///.*\n)+)template <typename T, typename Phase>\n.* lucidgen_{rule}\(",
            text,
            re.M,
        )
        lines = (line.removeprefix("///").strip() for line in comment.splitlines())
        said = _ROOM.search(" ".join(lines))
        if said is None:
            raise Fault(f"the comment on lucidgen_{rule} does not say how much room it needs")
        self.of_room, self.of_halves = said["room"], said["halves"] or "0"

    def arguments(
        self,
        shape: Shape,
        scalars: Sequence[float],
        choices: Sequence[bool],
        stream: Sequence[int],
    ) -> bytes:
        """The memory of the arguments."""
        extents = shape if ("uint", "rows") in self.fields else (math.prod(shape),)
        values = [*stream, *extents, *scalars, *choices]
        letters = [{"uint": "I", "float": "f", "bool": "?"}[kind] for kind, _ in self.fields]
        data = struct.pack("<" + "".join(letters), *values)
        return data + bytes(-len(data) % (16 if stream else 4))

    def room(self, shape: Shape, kind: str) -> int:
        """How many floats phases share."""
        matrices, rows, columns = shape
        names = {"matrices": matrices, "rows": rows, "columns": columns, "ceil": math.ceil}
        names["size"] = matrices * rows * columns
        halves = self.of_halves if kind != "float32" else "0"
        return int(eval(f"{self.of_room} + {halves}", {"__builtins__": {}}, names))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of a structure, one number each."""
    for line in text.split(";"):
        kind, _, names = line.strip().partition(" ")
        if kind == "uint4":
            yield from (("uint", f"{names}.{part}") for part in "xyzw")
        elif kind:
            yield from ((kind, name) for name in names.split(", "))
