"""What is asked of expressions again and again, answered once for each expression.

SymPy walks through an expression at each question, and compares and sorts all arguments whenever it
makes one. Passes and targets ask the same of the same expressions, which never change. Owns these
questions; the answers of the last few thousand expressions are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import sympy

#: Of how many expressions the answers are kept: more than there are in one spec file.
KEPT = 1 << 14

_NONE: frozenset[sympy.Symbol] = frozenset()


@lru_cache(maxsize=KEPT)
def symbols_in(expr: sympy.Basic) -> frozenset[sympy.Symbol]:
    """The symbols of an expression, which binds none of them.

    >>> from sympy.abc import x, y
    >>> sorted(symbols_in(x + sympy.sqrt(y * x)), key=str)
    [x, y]
    """
    if isinstance(expr, sympy.Symbol):
        return frozenset((expr,))
    return _NONE.union(*map(symbols_in, expr.args))


@lru_cache(maxsize=KEPT)
def made(head: Callable[..., sympy.Basic], *args: sympy.Basic) -> sympy.Basic:
    """An expression of these arguments, as SymPy makes it."""
    return head(*args)


def replaced(expr: sympy.Basic, swap: Mapping[sympy.Symbol, sympy.Basic]) -> sympy.Basic:
    """An expression with others in the place of symbols: what `xreplace` gives, sooner.

    >>> from sympy.abc import x, y, z
    >>> replaced(x**2 + y, {x: z, y: x})
    x + z**2
    """
    if swap.keys().isdisjoint(symbols_in(expr)):
        return expr
    if isinstance(expr, sympy.Symbol):
        return swap[expr]
    return made(expr.func, *(replaced(arg, swap) for arg in expr.args))
