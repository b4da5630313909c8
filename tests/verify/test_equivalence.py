"""The emitted Python, run on symbols, gives back the equations of the spec.

Every reading and every static choice; the host arithmetic in both its forms and the steps in NumPy
and MLX. Expressions are compared with the oracle at random points, to 40 digits.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy

from lucidgen import optim
from lucidgen.operations.reals import multiply, real
from lucidgen.package.catalog import catalog
from lucidgen.spec import OptimizerSpec
from lucidgen.specs.adam import Adam
from lucidgen.specs.nadam import NAdam
from lucidgen.specs.radam import RAdam
from lucidgen.verify.emitted import settings
from lucidgen.verify.equivalence import ReadOnly, distance, run, source_of, values
from lucidgen.verify.oracle import Setting, Trajectory

READINGS = [
    pytest.param(main, spec, id=f"{main.name}-{name}")
    for main in (entry.main for entry in catalog(None).entries)
    for name, spec in main.readings.items()
]
TOLERANCE = 1e-40


def symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, real=True)


@dataclass
class Case:
    """One step: a reading under a setting at a random point."""

    main: OptimizerSpec
    setting: Setting
    t: int
    created: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        spec = self.setting.spec
        self.rule: Any = getattr(optim, self.main.name).rules[spec.reading]
        away = {h.name: float(rng.uniform(0.3, 0.9)) for h in spec.hypers}
        chosen = {n: v if v == 0 else away[n] for n, v in self.setting.hypers.items()}
        if any(h.name == "beta2" for h in spec.hypers):
            away["beta2"] = 0.999
        was = self.setting
        self.setting = Setting(spec, away | chosen, was.flags, was.maximize, was.grad_bound)
        # Half the gradient is the gradient of half the loss: doubles hold it exactly.
        self.factor = 0.5 if self.setting.maximize else 1.0
        self.live = [s.name for s in self.setting.states()]
        self.point: dict[str, Any] = {n: real(v) for n, v in self.setting.hypers.items()}
        self.point["t"] = real(self.t)
        self.point["grad_factor"] = real(self.factor * self.setting.grad_factor)
        self.point["grad_bound"] = real(self.setting.grad_bound)
        for name in ("w", "grad", *(state.name for state in self.rule.arrays)):
            self.point[name] = real(rng.uniform(0.1, 2.0, 3) * rng.choice([-1, 1], 3))
        for name in set(self.point) & {"v", "v_max", "n", "s", "u"}:
            self.point[name] = abs(self.point[name])
        if "g_avg" in self.point:  # the mean of squares is larger than the square of the mean
            self.point["v"] = self.point["v"] + self.point["g_avg"] ** 2
        for state in self.rule.scalar_states:
            self.point[state.name] = real(float(rng.uniform(0.2, 0.8)))

    def truth(self) -> dict[str, Any]:
        made = {series.name for series in self.setting.spec.by_moment("first")}
        old = [name for name in self.live if not (self.created and name in made)]
        states = {name: self.point[name] for name in old}
        path = Trajectory(self.setting, np.array(self.point["w"]), states, self.t - 1)
        path.step(multiply(self.factor, self.point["grad"]))
        return {"w": path.w} | {name: path.states[name] for name in self.live}

    def choices(self) -> dict[str, bool]:
        spec = self.setting.spec
        found = {"scale_grad": self.setting.scales_grad, "first_w": self.t == 1}
        found |= {flag.name: self.setting.flag(flag) for flag in spec.flags}
        found |= {
            f"use_{h.name}": self.setting.is_away(h) for h in spec.hypers if h.special is not None
        }
        return found | {f"first_{s.name}": self.created for s in self.rule.states}

    def arguments(self) -> dict[str, Any]:
        return {name: symbol(name) for name in self.point} | self.choices()

    def hosted(self, source: str | None) -> dict[str, Any]:
        """The arguments of a step, host arithmetic included."""
        if source is None:
            return self.arguments()
        returned, _ = run(source, self.arguments(), self.point)
        return self.arguments() | returned

    def with_decisions(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Conditions on the host as truth values, and None for states that do not exist."""
        dead = {state.name: None for state in self.rule.arrays if state.name not in self.live}
        decided = {
            name: bool(box)
            for name, box in arguments.items()
            if isinstance(getattr(box, "expr", None), sympy.logic.boolalg.Boolean)
            and not box.expr.is_Symbol
        }
        return arguments | decided | dead

    def numpy(self, host: str | None, step: str) -> dict[str, Any]:
        given = self.hosted(host)
        arguments = self.with_decisions(given)
        _, boxes = run(step, arguments, self.point, writes=frozenset({"w", *self.live}))
        return values({name: boxes[name] for name in ("w", *self.live) if name in boxes}) | (
            self.scalars(given)
        )

    def mlx(self, host: str | None, step: str, decide: bool = True) -> dict[str, Any]:
        given = self.hosted(host)
        arguments = self.with_decisions(given) if decide else given
        returned, _ = run(step, arguments, self.point)
        names = ("w", *(state.name for state in self.rule.arrays))
        found = values(dict(zip(names, returned, strict=True)))
        return {n: v for n, v in found.items() if n in ("w", *self.live)} | self.scalars(given)

    def scalars(self, given: dict[str, Any]) -> dict[str, Any]:
        names = {s.name for s in self.rule.scalar_states} & set(self.live)
        return values({name: given[name] for name in names})

    def worst(self, found: dict[str, Any]) -> float:
        truth = self.truth()
        assert found.keys() == truth.keys()
        return max(distance(found[name], truth[name]) for name in truth)


def text(function: Callable[..., Any] | None) -> str | None:
    return None if function is None else source_of(function)


def cases(main: OptimizerSpec, spec: OptimizerSpec) -> list[Case]:
    created = [False, True] if spec.by_moment("first") else [False]
    return [
        Case(main, setting, t, first, seed)
        for seed, setting in enumerate(settings(spec, main))
        for first in created
        for t in ((1, 2, 9)[seed % 3],)
    ]


@pytest.mark.parametrize(("main", "spec"), READINGS)
def test_the_numpy_step_computes_the_equations(main: OptimizerSpec, spec: OptimizerSpec) -> None:
    for case in cases(main, spec):
        found = case.numpy(text(case.rule.scalars), source_of(case.rule.numpy))
        assert case.worst(found) < TOLERANCE, case.setting


@pytest.mark.parametrize(("main", "spec"), READINGS)
def test_the_mlx_step_computes_the_equations(main: OptimizerSpec, spec: OptimizerSpec) -> None:
    for case in cases(main, spec):
        module = importlib.import_module(case.rule.targets["mlx"])
        step = source_of(getattr(module, f"{case.rule.name}_step"))
        found = case.mlx(text(case.rule.scalars), step)
        assert case.worst(found) < TOLERANCE, case.setting


@pytest.mark.parametrize(("main", "spec"), READINGS)
def test_the_captured_form_computes_the_equations(main: OptimizerSpec, spec: OptimizerSpec) -> None:
    for case in cases(main, spec):
        module = importlib.import_module(case.rule.targets["mlx"])
        host = getattr(module, f"{case.rule.name}_scalars", None)
        captured = getattr(module, f"{case.rule.name}_captured_step", None)
        step = captured or getattr(module, f"{case.rule.name}_step")
        found = case.mlx(text(host), source_of(step), decide=captured is None)
        assert case.worst(found) < TOLERANCE, case.setting


def test_both_branches_of_a_host_condition_are_taken() -> None:
    for t, above in ((1, False), (9, True)):
        case = Case(RAdam, next(settings(RAdam)), t)
        given = case.with_decisions(case.hosted(source_of(case.rule.scalars)))
        assert given["rho_above_5"] is above


def adam() -> tuple[Case, str, str]:
    *_, everything = settings(Adam)
    case = Case(Adam, everything, 3)
    return case, source_of(case.rule.scalars), source_of(case.rule.numpy)


MUTATIONS = {
    "operands swapped": ("np.divide(work2, work3", "np.divide(work3, work2"),
    "a line dropped": ("    np.sqrt(v_max_or_v, out=work3)\n", ""),
    "minus for plus": ("np.subtract(w, work2, out=w)", "np.add(w, work2, out=w)"),
    "another buffer": ("np.square(g, out=work2)", "np.square(g, out=work3)"),
    "another scalar": ("np.multiply(beta2, v, out=v)", "np.multiply(beta1, v, out=v)"),
    "the gradient not scaled": (
        "np.multiply(grad_factor, grad, out=work1)",
        "np.copyto(work1, grad)",
    ),
    "a gradient's bound of one side": (
        "np.maximum(work1, -grad_bound",
        "np.maximum(work1, -9 * grad_bound",
    ),
    "a wrong branch": ("v_max_or_v = v_max", "v_max_or_v = v"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_step_is_found(name: str) -> None:
    case, host, step = adam()
    old, new = MUTATIONS[name]
    assert old in step
    assert case.worst(case.numpy(host, step)) < TOLERANCE
    assert case.worst(case.numpy(host, step.replace(old, new, 1))) > 1e-6


@pytest.mark.parametrize(
    ("old", "new"),
    [("1 - beta2**t", "1 - beta2**(t + 1)"), ("1 - beta1", "1 + beta1"), ("lr *", "2 * lr *")],
)
def test_a_mutated_host_function_is_found(old: str, new: str) -> None:
    case, host, step = adam()
    assert old in host
    assert case.worst(case.numpy(host.replace(old, new, 1), step)) > 1e-6


def test_a_changed_constant_is_found() -> None:
    case = Case(NAdam, next(settings(NAdam)), 2)
    host, step = source_of(case.rule.scalars), source_of(case.rule.numpy)
    assert case.worst(case.numpy(host, step)) < TOLERANCE
    assert case.worst(case.numpy(host.replace("0.96", "0.9600000000000001"), step)) > 1e-30


def test_a_write_to_the_gradient_is_found() -> None:
    case, host, step = adam()
    with pytest.raises(ReadOnly, match="grad"):
        case.numpy(
            host,
            step.replace(
                "np.minimum(work1, grad_bound, out=work1)",
                "np.minimum(work1, grad_bound, out=grad)",
            ),
        )
