"""The cost model counts what the emitted code does: operations, arrays read, arrays written.

Every reading and every static choice, in NumPy by arrays that note what is done with them, and in
C++ by a type of numbers that does.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lucidgen import optim
from lucidgen.commands.cost import Cost, cost
from lucidgen.ir.lower import lower
from lucidgen.package.catalog import catalog
from lucidgen.runtime.backends.loops import compiler
from lucidgen.runtime.rules.rule import names_of
from lucidgen.spec import OptimizerSpec
from lucidgen.verify.emitted import settings
from lucidgen.verify.oracle import Setting

READINGS = [
    pytest.param(main, spec, id=f"{main.name}-{name}")
    for main in (entry.main for entry in catalog(None).entries)
    for name, spec in main.readings.items()
]

#: NumPy's names of operations, where the model has others.
NAMES = {
    "multiply": "mul",
    "square": "mul",
    "divide": "div",
    "negative": "neg",
    "absolute": "abs",
    "subtract": "sub",
    "power": "pow",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "equal": "eq",
    "not_equal": "ne",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
}


class Noted(np.ndarray):
    """An array that notes what is done with it; one with a name is the parameter's or a state."""

    name = ""
    done: Counter[str]
    read: set[str]
    written: set[str]

    def note(self, inputs: Any, outputs: Any) -> None:
        named = {a.name for a in inputs if isinstance(a, Noted) and a.name}
        self.read |= named - self.written
        self.written |= {a.name for a in outputs if a.name}

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **_: Any
    ) -> Any:
        assert method == "__call__"
        self.done[NAMES.get(ufunc.__name__, ufunc.__name__)] += 1
        self.note(inputs, out)
        return out[0] if out else self.unnamed()

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.copyto:
            return self.note(args[1:], args[:1])
        self.note(args, ())
        if function is np.where:
            self.done["where"] += 1
            return self.unnamed()
        assert function in (np.linalg.norm, np.mean), function
        return 0.5

    def unnamed(self) -> Noted:
        found = np.ones(1).view(Noted)
        found.done, found.read, found.written = self.done, self.read, self.written
        return found

    def called(self, name: str) -> Noted:
        found = self.unnamed()
        found.name = name
        return found


def choices(setting: Setting, rule: Any) -> dict[str, bool]:
    """The static choices of a step that is nobody's first."""
    spec = setting.spec
    found = {flag.name: setting.flag(flag) for flag in spec.flags}
    found |= {f"use_{h.name}": setting.is_away(h) for h in spec.hypers if h.special is not None}
    found |= {"scale_grad": setting.maximize, "first_w": False}
    return found | {f"first_{state.name}": False for state in rule.states}


def cases(main: OptimizerSpec, spec: OptimizerSpec) -> Iterator[tuple[Any, dict[str, bool], Cost]]:
    """For each legal setting the rule, all booleans of its step, and what the model counts."""
    rule = getattr(optim, main.name).rules[spec.reading]
    program = lower(spec)
    for setting in settings(spec, main):
        on = choices(setting, rule) | dict.fromkeys(program.conditions, True)
        yield rule, on, cost(program, {name: on[name] for name in program.choices})


@pytest.mark.parametrize(("main", "spec"), READINGS)
def test_the_model_counts_what_the_numpy_step_does(
    main: OptimizerSpec, spec: OptimizerSpec
) -> None:
    for rule, on, counted in cases(main, spec):
        array = np.ones(1).view(Noted)
        array.done, array.read, array.written = Counter(), set(), set()
        given: dict[str, Any] = dict.fromkeys(names_of(rule.numpy), 0.5) | on
        given |= {name: array.called(name) for name in ("w", "grad")}
        given |= {state.name: array.called(state.name) for state in rule.arrays}
        given["scratch"] = tuple(array.unnamed() for _ in range(rule.scratch))
        rule.numpy(**{name: given[name] for name in names_of(rule.numpy)})
        # A select may be a copy where a condition holds, or where it does not.
        selects = Counter({"where": 1000, "not": 1000})
        assert array.done - selects == Counter(counted.operations) - selects, on
        assert array.read == set(counted.reads), on
        assert array.written == set(counted.writes), on


def test_the_model_counts_what_the_loops_in_cpp_do(tmp_path: Path) -> None:
    lines, exact, expected = [], [], []
    for reading in READINGS:
        for rule, on, counted in cases(*reading.values):
            if "cpp" in rule.targets:
                values = [int(on[name]) for name in names_of(rule.numpy) if name in on]
                listed = ", ".join(map(str, values))
                lines.append(f"{{ const int on[] = {{{listed}}}; run<{rule.name}_rule>(on); }}")
                # A select is C++'s operator: nothing can count it, and it leaves one side out.
                exact.append("where" not in counted.operations)
                done = Counter(counted.operations) + Counter(counted.once)
                done -= Counter({"where": 1000})
                # It loads w even if nothing uses it; compilers then do not.
                read = len({*counted.reads, "w"})
                expected.append(done + Counter(read=read, write=len(counted.writes)))
    sources = Path(optim.__file__).parent / "_cpp"
    program = tmp_path / "counting.cpp"
    includes = ["counting.h", *sorted(path.name for path in sources.glob("*.cpp"))]
    main = "using namespace lucidgen;\nint main() {\n" + "\n".join(lines) + "\n}\n"
    program.write_text("".join(f'#include "{name}"\n' for name in includes) + main)
    folders = [f"-I{sources}", f"-I{Path(__file__).parents[1] / 'native'}"]
    options = ["-std=c++17", "-O0", *folders, str(program), "-o", str(tmp_path / "counting")]
    command = [*compiler.compiler(), *options]
    subprocess.run(command, check=True, timeout=300)
    done = subprocess.run([tmp_path / "counting"], capture_output=True, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert len(found) == len(expected) > 100
    for line, words, whole, wanted in zip(lines, found, exact, expected, strict=True):
        done = Counter(dict(zip(words[::2], map(int, words[1::2]), strict=True)))
        assert done == wanted if whole else done <= wanted, line
