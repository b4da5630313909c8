"""What a language of the C family says of loops.

Owns what the writers ask of it. Does not own the language: that is its target's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from ..c_like import CPrinter
from .data import Sum


@dataclass(frozen=True)
class Language:
    """A language of loops.

    Parameters
    ----------
    printer : type
        Prints what is computed, in the type `real`.
    terms : callable
        Makes the printer of a loop's statements, of the names of symbols and the loop's sums: it
        says what is done with the term of a sum where that is made.
    free : callable
        Takes a name and those taken to one that is free (`names.Words.free`).
    given : str
        What stands before `found`, `margins` and `shape`, which a function is given.
    walk : str
        The head of a walk over `{count}` rows, columns or matrices, `i` by `i`.
    walked : tuple of str
        What comes behind such a walk, before what it has made is read.
    each_matrix : tuple of str
        A reduction, of a `{kind}`, `{of}` rows or columns, `{size}` of each of `{count}` matrices,
        `{to}` one number for each.
    """

    printer: type[CPrinter]
    terms: Callable[[Mapping[sympy.Symbol, str], Sequence[Sum]], CPrinter]
    free: Callable[[str, Iterable[str]], str]
    given: str = ""
    walk: str = "for (Index i = 0; i < {count}; ++i) {{"
    walked: tuple[str, ...] = ()
    each_matrix: tuple[str, ...] = (
        "for (Index i = 0; i < {count}; ++i) {{",
        "    {to}[i] = reduced(Reduction::{kind}, {of} + i * {size}, {size});",
        "}}",
    )
