"""Complete kernels in Metal of rules whose elements are each by themselves.

Owns their text. They update one tensor in place; static choices are arguments like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..common import gpu
from ..common.c_like import c_condition


@dataclass(frozen=True)
class Standalone:
    """The complete kernel: its parameters with their buffers, and its lines."""

    buffers: tuple[str, ...]
    lines: tuple[str, ...]


def standalone(of: gpu.Kernel) -> Standalone | None:
    """The complete kernel around a function for one element; None if it needs more.

    Where a state is not live, its buffer is not touched.
    """
    if of.tensors is not None:
        return None
    truths = (*of.conditions, *of.choices)
    parameters = [
        "device T* w",
        "const device T* grad",
        *(f"device T* {state}" for state in of.states),
        *(f"constant float& {scalar}" for scalar in of.scalars),
        *(f"constant bool& {name}" for name in truths),
        *(["constant uint4& stream"] if of.program.drawn else []),
        "constant uint& size",
    ]
    where = {s: c_condition(of.live[s]) for s in of.states if not of.live[s].is_always}
    lines = ["if (i >= size) {", "    return;", "}", "float w_i = float(w[i]);"]
    for s in of.states:
        test = f"{_wrapped(where[s])} ? float({s}[i]) : 0.0f" if s in where else f"float({s}[i])"
        lines.append(f"float {s}_i = {test};")
    values = ["w_i", "float(grad[i])", *(f"{state}_i" for state in of.states)]
    drawn = ["stream", "i"] if of.program.drawn else []
    lines += gpu.call(of.name, values, of.scalars, drawn, truths)
    lines.append("w[i] = T(w_i);")
    for s in of.states:
        store = f"{s}[i] = T({s}_i);"
        lines += [f"if ({where[s]}) {{", f"    {store}", "}"] if s in where else [store]
    buffers = tuple(f"{text} [[buffer({i})]]" for i, text in enumerate(parameters))
    return Standalone(buffers, tuple(lines))


def _wrapped(condition: str) -> str:
    return f"({condition})" if " " in condition else condition
