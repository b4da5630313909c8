"""Resolve static choices: what is decided now is never asked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.program import Program


def resolve(program: Program, on: Mapping[str, bool]) -> Program:
    """The program under some static choices; the others stay open.

    >>> from lucidgen.passes.examples import decayed, show
    >>> show(decayed)
    g = grad + w[t - 1]*weight_decay  if use_weight_decay
    g = grad  if not use_weight_decay
    w = -g*lr + w[t - 1]
    >>> show(resolve(decayed, {"use_weight_decay": False}))
    g = grad
    w = -g*lr + w[t - 1]
    """
    lets = []
    for let in program.lets:
        guard = let.guard
        for name, value in on.items():
            guard = guard.given(name, value)
        if guard:
            lets.append(replace(let, guard=guard))
    outputs = []
    for output in program.outputs:
        live = output.live
        for name, value in on.items():
            live = live.given(name, value)
        if live:
            outputs.append(replace(output, live=live))
    return replace(program.with_lets(lets), outputs=tuple(outputs))
