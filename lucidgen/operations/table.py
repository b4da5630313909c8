"""The table of operations: one row for each.

Owns everything that is said of an operation anywhere: the language and its messages, the trees, the
printers, the oracle, the rounding bounds and the check of emitted Python read it from here. A new
elementwise function is one row; a new reduction is a row and its head in `heads`, and where it is
none of what others are along other axes, a function of NumPy and of MLX in the runtime's rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import sympy
from sympy.core.relational import (
    Equality,
    GreaterThan,
    LessThan,
    StrictGreaterThan,
    StrictLessThan,
    Unequality,
)

from . import bounds, heads, reals
from .operation import EVERYWHERE, Operation, Where
from .reals import REALS

#: The rows, by the names of the operations.
OPERATIONS: dict[str, Operation] = {}

#: The names of the operations that have heads, by these.
HEADS: dict[type, str] = {}


def add(row: Operation) -> None:
    """Put a row into the table.

    Raises
    ------
    ValueError
        If the table has a row of this name or for this head.
    """
    if row.name in OPERATIONS or row.head in HEADS:
        raise ValueError(f"the table has a row for {row.name!r} or its head already")
    OPERATIONS[row.name] = row
    called_in.cache_clear()
    if row.head is not None:
        HEADS[row.head] = row.name


def in_language(where: Where) -> Iterator[Operation]:
    """The functions that specs can have in one of these places."""
    return (row for row in OPERATIONS.values() if row.written and row.where & where)


def names(where: Where) -> list[str]:
    """The names of these functions, in the order of the table.

    >>> ", ".join(names(Where.ARRAYS))  # doctest: +ELLIPSIS
    'norm, mean, total, largest, row_norm, row_mean, row_total, row_max, column_norm, ...'
    """
    return [row.written for row in in_language(where) if row.written.isidentifier()]


@cache
def called_in(language: str) -> frozenset[str]:
    """The functions of a language that texts call, which nothing else there may be called.

    >>> sorted(called_in("schedule") - called_in("cuda"))
    ['abs', 'bisect_right', 'cos', 'floor']
    """
    texts = (row.texts.get(language, "") for row in OPERATIONS.values())
    return frozenset(name for text in texts for name in calls(text))


def calls(text: str) -> list[str]:
    """The functions that a text calls, where they are not qualified.

    >>> calls("copysign({0} != 0, {0})"), calls("cbrt"), calls("std::cbrt")
    (['copysign'], ['cbrt'], [])
    """
    return re.findall(r"(?<![\w.:])[A-Za-z_]\w*(?=\()", f"{text}(" if text.isidentifier() else text)


def usual(name: str, **own: str) -> dict[str, str]:
    """The texts of an elementary function that most languages call by one name; `own` are others.

    >>> usual("atan", numpy="np.arctan")["numpy"], usual("atan")["metal"]
    ('np.arctan', 'metal::precise::atan')
    """
    return {
        "host": name,
        "schedule": name,
        "numpy": f"np.{name}",
        "mlx": f"mx.{name}",
        "cpp": f"std::{name}",
        "metal": f"metal::precise::{name}",
        "cuda": name,
        "latex": rf"\{name}\left({{0}}\right)",
        **own,
    }


def _comparison(name: str, head: type, sign: str, holds: Callable[[Any, Any], bool]) -> Operation:
    return Operation(
        name=name,
        head=head,
        meaning=holds,
        bound=bounds.compared(holds),
        where=EVERYWHERE,
        operands=2,
        infix=(sign, 4),
    )


@dataclass(frozen=True)
class Reduced:
    """What reductions along any axes have in common: what they are of a line, how they are written.

    `function` is the one that computes them in NumPy and in MLX, along an axis or along all.
    """

    meaning: Callable[[Any], Any]
    bound: Callable[..., Any]
    function: str
    latex: str


NORM = Reduced(reals.norm, bounds.norm, "norm", r"\left\lVert {{0}} \right\rVert{of}")
MEAN = Reduced(reals.mean, bounds.mean, "mean", r"\operatorname{{{{mean}}}}{of}\left({{0}}\right)")
TOTAL = Reduced(
    reals.total, bounds.total, "total", r"\operatorname{{{{sum}}}}{of}\left({{0}}\right)"
)
LARGEST = Reduced(
    reals.largest, bounds.largest, "largest", r"\operatorname{{{{max}}}}{of}\left({{0}}\right)"
)

#: Along which axis reductions reduce that leave rows or columns.
ALONG = {"row": -1, "column": -2}


def _reduction(
    name: str, head: type, leaves: Literal["tensor", "row", "column"], what: Reduced
) -> Operation:
    if leaves == "tensor":
        meaning, bound, text, of = what.meaning, what.bound, what.function, ""
    else:
        axis = ALONG[leaves]
        meaning = partial(reals.along, axis, what.meaning)
        bound = bounds.along(axis, what.bound)
        text = f"{what.function}({{0}}, axis={axis})"
        of = rf"_{{{{\mathrm{{{{{leaves}}}}}}}}}"
    return Operation(
        name=name,
        head=head,
        written=name,
        meaning=meaning,
        bound=bound,
        where=Where.ARRAYS,
        leaves=leaves,
        texts={"numpy": text, "mlx": text, "latex": what.latex.format(of=of)},
    )


#: Where conditions are joined: the host asks one comparison at a time.
_CONDITIONS = Where.ELEMENTS | Where.SCHEDULES

#: What has a name in the language comes first, in the order in which messages list the names.
_ROWS = (
    Operation(
        name="where",
        head=heads.When,
        written="when",
        meaning=lambda test, a, b: a if test else b,
        bound=bounds.chosen,
        where=EVERYWHERE,
        operands=3,
        texts={"host": "where", "numpy": "np.where", "mlx": "mx.where"},
    ),
    Operation(  # no printer meets it: it only keeps terms together
        name="group",
        head=heads.Group,
        written="group",
        meaning=lambda a: a,
        bound=bounds.same,
        where=EVERYWHERE,
    ),
    _reduction("norm", heads.Norm, "tensor", NORM),
    _reduction("mean", heads.Mean, "tensor", MEAN),
    _reduction("total", heads.Total, "tensor", TOTAL),
    _reduction("largest", heads.Largest, "tensor", LARGEST),
    _reduction("row_norm", heads.RowNorm, "row", NORM),
    _reduction("row_mean", heads.RowMean, "row", MEAN),
    _reduction("row_total", heads.RowTotal, "row", TOTAL),
    _reduction("row_max", heads.RowMax, "row", LARGEST),
    _reduction("column_norm", heads.ColumnNorm, "column", NORM),
    _reduction("column_mean", heads.ColumnMean, "column", MEAN),
    _reduction("column_total", heads.ColumnTotal, "column", TOTAL),
    _reduction("column_max", heads.ColumnMax, "column", LARGEST),
    Operation(  # no printer of code meets it: programs have what it gives as a number
        name="over_group",
        head=heads.OverGroup,
        written="over_group",
        meaning=lambda a: a,
        bound=bounds.same,
        where=Where.GROUPS,
        texts={"latex": r"{{{0}}}_{{\mathrm{{group}}}}"},
    ),
    Operation(
        name="sqrt",
        written="sqrt",
        expression=sympy.sqrt,
        meaning=reals.root,
        bound=bounds.root,
        where=EVERYWHERE,
        texts=usual("sqrt", latex=r"\sqrt{{{0}}}"),
    ),
    Operation(
        name="abs",
        head=sympy.Abs,
        written="Abs",
        meaning=abs,
        bound=bounds.magnitude,
        where=EVERYWHERE,
        texts=usual("abs", metal="metal::abs", cuda="fabs", latex=r"\left|{0}\right|"),
    ),
    Operation(
        name="maximum",
        head=sympy.Max,
        written="Max",
        meaning=reals.larger,
        bound=bounds.extreme(max),
        where=EVERYWHERE,
        operands=2,
        texts=usual(
            "maximum",
            cpp="lucidgen::maximum",
            metal="maximum",
            latex=r"\max\left({0},\, {1}\right)",
        ),
    ),
    Operation(
        name="minimum",
        head=sympy.Min,
        written="Min",
        meaning=reals.smaller,
        bound=bounds.extreme(min),
        where=EVERYWHERE,
        operands=2,
        texts=usual(
            "minimum",
            cpp="lucidgen::minimum",
            metal="minimum",
            latex=r"\min\left({0},\, {1}\right)",
        ),
    ),
    Operation(
        name="exp",
        head=sympy.exp,
        written="exp",
        meaning=reals.exponential,
        bound=bounds.exponential,
        where=EVERYWHERE,
        texts=usual("exp"),
    ),
    Operation(
        name="log",
        head=sympy.log,
        written="log",
        meaning=reals.logarithm,
        bound=bounds.growing(reals.logarithm, least=reals.ZERO),
        where=EVERYWHERE,
        texts=usual("log", latex=r"\ln\left({0}\right)"),
    ),
    Operation(
        name="sign",
        head=sympy.sign,
        written="sign",
        meaning=REALS.sign,
        bound=bounds.sign,
        where=EVERYWHERE,
        texts=usual(
            "sign",
            mlx="sign",
            cpp="lucidgen::sign",
            metal="sign",
            latex=r"\operatorname{{sign}}\left({0}\right)",
        ),
    ),
    Operation(
        name="tanh",
        head=sympy.tanh,
        written="tanh",
        meaning=REALS.tanh,
        bound=bounds.growing(REALS.tanh),
        where=EVERYWHERE,
        texts=usual("tanh"),
    ),
    Operation(
        name="atan",
        head=sympy.atan,
        written="atan",
        meaning=REALS.atan,
        bound=bounds.growing(REALS.atan),
        where=EVERYWHERE,
        texts=usual(
            "atan",
            host="arctan",
            numpy="np.arctan",
            mlx="mx.arctan",
            latex=r"\arctan\left({0}\right)",
        ),
    ),
    Operation(
        name="cos",
        head=sympy.cos,
        written="cos",
        meaning=REALS.cos,
        bound=bounds.cosine,
        where=Where.SCHEDULES,
        texts={"schedule": "cos", "latex": r"\cos\left({0}\right)"},
    ),
    Operation(
        name="floor",
        head=sympy.floor,
        written="floor",
        meaning=REALS.floor,
        bound=bounds.floor,
        where=Where.SCHEDULES,
        texts={"schedule": "floor", "latex": r"\left\lfloor {0} \right\rfloor"},
    ),
    Operation(
        name="mod",
        head=sympy.Mod,
        written="Mod",
        meaning=reals.remainder,
        bound=bounds.remainder,
        where=Where.HOST | Where.SCHEDULES,
        operands=2,
        infix=("%", 7),
    ),
    # The arguments of schedules that are called.
    Operation(
        name="applied",
        head=heads.Applied,
        written="{0}({1})",
        meaning=lambda function, x: function(x),
        bound=bounds.applied,
        where=Where.SCHEDULES,
        operands=2,
        texts={"schedule": "{0}({1})", "latex": r"{0}\left({1}\right)"},
    ),
    Operation(
        name="passed",
        head=heads.Passed,
        written="{0}.passed({1})",
        meaning=lambda points, x: REALS.mpf(sum(point <= x for point in points)),
        bound=bounds.passed,
        where=Where.SCHEDULES,
        operands=2,
        texts={
            "schedule": "bisect_right({0}, {1})",
            "latex": r"\#\left\{{ s \in {0} : s \le {1} \right\}}",
        },
    ),
    # Arithmetic and conditions, which are written with operators.
    Operation(
        name="add",
        head=sympy.Add,
        meaning=lambda a, b: a + b,
        bound=bounds.added,
        where=EVERYWHERE,
        operands=2,
        infix=("+", 6),
        texts={"numpy": "np.add"},
    ),
    Operation(
        name="sub",
        expression=lambda a, b: a - b,
        meaning=lambda a, b: a - b,
        bound=bounds.subtracted,
        where=EVERYWHERE,
        operands=2,
        infix=("-", 6),
        texts={"numpy": "np.subtract"},
    ),
    Operation(
        name="mul",
        head=sympy.Mul,
        meaning=lambda a, b: a * b,
        bound=bounds.multiplied,
        where=EVERYWHERE,
        operands=2,
        infix=("*", 7),
        texts={"numpy": "np.multiply"},
    ),
    Operation(
        name="div",
        expression=lambda a, b: a / b,
        meaning=reals.divided,
        bound=bounds.divided,
        where=EVERYWHERE,
        operands=2,
        infix=("/", 7),
        texts={"numpy": "np.divide"},
    ),
    Operation(
        name="neg",
        expression=lambda a: -a,
        meaning=lambda a: -a,
        bound=bounds.negated,
        where=EVERYWHERE,
        texts={"numpy": "np.negative"},
    ),
    Operation(
        name="pow",
        head=sympy.Pow,
        meaning=reals.power,
        bound=bounds.power,
        where=EVERYWHERE,
        operands=2,
        infix=("**", 9),
        texts={
            "host": "power",
            "schedule": "pow",
            "numpy": "np.power",
            "mlx": "mx.power",
            "cpp": "std::pow",
            "metal": "metal::precise::pow",
            "cuda": "pow",
        },
    ),
    Operation(
        name="cbrt",
        expression=lambda a: a ** sympy.Rational(1, 3),
        meaning=reals.cube_root,
        bound=bounds.cube_root,
        where=EVERYWHERE,
        texts=usual("cbrt", mlx="cbrt", metal="cube_root", latex=r"\sqrt[3]{{{0}}}"),
    ),
    _comparison("gt", StrictGreaterThan, ">", lambda a, b: a > b),
    _comparison("ge", GreaterThan, ">=", lambda a, b: a >= b),
    _comparison("lt", StrictLessThan, "<", lambda a, b: a < b),
    _comparison("le", LessThan, "<=", lambda a, b: a <= b),
    _comparison("eq", Equality, "==", lambda a, b: a == b),
    _comparison("ne", Unequality, "!=", lambda a, b: a != b),
    Operation(
        name="and",
        head=sympy.And,
        meaning=lambda a, b: a and b,
        bound=bounds.both,
        where=_CONDITIONS,
        operands=2,
        infix=("and", 2),
    ),
    Operation(
        name="or",
        head=sympy.Or,
        meaning=lambda a, b: a or b,
        bound=bounds.either,
        where=_CONDITIONS,
        operands=2,
        infix=("or", 1),
    ),
    Operation(
        name="not",
        head=sympy.Not,
        meaning=lambda a: not a,
        bound=bounds.opposite,
        where=_CONDITIONS,
        texts={"numpy": "np.logical_not", "mlx": "mx.logical_not", "latex": r"\neg {0}"},
    ),
    # What passes make.
    Operation(
        name="square",
        head=heads.Square,
        meaning=lambda a: a * a,
        bound=bounds.squared,
        where=Where.ELEMENTS,
        texts={"numpy": "np.square", "mlx": "mx.square", "latex": r"\left({0}\right)^2"},
    ),
    Operation(
        name="expm1",
        head=heads.Expm1,
        meaning=reals.expm1,
        bound=bounds.growing(reals.expm1),
        where=Where.HOST,
        texts={"host": "expm1", "latex": r"\operatorname{{expm1}}\left({0}\right)"},
    ),
)

for _row in _ROWS:
    add(_row)


def reduces_matrices(expr: sympy.Basic) -> bool:
    """Whether anything in an expression is reduced along rows or columns.

    >>> x = sympy.Symbol("x")
    >>> reduces_matrices(1 + heads.RowMean(x)), reduces_matrices(1 + heads.Mean(x))
    (True, False)
    """
    rows = (OPERATIONS[HEADS[type(part)]] for part in expr.atoms(heads.Reduction))
    return any(row.leaves in ALONG for row in rows)
