"""Complete CUDA kernels next to those for MLX: on the same numbers they must give the same.

Owns what a `.cu` file is given. Its tensors are of several sizes, aligned, misaligned alike and
misaligned each in its own way, so that vectors and single elements both are loaded and stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...runtime.rule import Rule
from .cuda_host import Program
from .inputs import POOL
from .machine import data_of
from .subjects import Step, Subject

Array = Any

#: The elements of each tensor, and whether all its arrays are equally far from 16 bytes.
TENSORS = ((POOL, True, 0), (33, True, 1), (0, True, 0), (9, False, 1), (1, True, 3), (7, True, 1))


def program(subject: Subject, types: Sequence[Any]) -> Program | None:
    """The complete kernels of a rule, compiled; None if it has none."""
    if f"struct {subject.rule.name}_rule " not in subject.standalone:
        return None
    return Program(subject.source, [subject.rule.name], [_name(kind) for kind in types])


def differences(
    complete: Program, rule: Rule, step: Step, call: Mapping[str, Any], outputs: Sequence[Array]
) -> Iterator[str]:
    """What the complete kernel does that the kernel for MLX does not, in words."""
    kernel, kind = step.call.kernel, call["inputs"][0].dtype
    states = [state.name for state in rule.arrays]
    live = dict(zip(step.call.live, call["inputs"][2:], strict=False))
    given = [*call["inputs"][:2], *(live.get(name) for name in states)]
    new = dict(zip((0, *(2 + states.index(name) for name in step.call.live)), outputs, strict=True))
    tensors = [
        [None if array is None else data_of(array[:size]) for array in given]
        for size, _, _ in TENSORS
    ]
    shifts = [
        [(by if alike else by + k) * kind.size for k in range(len(given))]
        for _, alike, by in TENSORS
    ]
    found = complete.run(
        rule.name,
        _name(kind),
        [size for size, _, _ in TENSORS],
        tensors,
        [step.bucket.values[name] for name in kernel.scalars],
        [step.bucket.values[name] for name in (*kernel.conditions, *kernel.choices)],
        shifts,
    )
    for (size, _, _), arrays in zip(TENSORS, found, strict=True):
        for place, expected in new.items():
            if arrays[place] != data_of(expected[:size]):
                name = ("w", "grad", *states)[place]
                yield f"the complete kernel's {name} of {size} elements is another"


def _name(kind: Any) -> str:
    return str(kind).rpartition(".")[2]
