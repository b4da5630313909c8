"""What a language of the C family says of loops.

Owns what the writers ask of it. Does not own the language: that is its target's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from ..c_like import CPrinter
from ..trees import Node
from .data import Sum


class TermPrinter(CPrinter):
    """Statements of a loop that hands the terms of its sums over."""

    def __init__(self, names: Mapping[sympy.Symbol, str], sums: Sequence[Sum] = ()) -> None:
        super().__init__(names)
        self.terms = {made.name: f"of.terms[{place}]" for place, made in enumerate(sums)}

    def assigned(self, name: str, value: Node) -> str:
        """What a statement does to a variable."""
        return super().assigned(self.terms.get(name, name), value)


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
    reduced : str
        A reduction, of a `{kind}`, of all `{size}` values of a margin `{of}`.
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
    reduced: str = "reduced(Reduction::{kind}, {of}, {size})"
    each_matrix: tuple[str, ...] = (
        "for (Index i = 0; i < {count}; ++i) {{",
        "    {to}[i] = reduced(Reduction::{kind}, {of} + i * {size}, {size});",
        "}}",
    )
