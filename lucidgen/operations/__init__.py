"""The operations: what each means, how it rounds, where it can stand, what it is called.

Owns the table, with one row for each operation, and what its rows are made of: heads for SymPy,
exact arithmetic, bounds of rounding errors. The language, the trees, the printers and all checks
read it. Does not own the syntax of any language, nor when an operation is used; it imports no other
room.
"""

from .heads import (
    Applied,
    ColumnMax,
    ColumnMean,
    ColumnNorm,
    ColumnTotal,
    Expm1,
    Group,
    Largest,
    Mean,
    Norm,
    OverGroup,
    Passed,
    Reduction,
    RowMax,
    RowMean,
    RowNorm,
    RowTotal,
    Square,
    Total,
    When,
)
from .operation import EVERYWHERE, OPTIMIZERS, Operation, Where
from .table import (
    HEADS,
    OPERATIONS,
    add,
    called_in,
    calls,
    in_language,
    names,
    reduces_matrices,
    usual,
)

__all__ = [
    "EVERYWHERE",
    "HEADS",
    "OPERATIONS",
    "OPTIMIZERS",
    "Applied",
    "ColumnMax",
    "ColumnMean",
    "ColumnNorm",
    "ColumnTotal",
    "Expm1",
    "Group",
    "Largest",
    "Mean",
    "Norm",
    "Operation",
    "OverGroup",
    "Passed",
    "Reduction",
    "RowMax",
    "RowMean",
    "RowNorm",
    "RowTotal",
    "Square",
    "Total",
    "When",
    "Where",
    "add",
    "called_in",
    "calls",
    "in_language",
    "names",
    "reduces_matrices",
    "usual",
]
