"""Complete CUDA kernels next to those for MLX: on the same numbers they must give the same.

Owns what a `.cu` file is given. Its tensors are of several sizes, aligned, misaligned alike and
misaligned each in its own way, so that vectors and single elements both are loaded and stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...runtime.rules.rule import Rule
from .cuda_host import Case, Program
from .inputs import POOL
from .machine import data_of
from .subjects import Step, Subject

Array = Any

#: The elements of each tensor, how many elements its arrays lie behind a multiple of 16 bytes, and
#: which of them (w, gradient, states) lies one further.
TENSORS = ((POOL, 0, -1), (33, 1, -1), (0, 0, -1), (9, 1, 1), (1, 3, -1), (12, 0, 2), (7, 1, -1))


def case_of(rule: Rule, kind: Any, step: Step) -> Case:
    """The complete kernel that serves a step."""
    kernel = step.call.kernel
    names = (*kernel.conditions, *kernel.choices)
    return rule.name, _name(kind), tuple(bool(step.bucket.values[name]) for name in names)


def program(subject: Subject, cases: Sequence[Case]) -> Program | None:
    """The complete kernels of a rule, compiled; None if it has none, or none for one element."""
    if f"launched<T, {subject.rule.name}_rule" not in subject.standalone:
        return None
    return Program(subject.source, cases)


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
    shifts = [[(by + (k == odd)) * kind.size for k in range(len(given))] for _, by, odd in TENSORS]
    shapes = [(1, 1, size) for size, _, _ in TENSORS]
    scalars = [step.bucket.values[n] for n in kernel.scalars]
    streams = [int(word) for _ in TENSORS for own in step.stream for word in own]
    found = complete.run(case_of(rule, kind, step), shapes, tensors, scalars, shifts, streams)
    for (size, _, _), arrays in zip(TENSORS, found, strict=True):
        for place, expected in new.items():
            if arrays[place] != data_of(expected[:size]):
                name = ("w", "grad", *states)[place]
                yield f"the complete kernel's {name} of {size} elements is another"


def _name(kind: Any) -> str:
    return str(kind).rpartition(".")[2]
