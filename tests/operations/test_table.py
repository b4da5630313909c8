"""Every row of the table of operations: each language prints it, and what is printed computes it.

The truth is a row's meaning, to 50 digits. What a machine makes of a printed text must lie within
the row's bound, so that a wrong text, a wrong meaning and a bound that is too narrow are all seen.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import mlx.core as mx
import numpy as np
import pytest
import sympy
from machines import (
    C_FAMILY,
    MLX,
    NAMES,
    NUMPY,
    OF_TRUTHS,
    ROWS,
    SYMBOLS,
    compiled,
    exact,
    points,
    printed,
    rows_of,
    tree,
)

from lucidgen.operations import EVERYWHERE, OPERATIONS, Operation, Where, add, bounds, calls
from lucidgen.operations.bounds import FLOAT32, FLOAT64, Approximation, Format, Truth
from lucidgen.operations.reals import REALS, Value, real
from lucidgen.package.scheduler import KEEPS_NAN
from lucidgen.runtime.rules import captured, ieee
from lucidgen.runtime.rules.calling import evaluate as evaluated
from lucidgen.spec.domains import Domain, domain_of
from lucidgen.targets.common.c_like import CPrinter
from lucidgen.targets.common.host import HostPrinter
from lucidgen.targets.common.mlx_printer import MLXPrinter
from lucidgen.targets.common.plain import PlainPrinter, SpecPrinter
from lucidgen.targets.common.printer import NoText, Printer
from lucidgen.targets.common.trees import Op, tree_of
from lucidgen.targets.cpp import CppPrinter
from lucidgen.targets.cuda import CudaPrinter
from lucidgen.targets.latex import LatexPrinter
from lucidgen.targets.metal import MetalPrinter
from lucidgen.targets.numpy import NumPyPrinter
from lucidgen.targets.schedule import SchedulePrinter
from lucidgen.verify.equivalence import Box, namespace
from lucidgen.verify.exact import evaluate, value_of
from lucidgen.verify.rounding import bounded

PRINTERS: list[type[Printer]] = [
    HostPrinter,
    MLXPrinter,
    NumPyPrinter,
    CppPrinter,
    MetalPrinter,
    CudaPrinter,
    SchedulePrinter,
    LatexPrinter,
    PlainPrinter,
    SpecPrinter,
]
ARRAYS = [row for row in ROWS if row.leaves]
TRUTHS = [sympy.Symbol(name) for name in NAMES]


def assert_computes(row: Operation, kind: Format, computed: Callable[..., Any]) -> None:
    """Hold what a machine computes at all points against the meaning, within the bound."""
    compared = 0
    for point in points(row):
        operands = exact(row, point)
        truth = value_of(row.name, *operands)
        given = [Truth(x, True) if isinstance(x, bool) else Approximation(x) for x in operands]
        bound = bounded(row.name, kind, *given)
        if isinstance(bound, Truth):
            assert (bound.answer, bound.sure) == (truth, True), point
            assert bool(computed(*point)) == truth, point
            compared += 1
        elif bound.error < REALS.inf and REALS.isfinite(truth):
            found = float(computed(*point))
            assert abs(real(found) - truth) <= bound.error, (point, found, truth, bound)
            compared += 1
    assert compared * 3 >= len(points(row))


@pytest.mark.parametrize("language", PRINTERS)
def test_a_printer_prints_every_operation_that_is_legal_for_it(language: type[Printer]) -> None:
    rows = rows_of(language)
    assert len(rows) > 15
    for row in rows:
        text = printed(language, tree(row))
        assert all(name in text for name in NAMES[: row.operands]), row.name


def test_every_printer_of_the_compiler_is_held_to_the_table() -> None:
    def all_of(cls: type[Printer]) -> set[type[Printer]]:
        return {cls}.union(*map(all_of, cls.__subclasses__()))

    made_here = {cls for cls in all_of(Printer) if not cls.__module__.startswith("lucidgen.")}
    languages = {cls.language for cls in all_of(Printer) - made_here if cls.language}
    assert languages == {cls.language for cls in PRINTERS}
    assert {key for row in ROWS for key in row.texts} <= languages


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_expression_is_read_as_its_operation(row: Operation) -> None:
    truths = OF_TRUTHS.get(row.name, 0)
    symbols = [TRUTHS[i] if i < truths else SYMBOLS[i] for i in range(row.operands)]
    found = tree_of(row.of(*symbols), lambda _: Domain.ELEMENT)
    expected = symbols[0] if row.name == "group" else Op(row.name, tuple(symbols))
    assert found == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_oracle_evaluates_every_operation(row: Operation) -> None:
    if row.leaves:
        known: list[Value] = [real(np.array([[1.0, 2.5], [-3.0, 0.5]]))]
    elif row.name == "applied":
        known = [lambda x: 2 * x + 1, real(2.5)]
    elif row.name == "passed":
        known = [[1, 2, 5], real(2.0)]
    else:
        known = exact(row, (2.5, 0.3, 7.0)[: row.operands])
    truths = OF_TRUTHS.get(row.name, 0)
    symbols = [TRUTHS[i] if i < truths else SYMBOLS[i] for i in range(row.operands)]
    found = evaluate(row.of(*symbols), dict(zip(symbols, known, strict=True)).__getitem__)
    wanted = row.meaning(*known)
    assert np.shape(found) == np.shape(wanted)
    if isinstance(wanted, bool):
        assert found == wanted
    else:
        for a, b in zip(np.ravel(found), np.ravel(wanted), strict=True):
            assert abs(a - b) < 1e-45


@pytest.mark.parametrize("row", rows_of(HostPrinter), ids=lambda row: row.name)
def test_the_functions_of_the_host_compute_it_in_double(row: Operation) -> None:
    text = printed(HostPrinter, tree(row))
    functions = {name: getattr(ieee, name) for name in set(calls(text)) - {"abs"}}
    code = f"lambda {', '.join(NAMES[: row.operands])}: {{'found': {text}}}"
    function = eval(code, functions)

    def computed(*point: float) -> Any:
        found = evaluated(function, dict(zip(NAMES, point, strict=False)))["found"]
        assert type(found) in (float, bool)
        return found

    assert_computes(row, FLOAT64, computed)


@pytest.mark.parametrize("row", rows_of(HostPrinter), ids=lambda row: row.name)
def test_the_functions_of_a_captured_step_compute_it_on_arrays(row: Operation) -> None:
    text = printed(HostPrinter, tree(row))
    functions = {name: getattr(captured, name) for name in set(calls(text)) - {"abs"}}
    assert_python(row, text, functions, mx.array, FLOAT32)


@pytest.mark.parametrize("row", rows_of(SchedulePrinter), ids=lambda row: row.name)
def test_pythons_math_computes_it_in_schedules_or_what_keeps_nan(row: Operation) -> None:
    text = printed(SchedulePrinter, tree(row))
    own = {"bisect_right": bisect.bisect_right, **{n: getattr(ieee, n) for n in KEEPS_NAN}}
    functions = {name: own.get(name) or getattr(math, name) for name in calls(text)
                 if name not in (*NAMES, "abs")}  # fmt: skip
    function = eval(f"lambda {', '.join(NAMES[: row.operands])}: {text}", functions)
    if row.name == "applied":
        assert function(lambda x: 2 * x, 3.0) == row.meaning(lambda x: 2 * x, real(3.0)) == 6
        return
    if row.name == "passed":
        steps = [1, 2, 2, 5]
        for x in (0.5, 1, 2, 4, 5, 6):
            count = row.bound(FLOAT64, steps, Approximation(real(x)))
            assert (count.value, count.error) == (function(steps, x), 0)
            assert row.meaning(steps, real(x)) == count.value
        assert row.bound(FLOAT64, steps, Approximation(real(2), real(0.5))).error == 2
        return

    def computed(*point: float) -> float:
        return float(function(*point))

    assert_computes(row, FLOAT64, computed)
    if KEEPS_NAN & {*functions}:
        for point in itertools.product((math.nan, -1.0, 2.0), repeat=row.operands):
            assert math.isnan(computed(*point)) == any(map(math.isnan, point)), point


def assert_python(
    row: Operation,
    text: str,
    functions: Mapping[str, Any],
    array: Callable[[Any], Any],
    kind: Format,
) -> None:
    """Hold Python text that works on arrays against the meaning, all points at once."""
    columns = np.array(points(row), kind.dtype).T
    known = {name: array(column) for name, column in zip(NAMES, columns, strict=False)}
    with np.errstate(all="ignore"):
        found = np.array(eval(text, dict(functions), known))
    at = dict(zip(points(row), found.tolist(), strict=True))
    assert_computes(row, kind, lambda *point: at[point])


@pytest.mark.parametrize("kind", [FLOAT32, FLOAT64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    "row", [r for r in rows_of(NumPyPrinter) if not r.leaves], ids=lambda row: row.name
)
def test_numpy_computes_it(row: Operation, kind: Format) -> None:
    assert_python(row, printed(NumPyPrinter, tree(row)), NUMPY, np.asarray, kind)


@pytest.mark.parametrize(
    "row", [r for r in rows_of(MLXPrinter) if not r.leaves], ids=lambda row: row.name
)
def test_mlx_computes_it(row: Operation) -> None:
    assert_python(row, printed(MLXPrinter, tree(row)), MLX, mx.array, FLOAT32)


@pytest.mark.parametrize("row", ARRAYS, ids=lambda row: row.name)
def test_a_reduction_leaves_what_its_row_says_in_every_library(row: Operation) -> None:
    values = np.random.default_rng(3).standard_normal((3, 5)).astype(np.float32)
    truth = row.meaning(real(values))
    enclosure = bounded(row.name, FLOAT32, np.frompyfunc(Approximation, 1, 1)(real(values)))
    shape = {"tensor": (), "row": (3, 1), "column": (1, 5)}[str(row.leaves)]
    assert np.shape(truth) == np.shape(enclosure) == shape
    found_domain = domain_of(row.of(SYMBOLS[0]), {SYMBOLS[0]: Domain.ELEMENT})
    assert found_domain.value == row.leaves
    for language, names in ((NumPyPrinter, NUMPY), (MLXPrinter, MLX)):
        array = mx.array(values) if language is MLXPrinter else values
        found = np.array(eval(printed(language, tree(row)), dict(names), {"x": array}))
        assert found.shape == shape
        assert np.any(found != 0)
        pairs = zip(np.ravel(found), np.ravel(truth), np.ravel(enclosure), strict=True)
        for number, value, bound in pairs:
            assert abs(real(number) - value) <= bound.error


@pytest.mark.parametrize("language", C_FAMILY)
def test_compiled_texts_compute_them(language: type[CPrinter]) -> None:
    found = compiled(language)
    for row in rows_of(language):
        at = dict(zip(points(row), found[row.name], strict=False))
        assert_computes(row, FLOAT32, lambda *point, at=at: at[point])


@pytest.mark.parametrize("language", [HostPrinter, NumPyPrinter, MLXPrinter])
def test_the_check_of_emitted_python_knows_every_operation(language: type[Printer]) -> None:
    column = [2.5, -0.3, 7.0, 0.4]
    for row in rows_of(language):
        known = {name: real(np.roll(column, i).reshape(2, 2)) for i, name in enumerate(NAMES)}
        if language is HostPrinter:
            known = {name: value[0, 0] for name, value in known.items()}
        boxes = {name: Box(symbol, known) for name, symbol in zip(NAMES, SYMBOLS, strict=True)}
        box = eval(printed(language, tree(row)), namespace(known), boxes)
        truths = OF_TRUTHS.get(row.name, 0)
        given = [
            np.frompyfunc(lambda a: bool(a > 0), 1, 1)(known[name]) if i < truths else known[name]
            for i, name in enumerate(NAMES[: row.operands])
        ]
        wanted = value_of(row.name, *given)
        for a, b in zip(np.ravel(box.value()), np.ravel(wanted), strict=True):
            if isinstance(b, bool | np.bool_):
                assert a == b, row.name
            elif REALS.isfinite(b):
                assert abs(a - b) <= 1e-40 * (1 + abs(b)), row.name


@pytest.mark.parametrize(
    "row", [r for r in ROWS if not r.leaves and r.name not in ("applied", "passed")],
    ids=lambda row: row.name,
)  # fmt: skip
def test_a_bound_covers_operands_that_are_off(row: Operation) -> None:
    """Whatever a machine has in place of the operands, within their errors."""
    rng = np.random.default_rng(1)
    for point in points(row)[:: 1 if row.operands < 3 else 7]:
        operands = exact(row, point)
        error = real(2.0**-10)
        given = [
            Truth(x, True) if isinstance(x, bool) else Approximation(x, error) for x in operands
        ]
        bound = bounded(row.name, FLOAT64, *given)
        for share in rng.uniform(-1, 1, (3, row.operands)):
            moved = [
                x if isinstance(x, bool) else x + real(float(s)) * error
                for x, s in zip(operands, share, strict=True)
            ]
            truth = value_of(row.name, *moved)
            if isinstance(bound, Truth):
                assert truth == bound.answer or not bound.sure, point
            elif bound.error < REALS.inf and REALS.isfinite(truth):
                assert abs(truth - bound.value) <= bound.error, (point, moved)


def test_what_is_beyond_any_use_has_its_limit() -> None:
    huge, infinity = real(10.0**7), REALS.inf
    for x in (huge, infinity):
        assert [value_of(name, -x) for name in ("exp", "expm1", "tanh")] == [0, -1, -1]
        assert [value_of(name, x) for name in ("exp", "expm1", "tanh")] == [infinity, infinity, 1]


GOOD: dict[str, Any] = {
    "name": "made_up",
    "head": sympy.sinh,
    "meaning": REALS.sinh,
    "bound": bounds.growing(REALS.sinh),
    "where": EVERYWHERE,
}


@pytest.mark.parametrize("column", ["meaning", "bound", "head"])
def test_a_row_that_lacks_what_checks_need_is_refused(column: str) -> None:
    assert Operation(**GOOD)
    with pytest.raises(ValueError, match="the operation 'made_up' has n"):
        Operation(**GOOD | {column: None})
    if column != "head":
        with pytest.raises(TypeError, match=column):
            Operation(**{key: value for key, value in GOOD.items() if key != column})


def test_a_second_row_for_an_operation_is_refused() -> None:
    for name, head in (("tanh", sympy.sinh), ("made_up", sympy.tanh)):
        with pytest.raises(ValueError, match="has a row for"):
            add(Operation(**GOOD | {"name": name, "head": head}))
    assert "made_up" not in OPERATIONS


class Shader(CPrinter):
    """The printer of a target that lucidgen does not know."""

    language: ClassVar[str] = "shader"
    texts: ClassVar[Mapping[str, str]] = {"tanh": "tanh", "cbrt": "pow({0}, 1.0 / 3.0)"}


def test_a_printer_from_elsewhere_has_its_own_texts_and_is_told_what_it_lacks() -> None:
    x = SYMBOLS[0]
    assert Shader({}).print(Op("tanh", (Op("cbrt", (x,)),))) == "tanh(pow(x, 1.0 / 3.0))"
    with pytest.raises(NoText, match=r"shader has no text for the operation 'exp'.*Shader\.texts"):
        Shader({}).print(Op("exp", (x,)))
    with pytest.raises(NoText, match="shader has no text for the operation 'made_up'"):
        Shader({}).print(Op("made_up", (x,)))


def test_a_new_spec_writes_a_cube_root_as_the_language_has_it() -> None:
    x = SYMBOLS[0]
    assert SpecPrinter({}).print(Op("cbrt", (x,))) == "x**Rational(1, 3)"
    assert SpecPrinter({}).print(Op("cbrt", (Op("add", (x, x)),))) == "(x + x)**Rational(1, 3)"


def test_where_has_the_places_of_both_languages() -> None:
    assert ~Where(0) == EVERYWHERE | Where.ARRAYS | Where.GROUPS
