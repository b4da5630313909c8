"""The passes: each a pure function from program to program, alone in a file.

Owns their order, `PIPELINE`. Passes know nothing of Python, MLX or Metal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..ir.program import Program
from .drop_dead import drop_dead
from .gather import gather
from .hoist import hoist
from .inline import inline
from .name import name
from .order import order
from .resolve import resolve
from .share import share
from .split_roots import split_roots
from .strength import reduce_strength

Pass = Callable[[Program], Program]

PIPELINE: tuple[Pass, ...] = (
    drop_dead,
    inline,
    split_roots,
    gather,
    hoist,
    share,
    reduce_strength,
    name,
    order,
)


def stages(program: Program) -> Iterator[tuple[str, Program]]:
    """The program after each pass, with the pass's name; invariants are checked in between."""
    for run in PIPELINE:
        after = run(program)
        program = after if after is program else after.check()
        yield run.__name__, program


def optimize(program: Program) -> Program:
    """The program after all passes."""
    *_, (_, optimized) = stages(program)
    return optimized


__all__ = ["PIPELINE", "Pass", "optimize", "resolve", "stages"]
