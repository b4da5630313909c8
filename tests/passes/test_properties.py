"""Properties of the compiler, on random specs.

Any legal spec lowers, builds and agrees with the oracle within its running error bound; every pass
preserves meaning; the order of equations does not matter.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program
from lucidgen.ir.signs import Signs
from lucidgen.operations.bounds import FLOAT64
from lucidgen.operations.reals import REALS, real
from lucidgen.passes import optimize, resolve, stages
from lucidgen.passes.capture import capture
from lucidgen.runtime.rules import Rule
from lucidgen.spec import OptimizerSpec, SpecError
from lucidgen.spec.check import check
from lucidgen.verify import programs
from lucidgen.verify.emitted import build
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.random_specs import VALUES, random_spec
from lucidgen.verify.replay import Run, replay
from lucidgen.verify.rounding import Enclosure
from lucidgen.verify.setting import Setting
from lucidgen.verify.symbolic import FORMS, TOLERANCE, SymbolicStep


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where packages are built; they are imported piece by piece, so it stays."""
    return tmp_path_factory.mktemp("packages")


@st.composite
def specs(draw: st.DrawFn) -> OptimizerSpec:
    """A legal spec, made from a seed."""
    seed = draw(st.integers(0, 10**9))
    try:
        spec = random_spec(random.Random(seed).choice)
        check(spec)
        lower(spec)  # finds roots of what a case makes negative
    except (SpecError, ValueError):  # SymPy knows no Max of a constant and norm(0)
        assume(False)
    return spec


@st.composite
def chosen(draw: st.DrawFn, spec: OptimizerSpec) -> Setting:
    hypers = {name: draw(st.sampled_from(values)) for name, values in VALUES.items()}
    flags = {"early": draw(st.booleans()), "late": draw(st.booleans())}
    return Setting(spec, hypers, flags, draw(st.booleans()), shape=(2, 2))


#: Small, but with rows and columns.
SHAPES = ((2, 2), (2, 2), (3, 1), (2, 1, 2))


def arrays(draw: st.DrawFn, shape: tuple[int, ...] = (2, 2)) -> np.ndarray:
    """An array of some shape."""
    numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-6]) | st.floats(-10, 10, width=32)
    return np.array([draw(numbers) for _ in range(math.prod(shape))], np.float32).reshape(shape)


def builds_and_agrees_with_the_oracle(folder: Path, data: st.DataObject) -> None:
    spec = data.draw(specs())
    setting = data.draw(chosen(spec))
    shape = data.draw(st.sampled_from(SHAPES))
    start, *grads = (arrays(data.draw, shape) for _ in range(4))
    program = optimize(lower(spec))
    try:
        cls = build([spec], folder).Random
    except SpecError as error:  # a kernel has a limited number of buffers
        assume("buffers" not in str(error))
        raise
    excluded = compared = 0
    for dtype, machines in ((np.float64, ("numpy",)), (np.float32, ("numpy", "mlx"))):
        run = Run(cls, setting, program, start.astype(dtype), [g.astype(dtype) for g in grads], {})
        for finding in replay(run, machines):
            assert finding.comparison.worst <= 1, str(finding)
            excluded += finding.comparison.excluded
            compared += len(finding.comparison.ratios)
    event("more compared than excluded" if compared > excluded else "mostly excluded")
    on_symbols(cls.rules["own"], setting, grads)


def on_symbols(rule: Rule, setting: Setting, grads: list[np.ndarray]) -> None:
    """Two steps of the emitted Python compute what the equations say, but for rounding."""
    setting = replace(setting, shape=grads[0].shape)
    path = Trajectory(setting, np.resize([0.5, -1.5, 0.25, 2.0], setting.axes))
    for grad in grads[:2]:
        exact = real(grad.astype(np.float64).reshape(setting.axes))
        step = SymbolicStep(rule, path, exact)
        if all(REALS.isfinite(x) for value in step.truth.values() for x in np.ravel(value)):
            for form in FORMS:
                assert step.worst(step.computed(form)) < TOLERANCE, f"{form}: {setting}"
        path.step(exact)


of_data = given(data=st.data())
test_a_legal_spec_builds_and_agrees_with_the_oracle = settings(max_examples=15)(
    of_data(builds_and_agrees_with_the_oracle)
)
test_many_legal_specs_build_and_agree_with_the_oracle = pytest.mark.complete(
    settings(max_examples=200)(of_data(builds_and_agrees_with_the_oracle))
)


def inputs_of(draw: st.DrawFn, program: Program, setting: Setting) -> dict[str, Any]:
    found: dict[str, Any] = {"t": real(draw(st.integers(1, 9)))}
    never_negative = Signs(program).states
    for given_ in program.inputs:
        name = given_.symbol.name
        if given_.kind == "hyper":
            found[name] = real(setting.hypers[name])
        elif given_.kind == "shape":
            found[name] = real(setting.number(given_.symbol))
        elif given_.kind != "step":
            array = real(arrays(draw).astype(np.float64))
            array = abs(array) if given_.symbol in never_negative else array
            parts = {"element": array, "row": array[:, :1], "column": array[:1]}
            found[name] = parts.get(given_.domain.value, array[0, 0])
    return found


def agree(before: dict[str, Any], after: dict[str, Any], why: str) -> None:
    assert before.keys() == after.keys(), why
    for name in before:
        for a, b in np.broadcast(before[name], after[name]):
            if REALS.isfinite(a):  # where it was undefined, a pass may do as it likes
                assert REALS.isfinite(b), f"{why}: {name}"
                assert abs(a - b) <= 1e-30 * (1 + abs(a)), f"{why}: {name}"


@settings(max_examples=30)
@given(st.data())
def test_every_pass_preserves_meaning(data: st.DataObject) -> None:
    spec = data.draw(specs())
    setting = data.draw(chosen(spec))
    program = lower(spec)
    step = Enclosure(setting, program, FLOAT64, np.zeros((2, 2)), {}, data.draw(st.integers(0, 1)))
    step.states |= {s.name: None for s in spec.states if data.draw(st.booleans())}
    on = step.choices(program)
    inputs = inputs_of(data.draw, program, setting)
    expected = programs.run(program, inputs, on)
    agree(expected, programs.run(resolve(program, on_flags(program, on)), inputs, on), "resolve")
    for name, after in stages(program):
        agree(expected, programs.run(after, inputs, on), name)
    agree(expected, programs.run(capture(after).check(), inputs, on), "capture")


def on_flags(program: Program, on: dict[str, bool]) -> dict[str, bool]:
    """The choices that are not computed."""
    known = set(program.choices) - set(program.conditions)
    return {name: value for name, value in on.items() if name in known}


@settings(max_examples=25)
@given(st.data())
def test_the_order_of_equations_does_not_matter(data: st.DataObject) -> None:
    spec = data.draw(specs())
    setting = data.draw(chosen(spec))
    shuffled = tuple(data.draw(st.permutations(spec.equations)))
    other = OptimizerSpec("Random", spec.arguments, shuffled, matrices=spec.matrices)
    programs_ = [lower(spec), lower(other)]
    step = Enclosure(setting, programs_[0], FLOAT64, np.zeros((2, 2)))
    inputs = inputs_of(data.draw, programs_[0], setting)
    one, two = (programs.run(program, inputs, step.choices(program)) for program in programs_)
    agree(one, two, "shuffled")
