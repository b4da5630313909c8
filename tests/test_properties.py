"""Properties of the compiler and the runtime, on random specs and random use.

Any legal spec lowers, builds and agrees with the oracle within its running error bound; every pass
preserves meaning; guards obey the laws of logic; checkpoints restore what they saved.
"""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st

from lucidgen import optim
from lucidgen.ir.guard import Guard
from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program
from lucidgen.passes import optimize, resolve, stages
from lucidgen.passes.capture import capture
from lucidgen.runtime import Parameter
from lucidgen.spec import OptimizerSpec, SpecError
from lucidgen.spec.check import check
from lucidgen.verify import programs
from lucidgen.verify.approximate import FLOAT64
from lucidgen.verify.emitted import build
from lucidgen.verify.exact import REALS, real
from lucidgen.verify.oracle import Setting
from lucidgen.verify.random_specs import VALUES, random_spec
from lucidgen.verify.replay import Run, replay
from lucidgen.verify.rounding import Enclosure


def examples(count: int) -> settings:
    """The same examples at every run. A failing one is named by its seed and is not shrunk, which
    takes longer than it helps; slow ones are no failure on a busy machine."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


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
    except (SpecError, ValueError):  # SymPy knows no Max of a constant and norm(0)
        assume(False)
    return spec


@st.composite
def chosen(draw: st.DrawFn, spec: OptimizerSpec) -> Setting:
    hypers = {name: draw(st.sampled_from(values)) for name, values in VALUES.items()}
    flags = {"early": draw(st.booleans()), "late": draw(st.booleans())}
    return Setting(spec, hypers, flags, draw(st.booleans()))


def arrays(draw: st.DrawFn, size: int) -> np.ndarray:
    numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-6]) | st.floats(-10, 10, width=32)
    return np.array([draw(numbers) for _ in range(size)], np.float32)


def builds_and_agrees_with_the_oracle(folder: Path, data: st.DataObject) -> None:
    spec = data.draw(specs())
    setting = data.draw(chosen(spec))
    start, *grads = (arrays(data.draw, 3) for _ in range(4))
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


of_data = given(data=st.data())
test_a_legal_spec_builds_and_agrees_with_the_oracle = examples(15)(
    of_data(builds_and_agrees_with_the_oracle)
)
test_many_legal_specs_build_and_agree_with_the_oracle = pytest.mark.complete(
    examples(200)(of_data(builds_and_agrees_with_the_oracle))
)


def inputs_of(draw: st.DrawFn, program: Program, setting: Setting) -> dict[str, Any]:
    found: dict[str, Any] = {"t": real(draw(st.integers(1, 9)))}
    for given_ in program.inputs:
        name = given_.symbol.name
        if given_.kind == "hyper":
            found[name] = real(setting.hypers[name])
        elif given_.kind != "step":
            array = real(arrays(draw, 3).astype(np.float64))
            found[name] = array if given_.domain.value == "element" else array[0]
    return found


def agree(before: dict[str, Any], after: dict[str, Any], why: str) -> None:
    assert before.keys() == after.keys(), why
    for name in before:
        for a, b in np.broadcast(before[name], after[name]):
            if REALS.isfinite(a):  # where it was undefined, a pass may do as it likes
                assert REALS.isfinite(b), f"{why}: {name}"
                assert abs(a - b) <= 1e-30 * (1 + abs(a)), f"{why}: {name}"


@examples(30)
@given(st.data())
def test_every_pass_preserves_meaning(data: st.DataObject) -> None:
    spec = data.draw(specs())
    setting = data.draw(chosen(spec))
    program = lower(spec)
    step = Enclosure(setting, program, FLOAT64, np.zeros(1), {}, data.draw(st.integers(0, 1)))
    step.states |= {s.name: None for s in spec.states if data.draw(st.booleans())}
    on = step.choices()
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


@examples(25)
@given(st.data())
def test_the_order_of_equations_does_not_matter(data: st.DataObject) -> None:
    spec = data.draw(specs())
    setting = data.draw(chosen(spec))
    other = OptimizerSpec(
        "Random", spec.arguments, tuple(data.draw(st.permutations(spec.equations)))
    )
    programs_ = [lower(spec), lower(other)]
    step = Enclosure(setting, programs_[0], FLOAT64, np.zeros(1))
    inputs = inputs_of(data.draw, programs_[0], setting)
    one, two = (programs.run(program, inputs, step.choices()) for program in programs_)
    agree(one, two, "shuffled")


CHOICES = ("a", "b", "c")
guards = st.integers(0, 255).map(lambda table: Guard(CHOICES, table))
assignments = st.fixed_dictionaries({name: st.booleans() for name in CHOICES})


@examples(100)
@given(guards, guards, assignments)
def test_guards_obey_the_laws_of_logic(a: Guard, b: Guard, on: dict[str, bool]) -> None:
    assert (a & b).holds(on) is (a.holds(on) and b.holds(on))
    assert (a | b).holds(on) is (a.holds(on) or b.holds(on))
    assert (~a).holds(on) is not a.holds(on)
    assert ~(a & b) == ~a | ~b
    assert a & ~a == ~Guard.always(CHOICES)
    assert a.implies(a | b)
    assert a.excludes(b) is (not a & b)
    for name in CHOICES:
        assert a.given(name, on[name]).holds(on) is a.holds(on)
        assert name not in a.given(name, True).support
    literals = a.literals
    if literals is not None:
        assert a.holds(on) is (bool(a) and all(on[n] is value for n, value in literals))


@examples(100)
@given(guards.filter(bool), assignments)
def test_the_text_of_a_guard_is_the_guard(guard: Guard, on: dict[str, bool]) -> None:
    text = str(guard).replace("always", "True")
    assert eval(text, {}, dict(on)) is guard.holds(on)


CLASSES = st.sampled_from(
    [
        lambda p: optim.SGD(p, momentum=0.9, weight_decay=0.01),
        lambda p: optim.Adam(p, amsgrad=True),
        lambda p: optim.AdamW(p, dialect="paper"),
        lambda p: optim.NAdam(p),
        lambda p: optim.RAdam(p, lr=0.01),
        lambda p: optim.LARS(p),
    ]
)


def named(library: Any, sizes: list[int], seed: int) -> list[tuple[str, Parameter]]:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(size).astype(np.float32) for size in sizes)
    return [(f"p{i}", Parameter(library.array(value))) for i, value in enumerate(values)]


def train(optimizer: Any, pairs: list[tuple[str, Parameter]], library: Any, steps: int) -> None:
    for step in range(steps):
        for name, parameter in pairs:
            rng = np.random.default_rng([step, int(name[1:])])
            grad = rng.standard_normal(parameter.data.shape).astype(np.float32)
            parameter.grad = library.array(grad)
        optimizer.step()


def contents(optimizer: Any, pairs: list[tuple[str, Parameter]]) -> dict[str, Any]:
    found = {}
    for name, parameter in pairs:
        found[name] = np.array(parameter.data).tolist()
        for key, value in optimizer.state[parameter].items():
            found[f"{name}.{key}"] = np.array(value).tolist()
    return found


@examples(30)
@given(CLASSES, st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 3), st.data())
def test_a_checkpoint_restores_the_run_by_name_in_any_order(
    make: Any, sizes: list[int], steps: int, data: st.DataObject
) -> None:
    library = data.draw(st.sampled_from([np, mx]))
    pairs = named(library, sizes, 0)
    optimizer = make(pairs)
    train(optimizer, pairs, library, steps)
    saved = copy.deepcopy(optimizer.state_dict())
    copies = [(name, Parameter(library.array(np.array(p.data)))) for name, p in pairs]
    order = data.draw(st.permutations(copies))
    other = make(order)
    other.load_state_dict(saved)
    assert contents(other, copies) == contents(optimizer, pairs)
    train(optimizer, pairs, library, 2)
    train(other, copies, library, 2)
    assert contents(other, copies) == contents(optimizer, pairs)


def without_a_parameter(saved: dict[str, Any]) -> None:
    saved["param_groups"][0]["params"].pop()


def with_an_unknown_key(saved: dict[str, Any]) -> None:
    next(iter(saved["state"].values()))["bogus"] = np.zeros(1)


def with_a_wrong_shape(saved: dict[str, Any]) -> None:
    entry = next(iter(saved["state"].values()))
    key = next(k for k, value in entry.items() if np.shape(value))
    entry[key] = np.zeros(7)


def without_groups(saved: dict[str, Any]) -> None:
    saved["param_groups"] = []


def with_a_hyper_out_of_range(saved: dict[str, Any]) -> None:
    saved["param_groups"][0]["lr"] = -1.0


@examples(30)
@given(
    CLASSES,
    st.sampled_from(
        [
            without_a_parameter,
            with_an_unknown_key,
            with_a_wrong_shape,
            without_groups,
            with_a_hyper_out_of_range,
        ]
    ),
    st.integers(0, 2),
    st.sampled_from([np, mx]),
)
def test_a_failed_load_changes_nothing(make: Any, spoil: Any, steps: int, library: Any) -> None:
    pairs = named(library, [2, 3], 0)
    source = make(pairs)
    train(source, pairs, library, 1)
    saved = copy.deepcopy(source.state_dict())
    spoil(saved)
    pairs = named(library, [2, 3], 1)
    optimizer = make(pairs)
    train(optimizer, pairs, library, steps)
    before = contents(optimizer, pairs), dict(optimizer.param_groups[0], params=None)
    with pytest.raises((ValueError, KeyError, TypeError)):
        optimizer.load_state_dict(saved)
    assert (contents(optimizer, pairs), dict(optimizer.param_groups[0], params=None)) == before
