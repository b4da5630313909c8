"""Nan, infinities, zeros of both signs and the ends of a format: every operation on every machine.

The truth is the meaning that the table gives, rounded. It has one zero, so the signs of zeros, and
of what is divided by them, are held against NumPy's, which follows IEEE 754.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from machines import (
    C_FAMILY,
    CLIP,
    CLIPPED,
    MLX,
    NAMES,
    NUMPY,
    ROWS,
    Points,
    compiled,
    exact,
    printed,
    rows_of,
    special,
    tree,
)

from lucidgen.operations import Operation, calls
from lucidgen.operations.bounds import FLOAT32, FLOAT64, Format
from lucidgen.operations.reals import REALS, Value, real
from lucidgen.runtime.rules import captured, ieee
from lucidgen.runtime.rules.calling import evaluate
from lucidgen.targets.common.c_like import CPrinter
from lucidgen.targets.common.host import HostPrinter
from lucidgen.targets.common.mlx_printer import MLXPrinter
from lucidgen.targets.common.printer import Printer
from lucidgen.targets.common.trees import Op
from lucidgen.targets.numpy import NumPyPrinter
from lucidgen.verify.exact import value_of

Machine = Callable[[str, Op, Points], Sequence[float]]

#: What gives either of two zeros: processors differ, and libraries leave it to them. MLX, which has
#: no cube root, gives 0 of -0; and 0 for a remainder of -0.
EITHER_ZERO = ("maximum", "minimum", "cbrt", "mod")

#: Powers for which NumPy takes the square root where there is one exponent for all.
TAKEN_AS_ROOTS = ((-math.inf, 0.5), (-0.0, 0.5))


def arrays(language: type[Printer], names: Mapping[str, Any], make: Any, kind: Any) -> Machine:
    """A library of arrays, which gets all points at once, and in an array longer than a vector."""

    def machine(name: str, what: Op, at: Points) -> Sequence[float]:
        columns = np.array(at, kind).T
        text, given = printed(language, what), [make(column) for column in columns]

        def function(*arrays: Any) -> Any:
            return eval(text, dict(names), dict(zip(NAMES, arrays, strict=False)))

        with np.errstate(all="ignore"):
            found = np.array(function(*given), float)
            if make is mx.array:
                np.testing.assert_array_equal(np.array(mx.compile(function)(*given)), found)
        return list(found)

    return machine


def c_family(language: type[CPrinter]) -> Machine:
    """A language of the C family, compiled."""

    def machine(name: str, what: Op, at: Points) -> Sequence[float]:
        return compiled(language)[name][-len(at) :]

    return machine


def in_double(name: str, what: Op, at: Points) -> Sequence[float]:
    """The scalars of a step."""
    text = printed(HostPrinter, what)
    functions = {name: getattr(ieee, name) for name in set(calls(text)) - {"abs"}}
    function = eval(f"lambda {', '.join(NAMES[: len(at[0])])}: {{'found': {text}}}", functions)
    return [evaluate(function, dict(zip(NAMES, p, strict=False)))["found"] for p in at]


def in_a_captured_step(name: str, what: Op, at: Points) -> Sequence[float]:
    """The scalars of a step that is captured whole."""
    text = printed(HostPrinter, what)
    functions = {name: getattr(captured, name) for name in set(calls(text)) - {"abs"}}
    columns = map(mx.array, np.array(at, np.float32).T)
    found = eval(text, functions, dict(zip(NAMES, columns, strict=False)))
    return list(np.array(found, float))


IN_NUMPY = {
    np.float32: arrays(NumPyPrinter, NUMPY, np.asarray, np.float32),
    np.float64: arrays(NumPyPrinter, NUMPY, np.asarray, np.float64),
}
MACHINES: dict[str, tuple[type[Printer], Format, Machine]] = {
    "numpy, float32": (NumPyPrinter, FLOAT32, IN_NUMPY[np.float32]),
    "numpy, float64": (NumPyPrinter, FLOAT64, IN_NUMPY[np.float64]),
    "mlx": (MLXPrinter, FLOAT32, arrays(MLXPrinter, MLX, mx.array, np.float32)),
    "host": (HostPrinter, FLOAT64, in_double),
    "captured": (HostPrinter, FLOAT32, in_a_captured_step),
    **{language.language: (language, FLOAT32, c_family(language)) for language in C_FAMILY},
}


def kind_of(x: float) -> str:
    """What a number is, with its sign."""
    if math.isnan(x):
        return "nan"
    what = "zero" if x == 0 else "infinity" if math.isinf(x) else "number"
    return f"{'-' if math.copysign(1, x) < 0 else ''}{what}"


def rounded(value: Value, kind: Format) -> str:
    """What an exact number is in a format, with its sign if it has one."""
    if REALS.isnan(value):
        return "nan"
    size, sign = abs(value), "-" if value < 0 else ""
    if size >= kind.largest * (1 + kind.u / 2):
        return f"{sign}infinity"
    return "zero" if value == 0 else f"{sign}{'zero' if size <= kind.eta / 2 else 'number'}"


def assert_special(
    row: Operation, kind: Format, at: Points, found: Sequence[float], ieee_754: Sequence[float]
) -> set[str]:
    """Hold numbers against the meaning of an operation, and the signs of zeros against NumPy's."""
    for point, x, reference in zip(at, found, ieee_754, strict=True):
        truth = value_of(row.name, *exact(row, point))
        where = f"{row.name} of {point} is {x}"
        if isinstance(truth, bool):
            assert bool(x) == truth, where
            continue
        if row.name == "pow" and point in TAKEN_AS_ROOTS:
            continue
        mine, wanted = kind_of(x), rounded(truth, kind)
        if truth == 0 or any(p == 0 for p in point):
            assert mine.strip("-") == wanted.strip("-"), where
            if not (x == 0 and row.name in EITHER_ZERO):
                assert mine == kind_of(reference), where
        else:
            assert mine == wanted, where
    return set(map(kind_of, found))


@pytest.mark.parametrize("machine", MACHINES)
def test_every_operation_has_its_meaning_on_special_values(machine: str) -> None:
    language, kind, compute = MACHINES[machine]
    seen: set[str] = set()
    for row in rows_of(language):
        if not row.leaves:
            at = special(row, kind)
            known = IN_NUMPY[kind.dtype] if row.name != "expm1" else compute
            reference = known(row.name, tree(row), at)
            found = compute(row.name, tree(row), at)
            seen |= assert_special(row, kind, at, found, reference)
    assert len(seen) == 7


@pytest.mark.parametrize("machine", [name for name in MACHINES if name not in ("host", "captured")])
def test_clipping_by_value_is_the_same_everywhere(machine: str) -> None:
    """By 0 it gives 0, and never -0; a nan stays."""
    compute = MACHINES[machine][-1]
    found = compute("clip", CLIP, CLIPPED)
    for (grad, bound, factor), x in zip(CLIPPED, found, strict=True):
        wanted = math.nan if math.isnan(grad) else min(max(factor * grad, -bound), bound) or (
            factor * grad if bound else 0.0)  # fmt: skip
        assert kind_of(x) == kind_of(wanted), (grad, bound, factor)
        assert x == wanted or math.isnan(wanted), (grad, bound, factor)


@pytest.mark.parametrize("row", [row for row in ROWS if row.leaves], ids=lambda row: row.name)
def test_reductions_hide_neither_nan_nor_infinity(row: Operation) -> None:
    shape = (-1, 1) if row.leaves == "column" else (1, -1)
    for values in product((1.0, math.nan, math.inf, -math.inf, -0.0), repeat=3):
        line = np.array(values, np.float32).reshape(shape)
        with np.errstate(all="ignore"):
            (wanted,) = np.ravel(row.meaning(real(line)))
            found = [
                eval(printed(NumPyPrinter, tree(row)), dict(NUMPY), {"x": line}),
                eval(printed(MLXPrinter, tree(row)), dict(MLX), {"x": mx.array(line)}),
            ]
        for x in map(np.array, found):
            kind = kind_of(x.item())
            assert (kind.strip("-") if wanted == 0 else kind) == rounded(wanted, FLOAT32), values
