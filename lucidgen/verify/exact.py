"""The value of an expression, to 50 digits.

Owns the evaluation of SymPy expressions by the meanings that the table of operations gives. It
knows nothing of specs, programs or rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import sympy

from ..operations import HEADS, OPERATIONS, When
from ..operations.reals import REALS, Value, elementwise, rational


def evaluate(
    expr: sympy.Basic,
    leaf: Callable[[sympy.Symbol], Value],
    known: dict[sympy.Basic, Value] | None = None,
) -> Value:
    """The value of an expression; `leaf` gives that of a symbol when it is needed.

    A `when` on a scalar condition evaluates only the branch that it takes. What occurs several
    times is computed once; `known` are values of such parts, to which those of this one are added.

    >>> from lucidgen.operations.reals import real
    >>> from lucidgen.spec import hyper, sqrt, when
    >>> x = hyper("x", 1.0)
    >>> print(evaluate(when(x > 5, 1 / (x - 5), 1 / sqrt(x)), lambda _: real(4.0)))
    0.5
    """
    if isinstance(expr, sympy.Symbol):
        return leaf(expr)
    if isinstance(expr, sympy.Number):
        return rational(expr)
    if expr in (sympy.true, sympy.false):
        return bool(expr)
    if expr is sympy.E or expr is sympy.pi:
        return REALS.e if expr is sympy.E else REALS.pi
    known = {} if known is None else known
    if expr not in known:
        known[expr] = _computed(expr, leaf, known)
    return known[expr]


def _computed(
    expr: sympy.Basic,
    leaf: Callable[[sympy.Symbol], Value],
    known: dict[sympy.Basic, Value],
) -> Value:
    """The value of an expression that has operands."""
    if isinstance(expr, When):
        test = evaluate(expr.args[0], leaf, known)
        if not isinstance(test, np.ndarray):
            return evaluate(expr.args[1 if test else 2], leaf, known)
    args = [evaluate(arg, leaf, known) for arg in expr.args]
    if isinstance(expr, sympy.Pow) and expr.exp == sympy.S.Half:
        return value_of("sqrt", args[0])
    if isinstance(expr, sympy.Pow) and abs(expr.exp) == sympy.Rational(1, 3):
        root = value_of("cbrt", args[0])
        return root if expr.exp > 0 else value_of("div", REALS.one, root)
    name = HEADS[expr.func]
    if OPERATIONS[name].operands == 2:  # sums, products and the like may have more
        return reduce(lambda a, b: value_of(name, a, b), args)
    return value_of(name, *args)


def value_of(name: str, *operands: Value) -> Value:
    """What an operation makes of numbers, or of arrays of them."""
    operation = OPERATIONS[name]
    if operation.leaves or not any(isinstance(x, np.ndarray) for x in operands):
        return operation.meaning(*operands)
    return elementwise(operation.meaning, operation.operands)(*operands)
