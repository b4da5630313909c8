"""What an author can call things: spellings that are one name, and names that are taken."""

import ast
import builtins
import inspect
import keyword
import symtable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.ir.scaled_gradient import BOUND, FACTOR, SCALE_GRAD, SCALED_GRAD
from lucidgen.operations import called_in
from lucidgen.optim import Adam, lr_scheduler
from lucidgen.optim.lr_scheduler import OneCycleLR
from lucidgen.package.catalog import Catalog
from lucidgen.package.render import BY_HAND, RUNTIME_NAMES
from lucidgen.runtime import Options
from lucidgen.runtime.groups.settings import STRUCTURE
from lucidgen.runtime.optimizer import Optimizer
from lucidgen.runtime.schedulers.closed_form import ClosedForm
from lucidgen.spec import (
    Bounds,
    Eq,
    OptimizerSpec,
    Schedule,
    SpecError,
    check,
    check_arguments,
    check_schedule,
    flag,
    grad,
    hyper,
    names,
    schedule,
    series,
    t,
    w,
)
from lucidgen.spec.loader import SpecFile

lr = hyper("lr", 0.1, at_least=0)
GENERATED = Path(__file__).parents[2] / "generated" / "lucid" / "optim"

#: Spellings and what Python makes of them: a ligature, a script letter, a decomposed letter.
SPELLINGS = {"\ufb01t": "fit", "\u2113": "l", "e\u0301": "\u00e9", "\u03d1": "\u03b8"}


def plain(name: str = "Named", arguments: tuple[Any, ...] = (), **fields: Any) -> OptimizerSpec:
    """An optimizer with more arguments than it uses."""
    return OptimizerSpec(name, (lr, *arguments), (Eq(w[t], w[t - 1] - lr * grad[t]),), **fields)


def of_series(*every: str) -> OptimizerSpec:
    spec = plain()
    spec.equations += tuple(Eq(series(name)[t], grad[t]) for name in every)
    return spec


def of_hypers(*every: str) -> OptimizerSpec:
    return plain(arguments=tuple(hyper(name, 1.0) for name in every))


def of_flags(*every: str) -> OptimizerSpec:
    return plain(arguments=tuple(flag(name, False) for name in every))


def of_schedule(*every: str) -> Schedule:
    arguments = tuple(hyper(name, 1.0) for name in every)
    return Schedule("Named", arguments, (Eq(schedule.value[schedule.t], schedule.base),))


def of_series_in_a_schedule(*every: str) -> Schedule:
    made = of_schedule()
    made.equations += tuple(Eq(series(name)[schedule.t], schedule.t) for name in every)
    return made


def refusals(spec: OptimizerSpec | Schedule) -> list[str]:
    """What is wrong with a spec, each with its place and remedy."""
    try:
        (check_schedule if isinstance(spec, Schedule) else check).check(spec)
    except SpecError as error:
        for problem in error.problems:
            assert Path(problem.location.file) == Path(__file__)
            assert problem.location.line > 0
            assert problem.remedy
        return [problem.what for problem in error.problems]
    return []


# Spellings


@pytest.mark.parametrize("written", SPELLINGS)
def test_a_name_is_spelled_as_python_spells_it(written: str) -> None:
    name = SPELLINGS[written]
    pair = hyper(written, (1.0, 2.0), names=(written, "other"))
    assert {series(written).name, series("x", saved_as=written).saved_as} == {name}
    assert {hyper(written, 1.0).name, flag(written, True).name, pair.name} == {name}
    assert [symbol.name for symbol in pair.symbols] == [name, "other"]
    spec = plain(f"A{written}", (hyper(name, 1.0),), reading=written, defaults={written: 2.0})
    assert (spec.name, spec.reading, spec.defaults) == (f"A{name}", name, {name: 2.0})
    assert spec.dialect(f"b{written}").reading == f"b{name}"
    assert spec.variant(f"C{written}").name == f"C{name}"
    arguments = (schedule.whole(written), schedule.points(written), schedule.function(written))
    assert {a.name for a in (*arguments, schedule.choice(written, "a", "b"))} == {name}
    assert Schedule(f"D{written}").name == f"D{name}"


def test_other_names_and_ranges_are_spelled_as_python_spells_them() -> None:
    spec = plain(
        arguments=(hyper("\ufb01", 1.0),),
        also_called=("\u2113etter",),
        bounds={"\ufb01": Bounds(at_most=2.0)},
    )
    assert spec.names == ("Named", "letter")
    assert spec.legal(spec.parameters[1]) == Bounds(at_most=2.0)
    found = Catalog((SpecFile(Path("made.py"), "", (spec,)),), None)
    assert found.find("\u2113etter:own").main is spec


def test_two_spellings_of_one_name_are_an_error_where_they_were_meant_as_two() -> None:
    ligature, letters = series("\ufb01"), series("fi")
    assert ligature == letters
    spec = OptimizerSpec(
        "Twice",
        (lr,),
        (Eq(ligature[t], grad[t]), Eq(letters[t], 2 * grad[t]), Eq(w[t], w[t - 1] - ligature[t])),
    )
    assert any(what.startswith("fi[t] is defined twice") for what in refusals(spec))
    both = plain(arguments=(hyper("\ufb01", 1.0), hyper("fi", 2.0)))
    assert "the argument 'fi' is listed twice" in refusals(both)


# Names that are taken


def everything() -> Iterator[str]:
    """Names that mean something to somebody."""
    lists = (names.STEP, names.OPTIMIZER, names.TIME, names.SCHEDULER, names.BUILTINS)
    classes = (names.OPTIMIZER_CLASSES, names.SCHEDULER_CLASSES)
    called = (called_in("host"), called_in("schedule"))
    odd = ("", "_x", "a-b", "2x", "__class__", *keyword.kwlist, *keyword.softkwlist)
    yield from sorted({*odd}.union(*lists, *classes, *called))


def refused(spec: OptimizerSpec | Schedule) -> set[str]:
    """The names that a spec cannot have. Other rules, which take their time, are not asked."""
    rule: Any = check_schedule.names if isinstance(spec, Schedule) else check_arguments.names
    said = {problem.what for problem in rule(spec)}
    taken = {name for name in everything() if f"the name {name!r} is taken by the compiler" in said}
    return taken | {n for n in everything() if f"{n!r} cannot be a name in generated code" in said}


@pytest.mark.parametrize("make", [of_series, of_hypers, of_flags])
def test_names_of_quantities_are_refused_or_free(make: Any) -> None:
    taken = names.STEP | called_in("host") | (names.OPTIMIZER if make is not of_series else set())
    every = set(everything()) - {"w", "grad"} - ({"update"} if make is of_series else set())
    expected = {name for name in every if name in taken or not names.is_name(name)}
    assert refused(make(*sorted(every))) == expected
    assert {"self", "super", "defaults"} <= expected or make is of_series


@pytest.mark.parametrize("make", [of_schedule, of_series_in_a_schedule])
def test_names_in_schedules_are_refused_or_free(make: Any) -> None:
    taken = names.TIME | called_in("schedule")
    taken |= names.SCHEDULER if make is of_schedule else set()
    every = set(everything()) - {"value", "momentum"}
    expected = {name for name in every if name in taken or not names.is_name(name)}
    assert refused(make(*sorted(every))) == expected


@pytest.mark.parametrize("name", ["len", "list", "float", "Exception", "Options", "class", "_A"])
def test_a_class_has_no_name_of_pythons_or_of_a_packages(name: str) -> None:
    assert any("class" in what and repr(name) in what for what in refusals(plain(name)))
    made = of_schedule("x")
    made.name = name.replace("Options", "Points")
    assert any("class" in what for what in refusals(made))


def test_names_that_the_compiler_makes_are_taken_where_it_makes_them() -> None:
    m, extra = series("m"), hyper("extra", 1.0)

    def spec(name: str, *more: Eq, special: float | None = None) -> list[str]:
        decay, other = hyper("decay", 0.5, special=special), series(name)
        update = Eq(w[t], w[t - 1] - lr * decay * other[t] - m[t])
        return refusals(
            OptimizerSpec(
                "Made",
                (lr, decay),
                (Eq(m[t], m[t - 1] + grad[t]), Eq(other[t], grad[t]), *more, update),
            )
        )

    assert spec("use_decay") == spec("first_m") == spec("new_m") == spec("first_moment") == []
    assert spec("use_decay", special=0) == ["the name 'use_decay' is taken by the compiler"]
    first = Eq(m[1], grad[1])
    assert spec("first_m", first) == ["the name 'first_m' is taken by the compiler"]
    # What schedulers note in a group, and what MLX's users call the rate.
    for name in ("initial_lr", "learning_rate"):
        assert spec(name) == []
        (what,) = (x for x in refusals(of_hypers(name)) if "taken" in x)
        assert repr(name) in what
    rate = hyper("learning_rate", 0.1, role="rate")
    update = Eq(w[t], w[t - 1] - rate * extra * grad[t])
    assert refusals(OptimizerSpec("Named", (rate, extra), (update,))) == []


# The lists, against what they are lists of


def test_the_builtins_are_pythons() -> None:
    assert set(names.BUILTINS) == set(dir(builtins))


def test_what_steps_are_given_besides_arguments_is_taken() -> None:
    settings = Adam([Parameter(np.zeros(1))]).param_groups[0].settings
    rule = settings.rule
    given = {*settings.values, *settings.choices, *rule.choices, "t", "w", "grad", "scratch"}
    given -= {*rule.arguments, *(s for h in rule.hypers for s in h.symbols), "use_weight_decay"}
    assert {str(s) for s in (BOUND, FACTOR, SCALED_GRAD)} | {SCALE_GRAD} | given <= names.STEP


def test_what_constructors_and_groups_have_of_their_own_is_taken() -> None:
    signature = inspect.signature(Optimizer.__init__).parameters.values()
    base = {p.name for p in signature if p.kind is not p.VAR_KEYWORD}
    optimizer = Adam([("x", Parameter(np.zeros(1)))])
    group = set(optimizer.state_dict()["param_groups"][0]) - set(Adam.rules["torch"].arguments)
    assert base | set(Options.__annotations__) | set(STRUCTURE) | group <= names.OPTIMIZER
    for path in sorted(GENERATED.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                parameters = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
                read = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)}
                assert read - parameters <= names.OPTIMIZER


def test_what_schedulers_have_of_their_own_is_taken() -> None:
    scheduler = OneCycleLR(Adam([Parameter(np.zeros(1))]), 0.1, total_steps=3)
    arguments = {argument.name for argument in scheduler.arguments}
    owned = {*dir(ClosedForm), *vars(scheduler)} - arguments - names.TIME
    signature = set(inspect.signature(ClosedForm.__init__).parameters)
    assert {n for n in owned | signature if not n.startswith("_")} <= names.SCHEDULER


@pytest.mark.parametrize("folder", [".", "lr_scheduler"])
def test_what_modules_bind_and_read_is_no_name_of_a_class(folder: str) -> None:
    inside = folder == "lr_scheduler"
    taken = names.SCHEDULER_CLASSES | called_in("schedule") if inside else names.OPTIMIZER_CLASSES
    package = lr_scheduler if inside else optim
    listed = {*package.__all__} - {*BY_HAND, *RUNTIME_NAMES}
    assert {*BY_HAND} <= taken if inside else {*RUNTIME_NAMES, "lr_scheduler"} <= taken
    for path in sorted((GENERATED / folder).glob("*.py")):
        own = listed | {"__all__", "_MODULES", "_MODULE_OF", "__getattr__", "__dir__"}
        for name in global_names(path.read_text()) - own:
            free = names.is_name(name) and names.is_class_name(name, taken)
            assert not free, f"{path.name} has {name}"


def global_names(text: str) -> set[str]:
    """The names that a module binds or reads, functions of it included."""
    inside = [n.target for n in ast.walk(ast.parse(text)) if isinstance(n, ast.comprehension)]
    passing = {n.id for target in inside for n in ast.walk(target) if isinstance(n, ast.Name)}
    found, work = set(), [symtable.symtable(text, "module", "exec")]
    while work:
        table = work.pop()
        is_module = table.get_type() == "module"
        found |= {s.get_name() for s in table.get_symbols() if is_module or s.is_global()}
        work += table.get_children()
    return found - passing
