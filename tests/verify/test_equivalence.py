"""The emitted Python, run on symbols, gives back the equations of the spec.

Every reading, and any two static choices together; the host arithmetic in both its forms and the
steps in NumPy and MLX. Expressions are compared with the oracle at random points, to 40 digits.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from readings import NOT_NEGATIVE, every

from lucidgen import optim
from lucidgen.operations.reals import real
from lucidgen.package.catalog import Entry
from lucidgen.spec import OptimizerSpec
from lucidgen.spec.domains import Domain
from lucidgen.specs.adam import Adam
from lucidgen.specs.nadam import NAdam
from lucidgen.specs.radam import RAdam
from lucidgen.verify.emitted import settings
from lucidgen.verify.equivalence import ReadOnly, source_of
from lucidgen.verify.oracle import Trajectory, spread
from lucidgen.verify.setting import Setting
from lucidgen.verify.symbolic import FORMS, TOLERANCE, SymbolicStep

Among = Callable[[list[Setting]], Sequence[Setting]]


def step_at(
    main: OptimizerSpec, setting: Setting, t: int, created: bool = False, seed: int = 0
) -> SymbolicStep:
    """A step of a reading under a setting from a random point."""
    rng = np.random.default_rng(seed)
    spec = setting.spec
    rule: Any = getattr(optim, main.name).rules[spec.reading]
    away = {h.name: float(rng.uniform(0.3, 0.9)) for h in spec.hypers}
    chosen = {n: v if v == 0 else away[n] for n, v in setting.hypers.items()}
    away |= {"beta2_decay": -0.8} if "beta2_decay" in away else {}
    if any(h.name == "beta2" for h in spec.hypers):
        away["beta2"] = 0.999
    hypers = away | chosen
    setting = replace(setting, hypers=hypers)
    point: dict[str, Any] = {}
    axes = (3,) if setting.shape is None else setting.axes
    shapes = dict.fromkeys(("w", "grad"), axes)
    for state in rule.arrays:
        shapes[state.name] = np.shape(spread(real(0), Domain(state.domain), axes))
    for name, shape in shapes.items():
        point[name] = real(rng.uniform(0.1, 2.0, shape) * rng.choice([-1, 1], shape))
    for name in set(point) & NOT_NEGATIVE:
        point[name] = abs(point[name])
    if "g_avg" in point:  # the mean of squares is larger than the square of the mean
        point["v"] = point["v"] + point["g_avg"] ** 2
    for state in (*rule.scalar_states, *rule.group_states):
        point[state.name] = real(float(rng.uniform(0.2, 0.8)))
    made = {series.name for series in spec.by_moment("first")} if created else set()
    states = {s.name: point[s.name] for s in setting.states() if s.name not in made}
    # Half the gradient is the gradient of half the loss: doubles hold it exactly.
    factor = 0.5 if setting.maximize else 1.0
    return SymbolicStep(rule, Trajectory(setting, point["w"], states, t - 1), point["grad"], factor)


def cases(main: OptimizerSpec, spec: OptimizerSpec, among: Among) -> list[SymbolicStep]:
    created = [False, True] if spec.by_moment("first") else [False]
    return [
        step_at(main, setting, t, first, seed)
        for seed, setting in enumerate(among(list(settings(spec, main))))
        for first in created
        for t in ((1, 2, 9)[seed % 3],)
    ]


@pytest.mark.parametrize("reading", every())
def test_the_emitted_python_computes_the_equations(reading: Entry, among: Among) -> None:
    """The steps in NumPy and MLX, and the captured form; the truth is computed once for all."""
    for case in cases(reading.main, reading.spec, among):
        for form in FORMS:
            assert case.worst(case.computed(form)) < TOLERANCE, (form, case.setting)


def test_both_branches_of_a_host_condition_are_taken() -> None:
    for t, above in ((1, False), (9, True)):
        case = step_at(RAdam, next(settings(RAdam)), t)
        given = case.decided(case.hosted(source_of(case.rule.scalars)))
        assert given["rho_above_5"] is above


def adam() -> tuple[SymbolicStep, str, str]:
    *_, everything = settings(Adam)
    case = step_at(Adam, everything, 3)
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
    case = step_at(NAdam, next(settings(NAdam)), 2)
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
