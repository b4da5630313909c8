"""What an author of a schedule writes, what comes of it, and what is said of mistakes."""

import dataclasses
import math
import textwrap

import mpmath
import pytest
import sympy

from lucidgen.commands.plotting import callable_of, example
from lucidgen.operations import Applied, Group, Passed, When
from lucidgen.package.scheduler import CompiledSchedule, needs
from lucidgen.spec import Eq, SpecError
from lucidgen.spec.loader import load
from lucidgen.spec.quantities import At
from lucidgen.spec.schedule import Condition, Schedule, base, momentum, t, value
from lucidgen.specs import cycles, schedules

SCHEDULES = [
    spec
    for module in (schedules, cycles)
    for spec in vars(module).values()
    if isinstance(spec, Schedule)
]

START = '''"""Specs."""
from lucidgen.spec import *
from lucidgen.spec import Eq, Schedule, cos, hyper, series, when
from lucidgen.spec.schedule import base, choice, function, momentum, points, required, t, value
from lucidgen.spec.schedule import whole
gamma = hyper("gamma", 0.1, above=0)
'''
FIRST = START.count("\n") + 1


# The emitted functions compute the equations


def exact(spec, output, time, start, arguments):
    """An output at a time in 40 digits, by evaluating the equations as they are written."""
    mpmath.mp.dps = 40
    known = {s.name: arguments.get(s.name) for e in spec.equations for s in e.right.free_symbols}
    known |= {"t": mpmath.mpf(time), "base": mpmath.mpf(start)}

    def evaluate(expr):
        if isinstance(expr, At):
            return evaluate(spec.by_series[expr.series].right)
        if isinstance(expr, Condition):
            return eval(expr.name, {}, arguments)
        if isinstance(expr, sympy.Symbol):
            found = known[expr.name]
            return mpmath.mpf(found) if isinstance(found, float | int) else found
        if isinstance(expr, sympy.Number):
            return mpmath.mpf(expr.p) / expr.q
        if expr is sympy.pi:
            return mpmath.pi
        if isinstance(expr, When):
            test = expr.args[0]
            if getattr(test, "special", None) is not None:
                return evaluate(expr.args[1 if arguments[test.name] != test.special else 2])
            return evaluate(expr.args[1 if holds(test) else 2])
        if isinstance(expr, Applied):
            return known[expr.args[0].name](float(evaluate(expr.args[1])))
        if isinstance(expr, Passed):
            return sum(step <= time for step in known[expr.args[0].name])
        args = [evaluate(arg) for arg in expr.args]
        functions = {
            sympy.Add: lambda *x: mpmath.fsum(x),
            sympy.Mul: lambda *x: mpmath.fprod(x),
            sympy.Pow: lambda x, y: x**y,
            sympy.Max: max,
            sympy.Min: min,
            sympy.cos: mpmath.cos,
            sympy.log: mpmath.log,
            sympy.exp: mpmath.exp,
            sympy.floor: mpmath.floor,
            Group: lambda x: x,
        }
        return functions[expr.func](*args)

    def holds(test):
        if isinstance(test, sympy.And):
            return all(map(holds, test.args))
        if isinstance(test, sympy.Or):
            return any(map(holds, test.args))
        if isinstance(test, sympy.Not):
            return not holds(test.args[0])
        if getattr(test, "special", None) is not None:
            return arguments[test.name] != test.special
        if isinstance(test, sympy.Symbol):
            return bool(eval(test.name, {}, arguments))
        left, right = map(evaluate, test.args)
        return {"Lt": left < right, "Le": left <= right, "Gt": left > right, "Ge": left >= right}[
            {"StrictLessThan": "Lt", "LessThan": "Le", "StrictGreaterThan": "Gt"}.get(
                type(test).__name__, "Ge"
            )
        ]

    return evaluate(spec.by_series[output].right)


OPTIONS = {
    "OneCycleLR": [{}, {"anneal_strategy": "linear"}, {"three_phase": True}, {"pct_start": 1.0}],
    "CyclicLR": [
        {},
        {"mode": "triangular2", "step_size_down": 7},
        {"mode": "exp_range", "gamma": 0.97},
        {"scale_fn": lambda n: 1 / n},
        {"scale_fn": lambda n: 0.9**n, "scale_mode": "iterations"},
    ],
    "CosineAnnealingWarmRestarts": [{}, {"T_mult": 1}, {"T_mult": 3}],
    "WarmupStableDecayLR": [{}, {"decay": "cosine"}, {"decay": "sqrt"}, {"warmup_steps": 0}],
}
CASES = [(spec, options) for spec in SCHEDULES for options in OPTIONS.get(spec.name, [{}])]


@pytest.mark.parametrize(
    ("spec", "options"), CASES, ids=[f"{s.name}-{i}" for i, (s, _) in enumerate(CASES)]
)
def test_the_emitted_functions_compute_the_equations(spec, options):
    compiled = CompiledSchedule(spec)
    arguments = example(spec, options)
    start = 0.75
    if compiled.start is not None:
        own = {name: arguments[name] for name in compiled.start.reads}
        start = callable_of(compiled.start, base=False)(**own)
        assert start == pytest.approx(float(exact(spec, value, 0, start, arguments)))
    for output, function in ((value, compiled.value), (momentum, compiled.momentum)):
        if function is None:
            continue
        own = {name: arguments[name] for name in function.reads}
        for time in (0, 1, 7, 14, 15, 16, 29, 30, 31, 39, 40, 50, 80, 98):
            found = callable_of(function)(time, start, **own)
            expected = exact(spec, output, time, start, arguments)
            # A dozen operations on numbers up to 1, each with a relative error of 2^-53.
            assert math.isclose(found, float(expected), rel_tol=2e-14, abs_tol=2e-15), time


@pytest.mark.parametrize("spec", SCHEDULES, ids=lambda spec: spec.name)
def test_emitted_classes_say_what_they_compute(spec):
    from lucidgen.optim import lr_scheduler

    made = getattr(lr_scheduler, spec.name)
    for line in CompiledSchedule(spec).equations:
        assert line in made.__doc__
    for argument in spec.parameters:
        assert f"    {argument.name} : " in made.__doc__
    assert f"{spec.name}(optimizer, {spec.example})" in " ".join(made.__doc__.split())
    assert "_{t}_{" not in made.__doc__


def test_one_file_may_hold_optimizers_and_schedules(tmp_path):
    path = tmp_path / "both.py"
    path.write_text(
        START
        + textwrap.dedent("""
        from lucidgen.spec import OptimizerSpec, grad, w
        from lucidgen.spec import t as n
        lr = hyper("lr", 1e-3, at_least=0)
        Plain = OptimizerSpec("Plain", arguments=(lr,), equations=(
            Eq(w[n], w[n - 1] - lr * grad[n]),))
        Slow = Schedule("Slow", arguments=(gamma,), equations=(Eq(value[t], base * gamma**t),))
        """)
    )
    file = load(path)
    assert [spec.name for spec in file.specs] == ["Plain"]
    assert [spec.name for spec in file.schedules] == ["Slow"]


def test_nan_is_kept_and_what_defaults_and_constraints_call_is_imported(tmp_path):
    """Python's max(0, nan) is 0, and its copysign knows no nan."""
    path = tmp_path / "kept.py"
    path.write_text(
        START
        + textwrap.dedent("""
        f, steps = function("f"), whole("steps")
        last = whole("last", None, otherwise=Max(steps, 7))
        Kept = Schedule("Kept", arguments=(f, steps, last),
            equations=(Eq(value[t], base * Max(0, Min(1, f(t))) + sign(f(t)) * t / last),),
            requires=((Min(steps, 3) > 1, "steps are few"),))
        """)
    )
    (spec,) = load(path).schedules
    computed = callable_of(CompiledSchedule(spec).value)
    assert math.isnan(computed(1, 0.5, f=lambda t: math.nan, last=4))
    assert [computed(1, 0.5, f=lambda t, x=x: x, last=4) for x in (-9, 0, 2)] == [-0.25, 0, 0.75]
    assert example(spec, {"f": abs, "steps": 2})["last"] == 7
    needed = needs([CompiledSchedule(spec)])
    assert needed["ieee"] == ["maximum", "minimum", "sign"]
    f, _, last = spec.arguments
    bare = dataclasses.replace(spec, equations=(Eq(value[t], base * f(t) / last),))
    assert needs([CompiledSchedule(bare)])["ieee"] == ["maximum", "minimum"]


# Mistakes: source, the line (from the first after START), words of message, equation and remedy.
WRONG = {
    "no value": (
        """
        S = Schedule("S", arguments=(), equations=())
        """,
        1,
        ("S has no equation for value[t]", "Eq(value[t], base * ...)"),
    ),
    "a t of optimizers on the left": (
        """
        from lucidgen.spec import t
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], base * gamma),))
        """,
        2,
        ("is that of optimizers, which begins with 1", "from lucidgen.spec.schedule import t"),
    ),
    "a random number": (
        """
        from lucidgen.spec import uniform
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], base * gamma * uniform()),))
        """,
        2,
        ("uniform() draws a number for each element", "lr * uniform()"),
    ),
    "a loss": (
        """
        from lucidgen.spec import loss
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], base * gamma * loss),))
        """,
        2,
        ("the loss is known in the step of an optimizer", "in the equations of the optimizer"),
    ),
    "a number of a parameter's shape": (
        """
        from lucidgen.spec import rows
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], base * gamma * rows),))
        """,
        2,
        ("rows is of a parameter, and a schedule knows none", "in the equations of the optimizer"),
    ),
    "a t of optimizers on the right": (
        """
        from lucidgen.spec import t as n
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], base * gamma**n),))
        """,
        2,
        ("this t is that of optimizers", "from lucidgen.spec.schedule import t"),
    ),
    "a memory": (
        """
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], gamma * value[t - 1]),))
        """,
        1,
        ("value[t - 1] is not a value at t", "A schedule has no memory"),
    ),
    "an undefined series": (
        """
        x, y = series("x"), series("y")
        S = Schedule("S", arguments=(gamma,), equations=(
            Eq(x[t], gamma**t), Eq(value[t], base * y[t] * x[t])))
        """,
        3,
        ("no equation defines y[t]", "correct the name"),
    ),
    "a cycle": (
        """
        x, y = series("x"), series("y")
        S = Schedule("S", arguments=(gamma,), equations=(
            Eq(x[t], y[t] * gamma), Eq(y[t], x[t]), Eq(value[t], base * y[t])))
        """,
        3,
        ("a cycle: x[t] -> y[t] -> x[t]",),
    ),
    "an argument that is not listed": (
        """
        S = Schedule("S", arguments=(), equations=(Eq(value[t], base * gamma**t),))
        """,
        1,
        ("gamma is not among the arguments", "whole(...)"),
    ),
    "an argument that is not used": (
        """
        power = hyper("power", 1.0)
        S = Schedule("S", arguments=(gamma, power), equations=(Eq(value[t], base * gamma**t),))
        """,
        1,
        ("no equation of S uses power",),
    ),
    "a float": (
        """
        S = Schedule("S", arguments=(), equations=(Eq(value[t], base * 0.5**t),))
        """,
        1,
        ("the float 0.5 in an equation is not exact", "Rational(1, 2)"),
    ),
    "a reduction": (
        """
        S = Schedule("S", arguments=(), equations=(Eq(value[t], base * norm(t)),))
        """,
        1,
        ("no target can compute Norm", "cos, floor"),
    ),
    "a value that is not affine in its base": (
        """
        S = Schedule("S", arguments=(), equations=(Eq(value[t], base**2 / (1 + t)),))
        """,
        1,
        ("value[t] is not affine in base", "chainable=False"),
    ),
    "a value without its base": (
        """
        S = Schedule("S", arguments=(gamma,), equations=(Eq(value[t], gamma**t),))
        """,
        1,
        ("value[t] does not read base itself", "chainable=False"),
    ),
    "a start that moves": (
        """
        S = Schedule("S", arguments=(gamma,), chainable=False,
            equations=(Eq(base, gamma**t), Eq(value[t], base)))
        """,
        2,
        ("the start depends on t",),
    ),
    "a momentum that nobody asks for": (
        """
        S = Schedule("S", arguments=(gamma,), equations=(
            Eq(value[t], base * gamma**t), Eq(momentum[t], gamma**t)))
        """,
        2,
        ("momentum[t] is written only where the caller asks for it", "cycle_momentum"),
    ),
    "a taken name": (
        """
        hyper_ = hyper("hyper", 1.0)
        S = Schedule("S", arguments=(hyper_,), equations=(Eq(value[t], base * hyper_**t),))
        """,
        1,
        ("the name 'hyper' is taken by the compiler",),
    ),
    "a taken class": (
        """
        SequentialLR = Schedule("SequentialLR", arguments=(gamma,), equations=(
            Eq(value[t], base * gamma**t),))
        """,
        1,
        ("the class name 'SequentialLR' is taken",),
    ),
    "a required argument after others": (
        """
        n = whole("n", at_least=1)
        S = Schedule("S", arguments=(gamma, n), equations=(Eq(value[t], base * gamma**(t / n)),))
        """,
        1,
        ("n has no default, but follows arguments that have one", "keyword_only"),
    ),
    "a default that is no whole number": (
        """
        n = whole("n", 0, at_least=1)
        S = Schedule("S", arguments=(n,), equations=(Eq(value[t], base / (t + n)),))
        """,
        1,
        ("the default of n is 0", ">= 1"),
    ),
    "a word that is no choice": (
        """
        mode = choice("mode", "fast", "slow")
        S = Schedule("S", arguments=(mode,), equations=(
            Eq(value[t], base * when(mode["fsat"], 1, 2)),))
        """,
        3,
        ("mode is never 'fsat' (did you mean 'fast'?)",),
    ),
    "an example that lacks something": (
        """
        n = whole("n", at_least=1)
        S = Schedule("S", arguments=(n,), example="m=3",
            equations=(Eq(value[t], base / (t + n)),))
        """,
        2,
        ("the example gives m, which is no argument",),
    ),
    "an example out of range": (
        """
        n = whole("n", at_least=1)
        S = Schedule("S", arguments=(n,), example="n=0",
            equations=(Eq(value[t], base / (t + n)),))
        """,
        2,
        ("the example gives n=0", "Give a whole number (>= 1)."),
    ),
    "a choice as a number": (
        """
        mode = choice("mode", "fast", "slow")
        S = Schedule("S", arguments=(mode,), equations=(Eq(value[t], base * mode["fast"]),))
        """,
        2,
        ("is used as a number", "when("),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_answered_with_place_and_remedy(name, tmp_path):
    source, line, words = WRONG[name]
    path = tmp_path / "made.py"
    path.write_text(START + textwrap.dedent(source).strip() + "\n")
    with pytest.raises(SpecError) as caught:
        load(path)
    problems = caught.value.problems
    text = "\n".join(map(str, problems))
    for word in words:
        assert word in text
    lines = [p.location.line - FIRST + 1 for p in problems]
    assert line in lines, text


def test_a_start_and_symbols_belong_to_schedules():
    assert base.name == "base"
    assert t.is_nonnegative
    assert not t.is_positive
