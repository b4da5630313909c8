"""Everything that can be wrong with a schedule, found at once.

Owns the rules that only schedules have; those about expressions and conditions are `check.py`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import sympy

from ..operations import OverGroup, Where
from . import quantities
from .check import expressions, misused
from .check_arguments import bad_default
from .draws import Draw
from .equation import Eq, wrong
from .errors import Problem, SpecError, nearest
from .names import SCHEDULER, SCHEDULER_CLASSES, class_problems, of_schedules, problems_of
from .quantities import At, Given, Hyper, Series, Shape, keyword_only
from .schedule import (
    OUTPUTS,
    Choice,
    Condition,
    Schedule,
    Whole,
    base,
    momentum,
    required,
    t,
    value,
)


def check(spec: Schedule) -> None:
    """Raise SpecError with everything that is wrong with a schedule."""
    problems = [problem for rule in RULES for problem in rule(spec)]
    if problems:
        raise SpecError(problems)


def left_sides(spec: Schedule) -> Iterator[Problem]:
    """A left side is a series at t, or base, defined once; value[t] is defined."""
    seen: dict[sympy.Basic, Eq] = {}
    for equation in spec.equations:
        left = equation.left
        if isinstance(left, At) and left.index.has(quantities.t):
            yield wrong(
                equation,
                f"the t in {left} is that of optimizers, which begins with 1",
                "Import the one of schedules: from lucidgen.spec.schedule import t.",
            )
        elif left != base and not (isinstance(left, At) and left.index == t):
            yield wrong(
                equation,
                f"the left side {left} is neither a series at t nor base",
                "Write Eq(value[t], ...), or Eq(x[t], ...) with x = series('x').",
            )
        elif left in seen:
            yield wrong(
                equation,
                f"{left} is defined twice, first at {seen[left].location}",
                "Keep one of the equations, or give the second series its own name.",
            )
        seen[left] = equation
    if value[t] not in seen:
        yield Problem(
            spec.location,
            f"{spec.name} has no equation for value[t]",
            "Say what the hyperparameter is at step t: Eq(value[t], base * ...).",
        )
    if momentum[t] in seen and "cycle_momentum" not in (a.name for a in spec.parameters):
        yield wrong(
            seen[momentum[t]],
            "momentum[t] is written only where the caller asks for it",
            'Add flag("cycle_momentum", True) to `arguments`.',
        )


def undefined(spec: Schedule) -> Iterator[Problem]:
    """What is read is defined at the same t; symbols are declared and among the arguments."""
    declared = {argument.name for argument in spec.parameters}
    defined = {series.name for series in spec.by_series}
    for equation in spec.equations:
        for over in sorted(equation.right.atoms(OverGroup), key=str):
            yield wrong(
                equation,
                f"{over} asks for parameters, of which a schedule knows none",
                "Let an equation of the optimizer multiply the rate: lr * over_group(...).",
            )
        for symbol in sorted(equation.right.free_symbols, key=str):
            if isinstance(symbol, At) and symbol.index != t:
                yield wrong(
                    equation,
                    f"{symbol} is not a value at t",
                    "A schedule has no memory: write its value as an expression in t.",
                )
            elif isinstance(symbol, At):
                if symbol.series.name not in defined:
                    yield wrong(
                        equation,
                        f"no equation defines {symbol}{nearest(symbol.series.name, defined)}",
                        f"Add Eq({symbol}, ...), or correct the name.",
                    )
            elif symbol == quantities.t:
                yield wrong(
                    equation,
                    "this t is that of optimizers, which begins with 1",
                    "Import the one of schedules: from lucidgen.spec.schedule import t.",
                )
            elif isinstance(symbol, Shape):
                yield wrong(
                    equation,
                    f"{symbol} is of a parameter, and a schedule knows none",
                    "Multiply the rate in the equations of the optimizer instead: lr * sqrt(rows).",
                )
            elif isinstance(symbol, Given):
                yield wrong(
                    equation,
                    f"the {symbol} is known in the step of an optimizer, and a schedule makes none",
                    "Read it in the equations of the optimizer instead.",
                )
            elif isinstance(symbol, Draw):
                yield wrong(
                    equation,
                    f"{symbol} draws a number for each element, and a schedule knows none",
                    "Draw in the equations of the optimizer instead: lr * uniform().",
                )
            elif symbol in (t, base):
                if equation.left == base:
                    yield wrong(
                        equation,
                        f"the start depends on {symbol}",
                        "Where a schedule starts depends on arguments only.",
                    )
            elif _argument(symbol) not in declared:
                yield wrong(
                    equation,
                    f"{_argument(symbol)} is not among the arguments"
                    f"{nearest(_argument(symbol), declared)}",
                    f"Declare it with hyper(...), whole(...) or the like, and list it in "
                    f"`arguments` of {spec.name}.",
                )


def _argument(symbol: sympy.Symbol) -> str:
    return symbol.argument if isinstance(symbol, Condition) else str(symbol.name)


def cycles(spec: Schedule) -> Iterator[Problem]:
    """No quantity depends on itself."""
    reads = {
        series: sorted({at.series for at in equation.right.atoms(At)} & set(spec.by_series))
        for series, equation in spec.by_series.items()
    }

    def visit(series: Series, path: tuple[Series, ...]) -> tuple[Series, ...]:
        if series in path:
            return (*path[path.index(series) :], series)
        return next((p for s in reads[series] if (p := visit(s, (*path, series)))), ())

    for series in reads:
        path = visit(series, ())
        if path:
            yield wrong(
                spec.by_series[path[0]],
                f"a cycle: {' -> '.join(f'{s}[t]' for s in path)}",
                "One of these must follow from t and the arguments alone.",
            )
            return


def expressions_and_conditions(spec: Schedule) -> Iterator[Problem]:
    """Numbers are exact, functions printable, conditions conditions."""
    yield from expressions(spec, Where.SCHEDULES)
    for equation in spec.equations:
        yield from misused(equation, equation.right)


def affine(spec: Schedule) -> Iterator[Problem]:
    """A chainable schedule can be solved for its base: the value is affine in it."""
    if not spec.chainable or any(cycles(spec)) or any(undefined(spec)) or any(left_sides(spec)):
        return
    if spec.start is not None:
        yield wrong(
            spec.start,
            f"{spec.name} says where it starts, so nothing from outside can be carried on",
            "Give it chainable=False.",
        )
        return
    reading = {base}
    for equation in spec.needed(value):
        if equation.right.free_symbols & reading and equation.series is not value:
            reading.add(equation.left)
    right = spec.by_series[value].right
    if base not in right.free_symbols or reading != {base}:
        text = "value[t] does not read base itself"
    elif not _is_affine(right):
        text = "value[t] is not affine in base"
    else:
        return
    yield wrong(
        spec.by_series[value],
        f"{text}, so nothing from outside can be carried on",
        "Write it as a * base + b, or give the schedule chainable=False.",
    )


def _is_affine(expr: sympy.Basic) -> bool:
    """Whether an expression is a sum of multiples of base and what does not read it."""
    if base not in expr.free_symbols or expr == base:
        return True
    if isinstance(expr, sympy.Add):
        return all(map(_is_affine, expr.args))
    if isinstance(expr, sympy.Mul):
        reading = [arg for arg in expr.args if base in arg.free_symbols]
        return len(reading) == 1 and _is_affine(reading[0])
    if expr.func.__name__ == "When":
        return base not in expr.args[0].free_symbols and all(map(_is_affine, expr.args[1:]))
    return False


def names(spec: Schedule) -> Iterator[Problem]:
    """Names are identifiers, unique over series, arguments and what the compiler makes."""
    yield from class_problems(spec.name, SCHEDULER_CLASSES | of_schedules(), spec.location)
    owners: dict[str, str] = {}
    series = [("series", s.name, s.location) for s in spec.by_series if s not in OUTPUTS]
    arguments = [("argument", a.name, a.location) for a in spec.parameters]
    for kind, name, location in (*arguments, *series):
        own = of_schedules() if kind == "series" else of_schedules() | SCHEDULER
        yield from problems_of(name, kind, own, location)
        if owners.get(name, kind) != kind:
            yield Problem(
                location,
                f"the {kind} {name!r} shadows the {owners[name]} {name!r}",
                "Give one of the two another name.",
            )
        owners[name] = kind


def arguments(spec: Schedule) -> Iterator[Problem]:
    """Arguments are declared, legal by default, listed once, in a legal order, and used."""
    for argument in spec.arguments:
        if argument is not keyword_only and argument not in spec.parameters:
            yield Problem(
                spec.location,
                f"{argument!r} in `arguments` is no argument of a schedule",
                "List what hyper, whole, points, choice, function and flag return.",
            )
    count = Counter(argument.name for argument in spec.parameters)
    for name, times in count.items():
        if times > 1:
            yield Problem(spec.location, f"the argument {name!r} is listed twice", "List it once.")
    optional = False
    for argument in spec.parameters[: spec.positional]:
        if argument.default is required and optional:
            yield Problem(
                argument.location,
                f"{argument.name} has no default, but follows arguments that have one",
                "Move it to the front of `arguments`, or behind keyword_only.",
            )
        optional = optional or argument.default is not required
    used = _used(spec)
    for argument in spec.parameters:
        if argument.name not in used and argument.name != "cycle_momentum":
            yield Problem(
                argument.location,
                f"no equation of {spec.name} uses {argument.name}",
                "Use it, or take it out of `arguments`.",
            )
        yield from _bad_default(spec, argument)
    if spec.until is not None and spec.until not in spec.parameters:
        yield Problem(
            spec.location, f"until={spec.until} is no argument", "List it in `arguments`."
        )
    for requirement in spec.requirements:
        for symbol in sorted(requirement.condition.free_symbols, key=str):
            if _argument(symbol) not in count:
                yield Problem(
                    spec.location,
                    f"`requires` of {spec.name} reads {symbol}",
                    "A constraint is about arguments only.",
                )


def examples(spec: Schedule) -> Iterator[Problem]:
    """The example is a list of arguments as in a call, with all that must be given."""
    if not spec.example:
        return
    try:
        given = dict(eval(f"dict({spec.example})", {"__builtins__": {"dict": dict}}))
    except Exception as error:
        yield Problem(
            spec.location,
            f"the example {spec.example!r} is no list of arguments: {error}",
            'Write it as in a call: example="T_max=100".',
        )
        return
    known = {argument.name: argument for argument in spec.parameters}
    for name in sorted(set(given) - set(known)):
        yield Problem(
            spec.location,
            f"the example gives {name}, which is no argument{nearest(name, known)}",
            "Name arguments of the schedule.",
        )
    for name, number in given.items():
        argument = known.get(name)
        if isinstance(argument, Whole) and number is not None and not _is_whole(argument, number):
            yield Problem(
                spec.location,
                f"the example gives {name}={number!r}",
                f"Give a whole number ({argument.bounds}).",
            )
    missing = [name for name, a in known.items() if a.default is required and name not in given]
    if missing:
        yield Problem(
            spec.location,
            f"the example does not give {', '.join(missing)}",
            "Arguments without a default belong into it.",
        )


def _used(spec: Schedule) -> set[str]:
    read = {s for e in spec.equations for s in e.right.free_symbols}
    read |= {s for r in spec.requirements for s in r.condition.free_symbols}
    for argument in spec.parameters:
        if isinstance(argument, Whole) and argument.otherwise is not None:
            read |= argument.otherwise.free_symbols
    return {_argument(s) for s in read}


def _bad_default(spec: Schedule, argument: Any) -> Iterator[Problem]:
    default = argument.default
    if isinstance(argument, Choice):
        if not all(isinstance(word, str) and word.isidentifier() for word in argument.values):
            yield Problem(
                argument.location,
                f"the words of {argument.name} are {argument.values!r}",
                'Give words, as in choice("mode", "min", "max").',
            )
    elif isinstance(argument, Whole):
        if default is not required and default is not None and not _is_whole(argument, default):
            yield Problem(
                argument.location,
                f"the default of {argument.name} is {default!r}",
                f"Give a whole number ({argument.bounds}).",
            )
    elif isinstance(argument, quantities.Flag) or (
        isinstance(argument, Hyper) and default is not required
    ):
        yield from bad_default(argument, default, argument.location)


def _is_whole(argument: Whole, default: object) -> bool:
    return type(default) is int and argument.bounds.admits(default)


RULES: tuple[Callable[[Schedule], Iterator[Problem]], ...] = (
    left_sides,
    undefined,
    cycles,
    expressions_and_conditions,
    affine,
    names,
    arguments,
    examples,
)
