"""A new elementwise function is one row: with it alone, everything from spec to kernel has it.

`atan` is a row of the table; `asinh` becomes one here, and is none afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mpmath
import numpy as np
import pytest
import sympy

import lucidgen.spec
from lucidgen.ir.lower import lower
from lucidgen.operations import EVERYWHERE, HEADS, OPERATIONS, Operation, add, bounds, usual
from lucidgen.operations.reals import REALS
from lucidgen.package.documentation import equation_block
from lucidgen.passes import optimize
from lucidgen.spec import Eq, OptimizerSpec, Schedule, grad, hyper, series, w
from lucidgen.spec import schedule as schedules
from lucidgen.spec.check import check
from lucidgen.spec.errors import SpecError
from lucidgen.targets.common.plain import equation_lines
from lucidgen.targets.schedule import schedule_function
from lucidgen.verify.emitted import build
from lucidgen.verify.equivalence import distance, run, source_of, values
from lucidgen.verify.gpu.check import check as check_kernels
from lucidgen.verify.gpu.subjects import subjects
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.replay import Run, replay
from lucidgen.verify.setting import Setting

ASINH = Operation(
    name="asinh",
    head=sympy.asinh,
    written="asinh",
    meaning=REALS.asinh,
    bound=bounds.growing(REALS.asinh),
    where=EVERYWHERE,
    texts=usual(
        "asinh",
        host="arcsinh",
        numpy="np.arcsinh",
        mlx="mx.arcsinh",
        latex=r"\operatorname{{arsinh}}\left({0}\right)",
    ),
)


@dataclass(frozen=True)
class Function:
    """A function of the language, with what is expected of it."""

    name: str
    exact: Callable[[Any], Any]
    latex: str
    library: str

    def __call__(self, x: Any) -> Any:
        return getattr(lucidgen.spec, self.name)(x)


@pytest.fixture(params=["atan", "asinh"])
def function(request: pytest.FixtureRequest) -> Iterator[Function]:
    if request.param == "atan":
        yield Function("atan", mpmath.atan, r"\arctan", "arctan")
        return
    add(ASINH)
    try:
        yield Function("asinh", mpmath.asinh, r"\operatorname{arsinh}", "arcsinh")
    finally:
        del OPERATIONS["asinh"], HEADS[sympy.asinh]


@pytest.fixture
def spec(function: Function) -> OptimizerSpec:
    """The function on elements, on scalars of the host, and on what only t changes."""
    lr, rate = hyper("lr", 0.25, at_least=0), hyper("rate", 0.75)
    m, s = series("m"), series("s")
    t = lucidgen.spec.t
    return OptimizerSpec(
        "Bent",
        arguments=(lr, rate),
        equations=(
            Eq(s[t], function(rate * t)),
            Eq(m[t], m[t - 1] / 2 + function(grad[t])),
            Eq(w[t], w[t - 1] - lr * s[t] * function(3 * m[t])),
        ),
    )


GRADS = [np.array([0.5, -2.0, 1e-3, 40.0]), np.array([-1.0, 0.25, 0.0, 3.0])]
START = np.array([1.0, -1.0, 0.5, 0.0])


def by_hand(function: Function) -> list[float]:
    """The same in mpmath, without anything of the compiler."""
    with mpmath.workdps(40):
        found = []
        for i, start in enumerate(START):
            m, x = mpmath.mpf(0), mpmath.mpf(float(start))
            for t, grads in enumerate(GRADS, start=1):
                m = m / 2 + function.exact(mpmath.mpf(float(grads[i])))
                x -= mpmath.mpf(0.25) * function.exact(mpmath.mpf(0.75) * t) * function.exact(3 * m)
            found.append(x)
    return found


def test_the_oracle_computes_it(spec: OptimizerSpec, function: Function) -> None:
    path = Trajectory(Setting(spec), START)
    for grads in GRADS:
        path.step(grads)
    for found, wanted in zip(path.w, by_hand(function), strict=True):
        assert abs(found - wanted) < 1e-30 * abs(wanted)


def test_every_machine_computes_it_within_the_bound(
    spec: OptimizerSpec, tmp_path: Path, function: Function
) -> None:
    """NumPy, compiled loops and MLX, against the oracle and the running error bound."""
    check(spec)
    cls = build([spec], tmp_path).Bent
    program = optimize(lower(spec))
    for dtype, machines in ((np.float64, ("numpy",)), (np.float32, ("numpy", "cpp", "mlx"))):
        grads = [g.astype(dtype) for g in GRADS]
        steps = Run(cls, Setting(spec), program, START.astype(dtype), grads, {})
        findings = replay(steps, machines)
        assert {f.machine for f in findings} == set(machines)
        for finding in findings:
            assert len(finding.comparison.ratios) == 4, str(finding)
            assert finding.comparison.worst <= 1, str(finding)
    last = replay_on_numpy(cls)
    assert last == pytest.approx([float(x) for x in by_hand(function)], rel=1e-15)


def replay_on_numpy(cls: Any) -> list[float]:
    parameter = lucidgen.Parameter(START.copy())
    optimizer = cls([parameter])
    for grads in GRADS:
        parameter.grad = grads
        optimizer.step()
    return list(parameter.data)


def test_a_step_that_is_captured_whole_computes_it(
    spec: OptimizerSpec, tmp_path: Path, function: Function
) -> None:
    """There t and the learning rate are arrays of the graph."""
    optimizer = build([spec], tmp_path).Bent(lr=0.25)
    weights = {"x": mx.array(START.astype(np.float32))}
    optimizer.init(weights)

    def step(weights: Any, grads: Any) -> Any:
        return optimizer.apply_gradients(grads, weights)

    state = [optimizer.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    for grads in GRADS:
        weights = compiled(weights, {"x": mx.array(grads.astype(np.float32))})
    assert weights["x"].tolist() == pytest.approx([float(x) for x in by_hand(function)], rel=1e-5)


def first(settings: list[Setting]) -> list[Setting]:
    return settings[:1]


@pytest.mark.parametrize("language", ["metal", "cuda"])
def test_kernels_compute_it(spec: OptimizerSpec, tmp_path: Path, language: str) -> None:
    """The texts for MLX and the complete ones, run on this machine."""
    found = list(subjects([spec], tmp_path, language))
    assert len(found) == 1
    (report,) = check_kernels(found, sizes=(7,), steps=(1, 2), types=(mx.float32,), among=first)
    assert [str(finding) for finding in report.findings] == []
    assert report.passed


def test_the_texts_say_it(spec: OptimizerSpec, tmp_path: Path, function: Function) -> None:
    package = Path(build([spec], tmp_path).__path__[0])
    texts = "\n".join(
        path.read_text() for path in package.rglob("*") if path.suffix in (".py", ".cpp", ".h")
    )
    name, library = function.name, function.library
    for said in (f"np.{library}(", f"mx.{library}(", f"std::{name}(", f"metal::precise::{name}("):
        assert said in texts
    assert f"import {library}" in texts


def test_emitted_python_gives_the_equations_back(
    spec: OptimizerSpec, tmp_path: Path, function: Function
) -> None:
    rule = build([spec], tmp_path).Bent.rules[spec.reading]
    known = {"lr": 0.25, "rate": 0.75, "t": 3, "w": 2.0, "m": -1.5, "grad": 0.5}
    known |= {"grad_factor": 1, "grad_bound": 1}
    point = {name: REALS.mpf(value) for name, value in known.items()}
    given: dict[str, Any] = {name: sympy.Symbol(name, real=True) for name in point}
    given["scale_grad"] = False
    scalars, _ = run(source_of(rule.scalars), given, point)
    _, boxes = run(source_of(rule.numpy), given | scalars, point, writes=frozenset({"w", "m"}))
    path = Trajectory(Setting(spec), point["w"], {"m": point["m"]}, t=2)
    path.step(0.5)
    found = values({name: boxes[name] for name in ("w", "m")})
    assert distance(found["w"], path.w) < 1e-40
    assert distance(found["m"], path.states["m"]) < 1e-40


def test_documents_write_it(spec: OptimizerSpec, function: Function) -> None:
    (line,) = equation_lines(spec.equations[1], spec)
    assert line == f"m[t] = 0.5 * m[t - 1] + {function.name}(grad[t])"
    assert function.latex in "\n".join(equation_block(spec, spec.equations))


def test_schedules_have_it(function: Function) -> None:
    t, value, base = schedules.t, schedules.value, schedules.base
    made = Schedule("Bending", arguments=(), equations=(Eq(value[t], base / (1 + function(t))),))
    made_function = schedule_function(made, value)
    assert made_function.calls == {function.name}
    assert made_function.lines == (f"return base / ({function.name}(t) + 1)",)


def test_its_names_are_taken_and_messages_list_it(function: Function) -> None:
    assert function.name in lucidgen.spec.functions.names(EVERYWHERE)
    t = lucidgen.spec.t
    taken = hyper(function.library, 1.0)
    with pytest.raises(SpecError, match="is taken by the compiler"):
        check(OptimizerSpec("A", (taken,), (Eq(w[t], w[t - 1] - taken * grad[t]),)))
    with pytest.raises(SpecError, match=rf"The language has .*tanh, .*{function.name}"):
        check(OptimizerSpec("A", (), (Eq(w[t], w[t - 1] - sympy.gamma(grad[t])),)))


def test_without_its_row_nothing_has_it() -> None:
    assert not hasattr(lucidgen.spec, "asinh")
    t = lucidgen.spec.t
    with pytest.raises(SpecError, match="no target can compute asinh"):
        check(OptimizerSpec("A", (), (Eq(w[t], w[t - 1] - sympy.asinh(grad[t])),)))
