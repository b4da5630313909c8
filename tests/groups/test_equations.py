"""Steps of whole groups next to their equations: paths, states and numbers of the group."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from group_specs import SPECS

from lucidgen import Parameter, optim
from lucidgen.ir.lower import lower
from lucidgen.operations.bounds import FLOAT32, FLOAT64
from lucidgen.operations.reals import real
from lucidgen.passes import optimize
from lucidgen.spec import OptimizerSpec
from lucidgen.spec.domains import Domain, infer_domains
from lucidgen.specs.dadaptation import DAdaptAdaGrad, DAdaptAdam, DAdaptLion, DAdaptSGD
from lucidgen.specs.dog import DoG, DoWG
from lucidgen.specs.prodigy import Prodigy
from lucidgen.verify.oracle import Group, Trajectory
from lucidgen.verify.rounding import Enclosure, GroupEnclosure, compare
from lucidgen.verify.setting import Setting

BUILT_IN = (Prodigy, DAdaptAdam, DAdaptLion, DAdaptSGD, DAdaptAdaGrad, DoG, DoWG)
SHAPES = ((2, 2), (), (2, 1, 2), (0, 3))
#: In which steps the parameters have no gradient; in the third none has.
MISSING = {0: {1}, 1: {0, 1}, 2: set(), 3: {1}}
NONE, STEPS = 2, 4

CASES = [(spec, np.float64, ("numpy",)) for spec in (*SPECS, *BUILT_IN)]
CASES += [(spec, np.float32, ("numpy", "cpp", "mlx")) for spec in (*SPECS, Prodigy)]


class Run:
    """A class on some machine, over parameters of all shapes."""

    def __init__(self, cls: Any, machine: str, begin: list[np.ndarray]) -> None:
        self.array: Any = mx.array if machine == "mlx" else np.array
        self.parameters = [Parameter(self.array(values)) for values in begin]
        self.optimizer = cls(self.parameters, kernel=machine)

    def step(self, grads: list[np.ndarray | None]) -> None:
        for parameter, grad in zip(self.parameters, grads, strict=True):
            parameter.grad = None if grad is None else self.array(grad)
        self.optimizer.step()


def gradients(dtype: type) -> list[list[np.ndarray | None]]:
    rng = np.random.default_rng(5)
    made = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(STEPS)]
    return [
        [
            None if step == NONE or step in MISSING[i] else np.asarray(g, dtype)
            for i, g in enumerate(row)
        ]
        for step, row in enumerate(made)
    ]


@pytest.mark.parametrize(("spec", "dtype", "machines"), CASES)
def test_a_group_is_what_its_equations_say(
    spec: OptimizerSpec, dtype: type, machines: tuple[str, ...], made: ModuleType
) -> None:
    cls: Any = getattr(made if spec in SPECS else optim, spec.name)
    rng = np.random.default_rng(4)
    begin = [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]
    runs = [Run(cls, m, begin) for m in machines if m != "cpp" or "cpp" in targets(cls, spec)]
    setting, kind = Setting(spec), FLOAT64 if dtype is np.float64 else FLOAT32
    truth = Group([Trajectory(Setting(spec), values) for values in begin])
    program = optimize(lower(spec))
    bounds = GroupEnclosure([Enclosure(Setting(spec), program, kind, v) for v in begin])
    compared = 0
    for step, grads in enumerate(gradients(dtype)):
        exact = [None if g is None else g.astype(np.float64) for g in grads]
        truth.step([None if g is None else real(g) for g in exact])
        bounds.step(exact)
        for run in runs:
            run.step(grads)
            assert run.optimizer.param_groups[0]["group_step"] == truth.t == step + (step < NONE)
            for label, *found in held(run, setting, truth, bounds):
                comparison = compare(*found)
                assert comparison.worst <= 1, (step, label, comparison.worst)
                compared += len(comparison.ratios)
    assert compared >= 40 * len(runs)


def targets(cls: Any, spec: OptimizerSpec) -> Any:
    return cls.rules[spec.reading].targets


def held(
    run: Run, setting: Setting, truth: Group, bounds: GroupEnclosure
) -> Iterator[tuple[str, Any, Any, Any]]:
    """What there is of the group and of each parameter: computed, exact, and within bounds."""
    group, saved = run.optimizer.param_groups[0], run.optimizer.state_dict()["state"]
    domains = infer_domains(setting.spec)
    own = [s for s in setting.states() if domains[s.name] is not Domain.GROUP]
    for series in setting.states():
        if series not in own:
            name = series.name
            yield name, group[series.saved_as], truth.states[name], bounds.states[name]
    for i, parameter in enumerate(run.parameters):
        exact, error = truth.members[i], bounds.members[i]
        yield f"w of {i}", np.array(parameter.data), exact.w, error.w
        for series in own if exact.t else ():
            name, values = series.name, np.array(saved[i][series.saved_as])
            yield f"{name} of {i}", values, exact.states[name], error.states[name]
