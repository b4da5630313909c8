"""What an operation is: the columns of the table.

Owns `Operation` and `Where`. The rows are `table`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, Literal

import sympy


class Where(Flag):
    """Where an operation can stand.

    HOST is the scalars of a step, in double; ELEMENTS what varies over an array, whether a library
    computes it or a loop or kernel for each element; ARRAYS what needs a whole array, which loops
    and kernels do not see; SCHEDULES the functions of a schedule; GROUPS what needs all parameters
    of a group.
    """

    HOST = auto()
    ELEMENTS = auto()
    ARRAYS = auto()
    SCHEDULES = auto()
    GROUPS = auto()


#: The equations of optimizers; and what stands in both languages and is computed anywhere.
OPTIMIZERS = Where.HOST | Where.ELEMENTS | Where.ARRAYS | Where.GROUPS
EVERYWHERE = Where.HOST | Where.ELEMENTS | Where.SCHEDULES


@dataclass(frozen=True, kw_only=True)
class Operation:
    r"""One operation: what it means, how it rounds, where it can stand, what it is called.

    Parameters
    ----------
    name : str
        What it is called in trees of operations.
    meaning : callable
        Exact numbers to an exact number; of a reduction, an array of them to one or to an array.
    bound : callable
        A format and approximations to an approximation (`bounds`).
    where : Where
        Where it can stand.
    head : type, optional
        The class of SymPy expressions that it is read from. None where a sum or a power has a form
        of its own, such as a difference or a root.
    written : str, optional
        Its name in the language of specs, or a template for what is no call of a function; "" for
        what is written with operators and for what only the compiler makes.
    expression : callable, optional
        What makes a SymPy expression of expressions; the head, if it is not given.
    operands : int, optional
        How many it has. What has two and a head that takes more is read from left to right.
    infix : (str, int), optional
        The sign between two operands, and how tightly it binds.
    leaves : "tensor", "row" or "column", optional
        What a reduction leaves one value for.
    texts : mapping, optional
        What it is called in each language that is printed: the name of a function, or a template
        such as "np.mean({0}, axis=-1)". A language says the name under which it is listed here
        (`Printer.language`), and what it prints by rules of syntax needs no text.

    Raises
    ------
    ValueError
        If a row lacks a meaning, a bound, or what it is as an expression.
    """

    name: str
    meaning: Callable[..., Any]
    bound: Callable[..., Any]
    where: Where
    head: type | None = None
    written: str = ""
    expression: Callable[..., sympy.Basic] | None = None
    operands: int = 1
    infix: tuple[str, int] | None = None
    leaves: Literal["tensor", "row", "column"] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column in ("meaning", "bound"):
            if not callable(getattr(self, column)):
                raise ValueError(f"the operation {self.name!r} has no {column}: give it a function")
        if self.head is None and self.expression is None:
            raise ValueError(
                f"the operation {self.name!r} has neither a head nor an expression: say what it is "
                f"in SymPy"
            )

    def of(self, *operands: sympy.Basic, **options: bool) -> sympy.Basic:
        """The operation on expressions, as an expression; `options` are its head's in SymPy."""
        make: Any = self.expression or self.head
        return make(*operands, **options)
