"""Emitted Python run on symbols: what a step function computes, as expressions.

Owns the stand-ins for `np`, `mx` and the scalar functions. Every array is a `Box` that holds an
expression; `out=` writes into one, and whoever writes to a box that must not change is caught. What
comes out is compared with the oracle at random points to 50 digits, so that nothing depends on how
SymPy sorts terms.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import CodeType, SimpleNamespace
from typing import Any

import numpy as np
import sympy
from sympy.core.operations import LatticeOp

from ..operations import OPERATIONS, Operation, When
from ..operations.reals import Value
from .exact import evaluate

#: Literals with small denominators are meant exactly: 0.96 is 24/25, 0.3333333333333333 is 1/3.
#: Others are meant as they are written: 1e-15.
_DENOMINATOR = 10**4

Point = Mapping[str, Value]


class ReadOnly(AssertionError):
    """A step wrote to the gradient or to a scalar."""


def expression(value: Any) -> sympy.Basic:
    """The expression of a box, or of a number as it was meant."""
    if isinstance(value, Box):
        return value.expr
    if isinstance(value, bool):
        return sympy.sympify(value)
    if isinstance(value, float):
        written = sympy.Rational(str(value))
        near = written.limit_denominator(_DENOMINATOR)
        return near if float(near) == value else written
    return sympy.sympify(value)


class Box:
    """An array or a scalar of an expression; a condition decides itself at the point of the run."""

    def __init__(self, expr: Any, point: Point, writable: bool = False) -> None:
        self.expr = expression(expr)
        self.point = point
        self.writable = writable
        self.shape = self.dtype = None

    def made(self, expr: sympy.Basic) -> Box:
        """A new box that shares the point."""
        return Box(expr, self.point, True)

    def write(self, expr: sympy.Basic) -> None:
        """Overwrite the contents."""
        if not self.writable:
            raise ReadOnly(str(self.expr))
        self.expr = expr

    def value(self, known: dict[sympy.Basic, Value] | None = None) -> Value:
        """The value at the point, of which `known` are parts."""
        return evaluate(self.expr, lambda symbol: self.point[symbol.name], known)

    def __bool__(self) -> bool:
        return bool(self.value())

    def __setitem__(self, key: Any, value: Any) -> None:
        self.write(expression(value))

    def __neg__(self) -> Box:
        return self.made(-self.expr)

    def __abs__(self) -> Box:
        return self.made(sympy.Abs(self.expr))


def _operator(function: Callable[..., sympy.Basic], swapped: bool) -> Callable[[Box, Any], Box]:
    def method(self: Box, other: Any) -> Box:
        operands = (self.expr, expression(other))
        return self.made(function(*(operands[::-1] if swapped else operands)))

    return method


for _row in OPERATIONS.values():
    if _row.infix:
        _name = {"div": "truediv"}.get(_row.name, _row.name)
        setattr(Box, f"__{_name}__", _operator(_row.of, False))
        setattr(Box, f"__r{_name}__", _operator(_row.of, True))


def _function(row: Operation, point: Point) -> Callable[..., Box]:
    # Compared and factored operands of a Max or Min are not asked for, and take longer than all.
    is_lattice = row.head is not None and issubclass(row.head, LatticeOp)
    of = partial(row.of, evaluate=False) if is_lattice else row.of

    def call(*args: Any, out: Box | None = None) -> Box:
        result = of(*map(expression, args))
        if out is None:
            return Box(result, point, True)
        out.write(result)
        return out

    return call


def _reducing(name: str, point: Point) -> Callable[..., Box]:
    """A function that reduces, as texts call it: along one axis, or along all."""

    def call(a: Any, axis: int | None = None) -> Box:
        text = name if axis is None else f"{name}({{0}}, axis={axis})"
        row = next(row for row in OPERATIONS.values() if row.texts.get("numpy") == text)
        return Box(row.of(expression(a)), point, True)

    return call


def _full(point: Point) -> Callable[..., Box]:
    def full(shape: Any, value: Any, dtype: Any) -> Box:
        return Box(value, point, True)

    return full


def _copyto(target: Box, source: Any, where: Any = True) -> None:
    target.write(When(expression(where), expression(source), target.expr))


def namespace(point: Point) -> dict[str, Any]:
    """The names that emitted functions use: `np`, `mx`, and the scalar functions.

    What the table calls by a mere name stands for the operation; what is called with more than
    operands is here.
    """
    names: dict[str, Any] = {"np": SimpleNamespace(), "mx": SimpleNamespace()}
    for row in OPERATIONS.values():
        for text in (row.texts.get(language, "") for language in ("host", "numpy", "mlx")):
            if text and "{" not in text:
                made = _reducing(text, point) if row.leaves else None
                _put(names, text, made or _function(row, point))
    for library in names["np"], names["mx"]:
        library.full, library.copyto = _full(point), _copyto
        library.copy = lambda source: Box(expression(source), point, True)
    return names


def _put(names: dict[str, Any], path: str, function: Callable[..., Box]) -> None:
    """Put a function where code finds it under a dotted name."""
    *spaces, name = path.split(".")
    for space in spaces:
        names = vars(names.setdefault(space, SimpleNamespace()))
    names[name] = function


class _Exact(ast.NodeTransformer):
    """Divisions of literals and float literals as boxes, so that no double arithmetic remains."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        call = ast.Call(ast.Name("_literal", ast.Load()), [node], [])
        return ast.copy_location(call, node)


@lru_cache
def source_of(function: Callable[..., Any]) -> str:
    """The text of an emitted function."""
    return textwrap.dedent(inspect.getsource(function))


@lru_cache
def _compiled(source: str) -> tuple[CodeType, str]:
    """The text of a function, ready to run with exact literals, and the function's name."""
    tree = ast.fix_missing_locations(_Exact().visit(ast.parse(source)))
    name = next(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
    return compile(tree, "<emitted>", "exec"), name


def run(
    source: str, arguments: Mapping[str, Any], point: Point, *, writes: frozenset[str] = frozenset()
) -> tuple[Any, dict[str, Box]]:
    """Run the text of an emitted function on boxes.

    Parameters
    ----------
    source : str
        The text of one function.
    arguments : mapping
        Expressions and truth values for its parameters; names that it does not have are ignored.
    point : mapping
        Values for the symbols, which decide conditions on the host.
    writes : set of str
        The parameters that it may overwrite.

    Returns
    -------
    what it returns, and its arguments after the call
    """
    code, name = _compiled(source)
    names = namespace(point) | {"_literal": lambda x: Box(x, point)}
    exec(code, names)
    function = names[name]
    boxes: dict[str, Any] = {}
    for name in inspect.signature(function).parameters:
        if name == "scratch":
            count = source.split("= scratch")[0].rsplit("\n", 1)[-1].count("work")
            boxes[name] = tuple(Box(sympy.nan, point, True) for _ in range(count))
        elif isinstance(arguments[name], bool) or arguments[name] is None:
            boxes[name] = arguments[name]
        else:
            boxes[name] = Box(arguments[name], point, name in writes)
    return function(**boxes), boxes


def values(outputs: Mapping[str, Any]) -> dict[str, Value]:
    """The values of boxes at their common point."""
    known: dict[sympy.Basic, Value] = {}
    return {name: box.value(known) for name, box in outputs.items() if isinstance(box, Box)}


def distance(computed: Value, truth: Value) -> float:
    """The largest relative difference of two values; infinite if one is not finite."""
    worst = 0.0
    for a, b in np.broadcast(np.asarray(computed, object), np.asarray(truth, object)):
        gap = abs(a - b) / (abs(b) or 1)
        worst = max(worst, float(gap) if gap == gap else float("inf"))
    return worst
