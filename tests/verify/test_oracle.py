"""Every emitted step against the equations of its spec in 50-digit arithmetic.

The classes run on NumPy and MLX through the real runtime; w and every state must lie within the
running error bound of lucidgen/operations/bounds.py, on tame and on hostile numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from readings import CATALOG, NOT_NEGATIVE, every, program_of, sample, served

from lucidgen import optim
from lucidgen.ir.lower import lower
from lucidgen.package.catalog import Entry
from lucidgen.passes import optimize
from lucidgen.spec import Eq, OptimizerSpec, grad, sqrt, t, w
from lucidgen.spec.domains import Domain
from lucidgen.specs.adam import (
    Adam,
    AdamW,
    beta1,
    beta2,
    eps,
    lr,
    m,
    m_hat,
    v,
    v_hat,
    weight_decay,
)
from lucidgen.verify.emitted import pairwise, settings
from lucidgen.verify.oracle import spread
from lucidgen.verify.replay import Finding, Run, replay
from lucidgen.verify.setting import Setting
from lucidgen.verify.steps import TAME

Among = Callable[[list[Setting]], Sequence[Setting]]

BUILT_IN = [entry.main for entry in CATALOG.entries]
LATE = 10**6
# What is made of t is computed in float64 whatever the type of the arrays.
READ_T = [p for p in every() if any(e.right.has(t) for e in p.values[0].spec.equations)]

#: Numbers that step on the edges of float32; float64 has edges of its own.
HOSTILE = {
    np.float32: [0.0, -3e-41, 1e18, -1e-18, 0.1, -1e-45],
    np.float64: [0.0, -3e-310, 1e18, -1e-18, 0.1, -5e-324],
}


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    mx.disable_compile()
    yield
    mx.enable_compile()


def numbers(rng: np.random.Generator, dtype: type, reduced: bool = False) -> np.ndarray:
    """Random numbers of mixed scale, and hostile ones in random order.

    Where a rule reduces, one extreme number would blot out all others.
    """
    tame = rng.standard_normal(2) * 10.0 ** rng.integers(-6 * (not reduced), 3, 2)
    if reduced:
        return np.concatenate([tame, rng.permutation(TAME)]).astype(dtype)
    return np.concatenate([tame.astype(dtype), rng.permutation(np.array(HOSTILE[dtype], dtype))])


def states_of(
    setting: Setting, rng: np.random.Generator, dtype: type, reduced: bool
) -> dict[str, object]:
    """What a late step may find: second moments are not negative, scalars lie between 0 and 1."""
    found: dict[str, object] = {}
    for output in program_of(setting.spec).outputs[1:]:
        name = output.after.name
        if output.domain.value in ("scalar", "tensor"):
            found[name] = float(rng.uniform(0.1, 0.9))
        else:
            array = numbers(rng, dtype, reduced)
            array = np.abs(array) if name in NOT_NEGATIVE else array
            found[name] = array
            if setting.shape is not None:
                axes = setting.shape if output.domain is Domain.ELEMENT else setting.axes
                found[name] = spread(array[0], output.domain, axes).astype(dtype)
    live = {series.name for series in setting.states()}
    return {name: value for name, value in found.items() if name in live}


def findings(
    spec: OptimizerSpec,
    setting: Setting,
    cls: Any,
    dtype: type,
    t: int,
    seed: int = 1,
    machines: Sequence[str] = ("numpy",),
) -> list[Finding]:
    rng = np.random.default_rng(seed)
    reduced = cls.rules[spec.reading].reduces
    start, *grads = (numbers(rng, dtype, reduced) for _ in range(3))
    if setting.shape is not None:
        start, *grads = (np.resize(array, setting.shape) for array in (start, *grads))
    states = states_of(setting, rng, dtype, reduced) if t else {}
    return replay(Run(cls, setting, program_of(spec), start, grads, states, t), machines)


def assert_within_bounds(
    reading: Entry, chosen: Sequence[Setting], dtype: type, machines: Sequence[str], t: int = 0
) -> None:
    cls, compared, excluded = getattr(optim, reading.main.name), 0, 0
    for setting in chosen:
        for finding in findings(reading.spec, setting, cls, dtype, t, machines=machines):
            assert finding.comparison.worst <= 1, f"{setting}: {finding}"
            compared += len(finding.comparison.ratios)
            excluded += finding.comparison.excluded
    assert compared > excluded, "most numbers must have a bound"


@pytest.mark.parametrize("reading", sample())
def test_numpy_steps_stay_within_the_error_bound_whatever_the_static_choices(
    reading: Entry, among: Among
) -> None:
    chosen = among(list(settings(reading.spec, reading.main)))
    assert_within_bounds(reading, chosen, np.float64, ["numpy"])


@pytest.mark.parametrize("reading", READ_T)
def test_a_late_step_stays_within_the_error_bound(reading: Entry) -> None:
    *_, everything_on = settings(reading.spec, reading.main)
    assert_within_bounds(reading, [everything_on], np.float64, ["numpy"], LATE - 1)


@pytest.mark.parametrize("reading", sample())
def test_steps_in_single_precision_stay_within_the_error_bound_on_every_machine(
    reading: Entry, among: Among
) -> None:
    machines = [name for name in ("numpy", "mlx", "cpp") if served(reading, name)]
    chosen = among(list(settings(reading.spec, reading.main)))
    assert_within_bounds(reading, chosen, np.float32, machines)


#: What the median of errors to bounds exceeds. Adalite divides sums by sums of the same terms, many
#: times in a row; the bound takes their errors for independent, and adds what cancels. ApolloDQN's
#: alpha is 1 without an error in the first step, and 1 - beta**t has a bound in every step.
MEDIAN, MEDIANS = 1e-2, {"Adalite": 1e-3, "ApolloDQN": 1e-3}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("reading", sample())
def test_the_error_bound_is_not_far_above_the_errors(reading: Entry, dtype: type) -> None:
    setting, cls = next(settings(reading.spec, reading.main)), getattr(optim, reading.main.name)
    ratios = [
        ratio
        for seed in range(3)
        for finding in findings(reading.spec, setting, cls, dtype, 0, seed)
        for ratio in finding.comparison.ratios
        if ratio
    ]
    assert np.median(ratios) > MEDIANS.get(reading.main.name, MEDIAN)


@pytest.mark.parametrize("name", ["AggMo", "RMSprop", "SGD"])
def test_any_two_choices_meet_in_the_pairwise_sample_as_they_do_in_all(name: str) -> None:
    every = list(settings(next(spec for spec in BUILT_IN if spec.name == name)))
    sample = pairwise(every)
    assert len(sample) < len(every)
    assert meetings(sample) == meetings(every)


def meetings(some: Sequence[Setting]) -> set[object]:
    rows = [[*s.hypers.values(), *s.flags.values(), s.maximize, s.grad_bound] for s in some]
    return {pair for row in rows for pair in combinations(enumerate(row), 2)}


def update(m_hat: object, v_hat: object) -> Eq:
    return Eq(w[t], w[t - 1] - lr * m_hat / (sqrt(v_hat) + eps))


MUTANTS = {
    "eps inside the root": (Eq(w[t], w[t - 1] - lr * m_hat[t] / sqrt(v_hat[t] + eps)),),
    "betas swapped": (
        Eq(m[t], beta2 * m[t - 1] + (1 - beta2) * grad[t]),
        Eq(v[t], beta1 * v[t - 1] + (1 - beta1) * grad[t] ** 2),
    ),
    "no correction of m": (update(m[t], v_hat[t]),),
    "no correction of v": (update(m_hat[t], v[t]),),
    "corrected with the step before": (Eq(m_hat[t], m[t] / (1 - beta1 ** (t + 1))),),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_spec_violates_the_error_bound(name: str, dtype: type) -> None:
    mutant = Adam.variant("Adam", reading="torch", replace=MUTANTS[name])
    found = findings(mutant, Setting(mutant, {"lr": 0.1}), optim.Adam, dtype, 0)
    assert max(finding.comparison.worst for finding in found) > 10


def test_a_relative_change_of_1e_10_violates_the_bound_of_float64() -> None:
    mutant = Adam.variant(
        "Adam", reading="torch", replace=(Eq(m_hat[t], m[t] / (1 - beta1**t) * (1 + eps / 100)),)
    )
    found = findings(mutant, Setting(mutant, {"lr": 0.1}), optim.Adam, np.float64, 0)
    assert max(finding.comparison.worst for finding in found) > 10


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_wrong_sign_of_the_decay_violates_the_error_bound(sign: int) -> None:
    decayed = (1 + sign * lr * weight_decay) * w[t - 1]
    mutant = AdamW.variant(
        "AdamW",
        reading="torch",
        replace=(Eq(w[t], decayed - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),),
    )
    found = findings(mutant, Setting(mutant, {"lr": 0.1}), optim.AdamW, np.float32, 0)
    assert (max(finding.comparison.worst for finding in found) > 10) is (sign > 0)


def test_an_intermediate_overflow_is_excluded_and_counted() -> None:
    big = np.array([1e30, 1.0], np.float32)
    run = Run(optim.Adam, Setting(Adam), optimize(lower(Adam)), big, [big], {})
    found = {(f.machine, f.name): f.comparison for f in replay(run)}
    assert found["numpy", "v"].excluded == 1
    assert found["numpy", "m"].excluded == 0
    assert found["mlx", "w"].excluded == 1
