"""Everything that can be wrong with a spec, found at once.

Owns the rules of the language. Each rule is a generator of `Problem`s over one spec; `RULES` lists
them. A rule may assume nothing that another rule checks: all of them run on any spec.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from weakref import WeakKeyDictionary

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom, BooleanFunction

from ..operations import OPERATIONS, OPTIMIZERS, Reduction, When, Where, in_language
from ..operations import names as function_names
from .check_arguments import arguments, names, roles
from .check_elsewhere import saved_elsewhere
from .check_groups import groups
from .check_reductions import reductions
from .check_shapes import shapes
from .domains import NUMBERS, Domain, domain_of, infer_domains
from .draws import Draw
from .equation import Eq, wrong
from .errors import Problem, SpecError, nearest
from .functions import NO_NUMBERS
from .optimizer import OptimizerSpec
from .quantities import At, Flag, Given, Hyper, Series, Shape, symbols_of, t, update, values_in
from .schedule import Schedule

#: Constants beyond this cannot be written as a double.
LARGEST = 10**300

#: Where an operation can stand that neither arrays nor loops over elements have.
SCALAR = Where.HOST | Where.SCHEDULES

#: What stands in expressions besides functions and conditions; other constants have no name.
_ARITHMETIC = (
    *(sympy.Add, sympy.Mul, sympy.Pow, sympy.Symbol, sympy.Number, BooleanAtom),
    *(type(sympy.pi), type(sympy.E), type(sympy.I), type(sympy.zoo)),
)

#: The specs in which nothing is wrong, each with the dialects that it had then: whoever needs a
#: sound spec may ask for it again.
_sound: WeakKeyDictionary[OptimizerSpec, tuple[str, ...]] = WeakKeyDictionary()


def check(spec: OptimizerSpec) -> None:
    """Raise SpecError with everything that is wrong with a spec or one of its dialects."""
    readings = [r for r in spec.readings.values() if _sound.get(r) != tuple(r.dialects)]
    problems = [problem for reading in readings for problem in problems_of(reading)]
    if problems:
        raise SpecError(problems)
    _sound.update((reading, tuple(reading.dialects)) for reading in readings)


def problems_of(spec: OptimizerSpec) -> list[Problem]:
    """All problems of one spec (without its dialects)."""
    return [*spec.problems, *(problem for rule in RULES for problem in rule(spec))]


def left_sides(spec: OptimizerSpec) -> Iterator[Problem]:
    """A left side is a series at t, 0 or 1, defined once; w[t] is defined."""
    count = Counter(equation.key for equation in spec.equations)
    for equation in spec.equations:
        left = equation.left
        if not isinstance(left, At):
            yield wrong(
                equation,
                f"the left side {left} is not a series at a time",
                "Write Eq(x[t], ...) with x = series('x').",
            )
        elif left.series == update:
            yield wrong(
                equation,
                "update is what an optimizer does, for transforms of it",
                "Let transformed(...) have this equation, or name a series of your own.",
            )
        elif left.series.name == "grad":
            yield wrong(
                equation, "grad is given, not defined", "Define a series of your own from grad[t]."
            )
        elif left.shift is None and left.index not in (0, 1):
            yield wrong(
                equation,
                f"{left} is at no legal time",
                "A left side is x[t], or x[0] for a start, or x[1] for a first update.",
            )
        elif count[equation.key] > 1:
            count[equation.key] = 0
            first = next(e for e in spec.equations if e.key == equation.key)
            again = [e for e in spec.equations if e.key == equation.key][-1]
            yield wrong(
                again,
                f"{left} is defined twice, first at {first.location}",
                "Keep one of the equations, or give the second series its own name.",
            )
    if ("w", "t") not in count:
        yield Problem(
            spec.location,
            f"{spec.name} has no equation for w[t]",
            "Say how the parameter moves: Eq(w[t], w[t - 1] - ...).",
        )


def times(spec: OptimizerSpec) -> Iterator[Problem]:
    """Right sides read t and t - 1 only; starts and first updates have their own two indices."""
    for equation in spec.equations:
        for at in sorted(values_in(equation.normalised()), key=attrgetter("name")):
            name = at.series.name
            if equation.moment == "start":
                if at.index != 0 or name != "w":
                    yield wrong(
                        equation,
                        f"a start reads {at}",
                        "A start depends on hyperparameters and w[0] only.",
                    )
            elif at.shift is None:
                yield wrong(
                    equation,
                    f"{at} is not a time that a step can read",
                    f"Read {name}[t] or {name}[t - 1]; the start x[0] and the first "
                    "update x[1] have equations of their own.",
                )
            elif at.shift > 0:
                yield wrong(
                    equation,
                    f"{at} lies in the future",
                    f"Only {name}[t] and {name}[t - 1] are known; write what it stands "
                    "for as an expression in t.",
                )
            elif at.shift < -1:
                yield wrong(
                    equation,
                    f"{at} reaches back {-at.shift} steps",
                    f"Deeper memory is a further series: Eq({name}_before[t], "
                    f"{name}[t - 1]), then read {name}_before[t - 1].",
                )
            elif at.shift == -1 and name == "grad":
                yield wrong(
                    equation,
                    "the previous gradient is not kept by itself",
                    "Name it: Eq(g[t], grad[t]), then read g[t - 1].",
                )
        if equation.moment == "start" and equation.right.has(Reduction):
            yield wrong(
                equation,
                "a start reduces a tensor",
                "Let the first update do it: Eq(x[1], ...).",
            )
        if equation.moment == "start" and equation.right.has(Draw):
            yield wrong(
                equation,
                "a start draws a random number",
                "Let the first update do it: Eq(x[1], ...).",
            )
        if equation.moment == "start" and equation.right.has(t):
            yield wrong(
                equation,
                "a start depends on t",
                "A start is evaluated before the first step; use t = 1's value.",
            )
        for number in equation.right.atoms(Given) if equation.moment == "start" else ():
            yield wrong(
                equation,
                f"a start reads the {number}, which is known in a step only",
                "Let the first update do it: Eq(x[1], ...).",
            )


def undefined(spec: OptimizerSpec) -> Iterator[Problem]:
    """Every series that is read is defined, every symbol declared and among the arguments."""
    defined = {s.name for s in spec.by_moment("t")} | {"w", "grad"}
    declared = {s.name for argument in spec.parameters for s in symbols_of(argument)}
    ignored = {s.name for argument in spec.ignores for s in symbols_of(argument)}
    for equation in spec.equations:
        for symbol in sorted(equation.symbols, key=attrgetter("name")):
            if isinstance(symbol, At):
                name = symbol.series.name
                if symbol.series == update:
                    yield wrong(
                        equation,
                        "update is what an optimizer does, for transforms of it",
                        "Let transformed(...) have this equation; here, write what is added to w.",
                    )
                elif name not in defined:
                    yield wrong(
                        equation,
                        f"no equation defines {name}[t]{nearest(name, defined)}",
                        f"Add Eq({name}[t], ...), or correct the name.",
                    )
            elif (
                symbol != t
                and not isinstance(symbol, Shape | Given | Draw)
                and symbol.name not in declared | ignored
            ):
                kind = "hyperparameter" if isinstance(symbol, Hyper) else "symbol"
                kind = "flag" if isinstance(symbol, Flag) else kind
                yield wrong(
                    equation,
                    f"the {kind} {symbol} is not among the arguments"
                    f"{nearest(symbol.name, declared)}",
                    f"Declare it with hyper(...) or flag(...) and list it in `arguments` "
                    f"of {spec.name}.",
                )
    starts, firsts = spec.by_moment("start"), spec.by_moment("first")
    for series, equation in (*starts.items(), *firsts.items()):
        if series.name not in defined:
            yield wrong(
                equation,
                f"{series} has no equation at t",
                f"Add Eq({series}[t], ...); this one only says how it begins.",
            )
        elif equation.moment == "start" and series.name != "w" and series not in spec.states:
            yield wrong(
                equation,
                f"{series} is not state: no equation reads {series}[t - 1]",
                "Drop this equation, or declare the series with keep=True.",
            )
        elif series.name == "w" and equation.moment == "start":
            yield wrong(
                equation, "w[0] is the parameter as the user made it", "Drop this equation."
            )


def cycles(spec: OptimizerSpec) -> Iterator[Problem]:
    """No quantity depends on itself at the same time."""
    reads = {
        series: sorted(
            {at.series for at in values_in(equation.normalised()) if at.shift == 0}
            & set(spec.by_moment("t"))
        )
        for series, equation in spec.by_moment("t").items()
    }
    done: set[Series] = set()

    def visit(series: Series, path: tuple[Series, ...]) -> tuple[Series, ...] | None:
        if series in path:
            return (*path[path.index(series) :], series)
        if series in done:
            return None
        for other in reads[series]:
            found = visit(other, (*path, series))
            if found:
                return found
        done.add(series)
        return None

    for series in reads:
        path = visit(series, ())
        if path:
            equation = spec.by_moment("t")[path[0]]
            text = " -> ".join(f"{s}[t]" for s in path)
            yield wrong(
                equation,
                f"a cycle: {text}",
                "One of these must read the value of the step before, at t - 1.",
            )
            return


def expressions(spec: OptimizerSpec | Schedule, where: Where = OPTIMIZERS) -> Iterator[Problem]:
    """No floats, nothing complex or infinite, nothing unprintable."""
    functions = tuple(row.head for row in in_language(where) if row.head)
    for equation in spec.equations:
        right = equation.right
        if not isinstance(right, sympy.Expr) or isinstance(right, Flag):
            yield wrong(
                equation,
                "the right side is a condition, not a number",
                "Use when(condition, a, b) to make a number of it.",
            )
            continue
        for number in sorted(right.atoms(sympy.Float), key=str):
            exact = sympy.nsimplify(str(number), rational=True)
            yield wrong(
                equation,
                f"the float {float(number):g} in an equation is not exact",
                f"Write Rational({exact.p}, {exact.q}), or make it a hyper(...).",
            )
        for number in sorted(right.atoms(sympy.Integer, sympy.Rational), key=str):
            if max(abs(number.p), number.q) > LARGEST:
                yield wrong(
                    equation,
                    f"the number {str(number)[:12]}... is too large for floating point",
                    "Keep constants below 10**300.",
                )
        if right.has(*NO_NUMBERS):
            yield wrong(
                equation,
                "the right side is infinite, undefined or complex",
                "Look for a division by zero or a root of a negative number.",
            )
        known = (*_ARITHMETIC, *functions, BooleanFunction, Relational)
        strange = {f for f in sympy.preorder_traversal(right) if not isinstance(f, known)}
        for head in sorted({f.func.__name__ for f in strange}):
            yield wrong(
                equation,
                f"no target can compute {head}",
                f"The language has {', '.join(function_names(where))}, powers and arithmetic.",
            )


def draws(spec: OptimizerSpec) -> Iterator[Problem]:
    """A random number stands in one place, so that each `normal()` that is read is one."""
    seen: set[Draw] = set()
    for equation in spec.equations:
        found = [d for d in sympy.preorder_traversal(equation.right) if isinstance(d, Draw)]
        twice = [d for n, d in enumerate(found) if d in seen or d in found[:n]]
        seen.update(found)
        if twice:
            yield wrong(
                equation,
                f"a random number, {twice[0]}, stands in two places",
                f"Give it a series, Eq(noise[t], {twice[0]}), and read noise[t] in both; or call "
                f"{twice[0]} in each, for two numbers.",
            )


def conditions(spec: OptimizerSpec) -> Iterator[Problem]:
    """Flags stand in conditions only; conditions are flags, special hypers and comparisons."""
    for equation in spec.equations:
        yield from misused(equation, equation.right)
    for requirement in spec.requirements:
        for symbol in sorted(requirement.condition.free_symbols, key=str):
            if symbol not in (*spec.hypers, *spec.flags):
                yield Problem(
                    spec.location,
                    f"`requires` of {spec.name} reads {symbol}",
                    "A constraint is about arguments only.",
                )


def misused(equation: Eq, expr: sympy.Basic) -> Iterator[Problem]:
    """Flags that stand as numbers, and conditions that are none."""
    if isinstance(expr, When):
        yield from _bad_condition(equation, expr.args[0])
        args: Iterable[sympy.Basic] = expr.args[1:]
    else:
        args = expr.args
    for arg in args:
        if isinstance(arg, Flag):
            yield wrong(equation, f"the flag {arg} is used as a number", f"Use when({arg}, a, b).")
        elif isinstance(arg, Relational | BooleanFunction | BooleanAtom):
            yield wrong(
                equation, f"the condition {arg} is used as a number", f"Use when({arg}, 1, 0)."
            )
        else:
            yield from misused(equation, arg)


def _bad_condition(equation: Eq, condition: sympy.Basic) -> Iterator[Problem]:
    if isinstance(condition, Flag):
        return
    if isinstance(condition, Relational):
        yield from misused(equation, condition)
    elif isinstance(condition, Hyper):
        if condition.special is None:
            yield wrong(
                equation,
                f"{condition} as a condition has no meaning",
                f"Declare hyper('{condition}', ..., special=0), or compare it.",
            )
    elif isinstance(condition, sympy.And | sympy.Or | sympy.Not):
        for arg in condition.args:
            yield from _bad_condition(equation, arg)
    else:
        yield wrong(
            equation,
            f"{condition} is not a condition",
            "Use a flag, a hyperparameter with special=..., or a comparison; join with &, | and ~.",
        )


#: What is left to reduce of what varies over less than the elements.
_REDUCED = {
    Domain.ROW: "It is one value a row already: column_mean and the like reduce it to one number "
    "per matrix, mean and the like to one per tensor.",
    Domain.COLUMN: "It is one value a column already: row_mean and the like reduce it to one "
    "number per matrix, mean and the like to one per tensor.",
    Domain.MATRIX: "It is one number per matrix already: mean, total, norm and largest reduce it "
    "to one per tensor.",
    Domain.GROUP: "It is one number for the whole group already.",
}


def domains(spec: OptimizerSpec) -> Iterator[Problem]:
    """Reductions reduce something; what only the host has stays there; w varies over elements."""
    names = infer_domains(spec)
    scalar = tuple(r.head for r in OPERATIONS.values() if r.head and r.where in SCALAR)
    for equation in spec.equations:
        known = {at: names.get(at.series.name, Domain.HOST) for at in values_in(equation.right)}
        for reduction in sorted(equation.right.atoms(Reduction), key=str):
            inside = domain_of(reduction.args[0], known)
            if domain_of(reduction, known) is inside:
                yield wrong(
                    equation,
                    f"{reduction} reduces a per-{inside.value} quantity",
                    _REDUCED.get(inside, "Only what varies over the elements can be reduced."),
                )
        for found in sorted(equation.right.atoms(*scalar), key=str):
            inside = domain_of(found, known)
            if inside not in NUMBERS:
                yield wrong(
                    equation,
                    f"{found} is of a per-{inside.value} quantity",
                    "It is computed once per step: of t, hyperparameters and what is made of them.",
                )
        if equation.key == ("w", "t") and domain_of(equation.right, known) is not Domain.ELEMENT:
            yield wrong(
                equation,
                "w[t] depends neither on w[t - 1] nor on the gradient",
                "An update starts from the parameter: w[t - 1] - ...",
            )


RULES: tuple[Callable[[OptimizerSpec], Iterator[Problem]], ...] = (
    left_sides,
    times,
    undefined,
    cycles,
    expressions,
    draws,
    conditions,
    domains,
    reductions,
    groups,
    shapes,
    names,
    arguments,
    roles,
    saved_elsewhere,
)
