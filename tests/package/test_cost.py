"""The cost model counts what the emitted code does: operations, arrays read, arrays written.

Every reading and every static choice, in the emitted steps of NumPy and MLX by arrays that note
what is done with them (`counting`), and in C++ by a type of numbers that does.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from counting import Found, Phases, done_by_mlx, done_by_numpy
from readings import covering, different, every, rule_of

from lucidgen import optim
from lucidgen.ir.loops import loops, reductions_apart
from lucidgen.ir.lower import lower
from lucidgen.operations import OPERATIONS
from lucidgen.package.catalog import Entry
from lucidgen.package.cost import REDUCTIONS, Cost, Work, cost
from lucidgen.passes import optimize
from lucidgen.runtime.backends.loops import compiler
from lucidgen.runtime.rules.rule import Rule, names_of
from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    OptimizerSpec,
    column_max,
    column_mean,
    column_norm,
    column_total,
    count,
    flag,
    grad,
    hyper,
    largest,
    mean,
    norm,
    row_max,
    row_mean,
    row_norm,
    row_total,
    series,
    sign,
    sqrt,
    t,
    total,
    w,
    when,
)
from lucidgen.spec.domains import Domain
from lucidgen.spec.loader import load
from lucidgen.verify.emitted import build, settings
from lucidgen.verify.setting import Setting

Among = Callable[[list[Setting]], Sequence[Setting]]


@pytest.fixture(autouse=True, scope="module")
def optimized_once() -> Iterator[None]:
    """Counting under many choices optimizes a program once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lucidgen.package.cost.optimize", cache(optimize))
        yield


lr = hyper("lr", 0.5, at_least=0)
beta = hyper("beta", 0.9, at_least=0, below=1)
eps = hyper("eps", 1e-8, at_least=0)
decay = hyper("decay", 0.0, at_least=0, special=0)
fast = flag("fast", False)
m, v, u, g, s, rows, columns = (
    series(name) for name in ("m", "v", "u", "g", "s", "rows", "columns")
)

PAPERS = load(Path(__file__).parents[1] / "specs" / "papers.py")
FACTORED = next(spec for spec in PAPERS.specs if spec.name == "Factored")

#: Rules that reduce, and what is special about the cost of each.
RULES = {
    "moments in factors, and an update that is clipped by its own size": (
        Eq(rows[t], beta * rows[t - 1] + (1 - beta) * row_mean(grad[t] ** 2 + eps)),
        Eq(columns[t], beta * columns[t - 1] + (1 - beta) * column_mean(grad[t] ** 2 + eps)),
        Eq(u[t], grad[t] / sqrt(rows[t] * columns[t] / mean(rows[t]))),
        Eq(w[t], w[t - 1] - lr * u[t] / Max(1, sqrt(mean(u[t] ** 2)))),
    ),
    "an update that is kept until its norm is known": (
        Eq(m[t], beta * m[t - 1] + (1 - beta) * grad[t]),
        Eq(v[t], beta * v[t - 1] + (1 - beta) * grad[t] ** 2),
        Eq(u[t], m[t] / (sqrt(v[t]) + eps) + decay * w[t - 1]),
        Eq(w[t], w[t - 1] - lr * norm(w[t - 1]) / norm(u[t]) * u[t]),
    ),
    "a subexpression that a reduction shares with the elements": (
        Eq(v[t], beta * v[t - 1] + grad[t] ** 2),
        Eq(w[t], w[t - 1] - lr * sqrt(Abs(grad[t])) * mean(sqrt(Abs(grad[t])) + v[t])),
    ),
    "reductions of scalar multiples": (
        Eq(w[t], w[t - 1] - lr * grad[t] / (1 + norm(lr * grad[t]) + total(beta * w[t - 1]))),
    ),
    "reductions under static choices": (
        Eq(s[t], when(decay, norm(decay * w[t - 1] + grad[t]), lr)),
        Eq(w[t], w[t - 1] - s[t] * when(fast, grad[t] - row_mean(grad[t]), sign(grad[t]))),
    ),
    "a state of the tensor": (
        Eq(s[t], beta * s[t - 1] + (1 - beta) * norm(grad[t]) ** 2),
        Eq(m[t], beta * m[t - 1] + grad[t] / (sqrt(s[t]) + eps)),
        Eq(w[t], w[t - 1] - lr * m[t]),
    ),
    "states that are used before they are renewed": (
        Eq(rows[t], Max(rows[t - 1], row_mean(Abs(grad[t])))),
        Eq(columns[t], beta * columns[t - 1] + column_mean(grad[t])),
        Eq(w[t], w[t - 1] - lr * grad[t] / (1 + rows[t - 1]) - columns[t - 1] * sqrt(rows[t - 1])),
    ),
    "elements of rows and columns alone": (
        Eq(rows[t], rows[t - 1] / 2 + row_mean(grad[t])),
        Eq(columns[t], columns[t - 1] / 2 + column_mean(grad[t])),
        Eq(w[t], w[t - 1] - norm(sqrt(Abs(rows[t] * columns[t])))),
    ),
    "a select among elements in a reduction": (
        Eq(m[t], beta * m[t - 1] + grad[t]),
        Eq(w[t], w[t - 1] - m[t] * mean(when(m[t] * grad[t] > 0, m[t], 0))),
    ),
    "reductions of what reductions gave": (
        Eq(g[t], grad[t] - row_mean(grad[t])),
        Eq(u[t], g[t] - column_mean(g[t])),
        Eq(w[t], w[t - 1] - lr * u[t] / norm(u[t])),
    ),
    "reductions of rows to columns, and of what is left of both": (
        Eq(rows[t], rows[t - 1] / 2 + row_norm(grad[t])),
        Eq(s[t], s[t - 1] + column_total(rows[t]) + row_max(column_max(Abs(grad[t])))),
        Eq(
            w[t],
            w[t - 1] - lr * grad[t] * s[t] / (largest(grad[t]) + row_total(column_norm(grad[t]))),
        ),
    ),
    "a mean over a part": (
        Eq(s[t], total(when(grad[t] > 0, w[t - 1], 0)) / count(grad[t] > 0)),
        Eq(w[t], w[t - 1] - s[t] * grad[t]),
    ),
    "a state that another reduction renews": (
        Eq(m[t], beta * m[t - 1] + grad[t] * norm(grad[t])),
        Eq(w[t], w[t - 1] - m[t - 1] * norm(m[t])),
    ),
}


def without_signs(found: Phases) -> Phases:
    """All but negations: Python reads -a * b as (-a) * b, which costs nothing if a is a number."""
    for work in found.values():
        del work.operations["neg"]
    return found


def assert_counted(rule: Rule, on: Mapping[str, bool], counted: Cost) -> None:
    """The emitted Python does what the model counts."""
    assert done_by_numpy(rule, on) == (by_the_model(rule, counted), counted.calls), on
    found = without_signs(done_by_mlx(rule, on))
    assert found == without_signs(by_the_model(rule, counted)), on


def by_the_model(rule: Rule, counted: Cost) -> Phases:
    """What the model says, with the names of the step's arrays alone."""
    names = {"w", "grad", *(state.name for state in rule.arrays)}

    def known(arrays: tuple[str, ...]) -> Counter[str]:
        return Counter(name if name in names else "" for name in arrays)

    return {
        (number, domain.value): Found(
            known(work.reads), known(work.writes), Counter(work.operations)
        )
        for number, phase in enumerate(counted.phases)
        for domain, work in phase.work.items()
    }


def choices(setting: Setting, rule: Any) -> dict[str, bool]:
    """The static choices of a step that is nobody's first."""
    spec = setting.spec
    found = {flag.name: setting.flag(flag) for flag in spec.flags}
    found |= {f"use_{h.name}": setting.is_away(h) for h in spec.hypers if h.special is not None}
    found |= {"scale_grad": setting.maximize, "first_w": False}
    return found | {f"first_{state.name}": False for state in rule.states}


def cases(
    main: OptimizerSpec, spec: OptimizerSpec, rule: Rule, among: Among
) -> Iterator[tuple[Any, dict[str, bool], Cost]]:
    """For some legal settings the rule, all booleans of its step, and what the model counts."""
    program = lower(spec)
    for setting in among(list(settings(spec, main))):
        on = choices(setting, rule) | dict.fromkeys(program.conditions, True)
        on |= {name: setting.holds(asked) for name, asked in program.shapes}
        yield rule, on, cost(program, {name: on[name] for name in program.choices})


@pytest.mark.parametrize("reading", every())
def test_the_model_counts_what_the_emitted_python_does(reading: Entry, among: Among) -> None:
    for rule, on, counted in cases(reading.main, reading.spec, rule_of(reading), among):
        assert_counted(rule, on, counted)


@pytest.mark.parametrize("name", RULES)
def test_the_model_counts_what_rules_that_reduce_do(name: str, tmp_path: Path) -> None:
    read = set().union(*(equation.right.free_symbols for equation in RULES[name]))
    arguments = tuple(x for x in (lr, beta, eps, decay, fast) if x in read)
    spec = OptimizerSpec("Reducing", arguments, RULES[name])
    cls = build([spec], tmp_path).Reducing
    for rule, on, counted in cases(spec, spec, cls.rules[spec.reading], list):
        assert_counted(rule, on, counted)


def test_every_reduction_of_the_language_has_a_cost() -> None:
    assert {row.name for row in OPERATIONS.values() if row.leaves} == set(REDUCTIONS)


def test_the_roots_of_rows_and_columns_cost_nothing_per_element() -> None:
    counted = cost(lower(FACTORED))
    first, second = (phase.work[Domain.ELEMENT] for phase in counted.phases)
    assert first == Work(("grad",), (), {"mul": 1, "add": 2})
    assert second.operations == {"mul": 3, "sub": 2}
    for domain in (Domain.ROW, Domain.COLUMN):
        assert counted.phases[1].work[domain].operations["sqrt"] == 1
    assert counted.phases[0].reductions == ("row_mean(grad**2)", "column_mean(grad**2)")


COVERING = pytest.mark.parametrize(
    "readings",
    [
        pytest.param(covering("cpp"), id="a sample"),
        pytest.param(different("cpp"), id="all", marks=pytest.mark.complete),
    ],
)


@COVERING
def test_the_model_counts_what_the_loops_in_cpp_do(
    readings: Sequence[Entry], tmp_path: Path
) -> None:
    lines, exact, expected = [], [], []
    readings = [reading for reading in readings if rule_of(reading).elementwise]
    for reading in readings:
        for rule, on, counted in cases(reading.main, reading.spec, rule_of(reading), list):
            lines.append(call("run", rule, on))
            # A select is C++'s operator: nothing can count it, and it leaves one side out.
            exact.append("where" not in counted.operations)
            done = Counter(counted.operations) + Counter(counted.once)
            done -= Counter({"where": 1000})
            done -= Counter(normal=1000, uniform=1000)  # made before the loop
            # It loads w even if nothing uses it; compilers then do not.
            read = len({*counted.reads, "w"})
            expected.append(done + Counter(read=read, write=len(counted.writes)))
    found = counted_by_cpp(readings, lines, tmp_path)
    assert len(found) == len(expected) > 40
    for line, words, whole, wanted in zip(lines, found, exact, expected, strict=True):
        done = Counter(dict(zip(words[::2], map(int, words[1::2]), strict=True)))
        assert done == wanted if whole else done <= wanted, line


@COVERING
def test_loops_with_phases_read_and_write_what_is_said_of_them(
    readings: Sequence[Entry], tmp_path: Path
) -> None:
    """A loop loads what it needs under any choices, of the states that there are under these."""
    lines, expected = [], []
    readings = [reading for reading in readings if not rule_of(reading).elementwise]
    for reading in readings:
        program = optimize(lower(reading.spec))
        arrays = {o.after: o.before for o in program.outputs}
        of_elements = [loop for loop in loops(reductions_apart(program)) if loop.reads]
        for rule, on, _ in cases(reading.main, reading.spec, rule_of(reading), list):
            lines.append(call("run_phases", rule, on))
            chosen = {name: on[name] for name in program.choices}
            missing = {o.before for o in program.outputs if not o.live.holds(chosen)}
            missing |= {drawn.symbol for drawn in program.drawn}  # made before the loop
            wanted = []
            for loop in of_elements:
                stored = {store.before for store in loop.stores} - missing
                read = {arrays.get(symbol, symbol) for symbol in loop.reads} - missing
                wanted += [len(read | stored), len(stored)]
            expected.append(wanted)
    found = counted_by_cpp(readings, lines, tmp_path)
    assert [list(map(int, words)) for words in found] == expected
    assert len(expected) > 10


def call(function: str, rule: Rule, on: Mapping[str, bool]) -> str:
    """A call of a function of `counting.h` for some choices."""
    values = [int(on[name]) for name in names_of(rule.numpy) if name in on]
    listed = ", ".join(map(str, values))
    return f"{{ const int on[] = {{{listed}}}; {function}<{rule.name}_rule>(on); }}"


def counted_by_cpp(
    readings: Sequence[Entry], lines: Sequence[str], folder: Path
) -> list[list[str]]:
    """What calls print, in words, a line for each."""
    sources = Path(optim.__file__).parent / "_cpp"
    program = folder / "counting.cpp"
    includes = ["counting.h", *sorted({f"{reading.file.name}.cpp" for reading in readings})]
    main = "using namespace lucidgen;\nint main() {\n" + "\n".join(lines) + "\n}\n"
    program.write_text("".join(f'#include "{name}"\n' for name in includes) + main)
    folders = [f"-I{sources}", f"-I{Path(__file__).parents[1] / 'native'}"]
    options = ["-std=c++17", "-O0", *folders, str(program), "-o", str(folder / "counting")]
    command = [*compiler.compiler(), *options]
    subprocess.run(command, check=True, timeout=300)
    done = subprocess.run([folder / "counting"], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]
