"""How large an expression may be.

Owns the limits, and counting without a walk through all that stands in an expression many times.
Whatever makes an expression of others asks here first: equations, functions of the language, and
passes that put one expression into another.
"""

from __future__ import annotations

import sympy

#: A right side larger than this is an iteration that was not named (measured: one Newton-Schulz
#: step unnamed is fast past it, every update in the literature is far below it).
MAX_NODES = 400

#: Operations that stand in each other deeper than this (updates in the literature: up to 9).
MAX_DEPTH = 48

#: The depth of one Max or Min. SymPy compares what stands in them again at every change of an
#: expression, and each that stands in another makes that three times as long.
EXTREME = 8

#: What to do about it.
NAME_THEM = "name the intermediate results: give each iterate its own series"


def refuse_large(expr: sympy.Basic, role: str) -> None:
    """Refuse an expression of more nodes or levels than there may be.

    Parameters
    ----------
    expr : expression
        What is asked about.
    role : str
        What it is in the author's file, for the message.

    Raises
    ------
    ValueError
        Which says what to do.
    """
    nodes, levels = extent(expr)
    if levels > MAX_DEPTH:
        raise ValueError(
            f"{role} is nested {levels} deep, more than {MAX_DEPTH}, where a Max or Min counts for "
            f"{EXTREME}; {NAME_THEM}"
        )
    if nodes > MAX_NODES:
        raise ValueError(f"{role} has {nodes} nodes, more than {MAX_NODES}; {NAME_THEM}")


def is_large(nodes: int, levels: int) -> bool:
    """Whether an expression of this extent is larger than one may be."""
    return nodes > MAX_NODES or levels > MAX_DEPTH


def extent(expr: sympy.Basic) -> tuple[int, int]:
    """The number of nodes of an expression, and how deep operations stand in each other.

    >>> from lucidgen.spec import Max, grad, sqrt, t
    >>> extent(grad[t]), extent(sqrt(grad[t] + 1)), extent(Max(grad[t], 1))
    ((1, 0), (5, 2), (3, 8))
    """
    known: dict[sympy.Basic, tuple[int, int]] = {}
    work = [expr]
    while work:
        part = work[-1]
        if missing := [arg for arg in part.args if arg not in known]:
            work += missing
            continue
        work.pop()
        parts = [known[arg] for arg in part.args]
        own = EXTREME if isinstance(part, sympy.Max | sympy.Min) else bool(parts)
        known[part] = (
            1 + sum(nodes for nodes, _ in parts),
            own + max((levels for _, levels in parts), default=0),
        )
    return known[expr]
