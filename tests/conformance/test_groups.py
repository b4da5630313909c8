"""The optimizers of ``group_cases`` do what their libraries do: paths, states, group's numbers."""

from __future__ import annotations

import pytest
from cases import PARAMETERS, Case, fingerprint
from compare import Tolerance
from group_cases import BY_GROUP, DIALECTS, GROUP_CASES, OPTAX_CASES, OPTAX_DIALECTS, SINGLE
from recording import Recording
from replay import assert_same, mlx32, numpy32, numpy64, run
from tables import claimed

LIBRARY, OPTAX = Recording("groups"), Recording("groups_optax")
PRESENT = [i for i, p in enumerate(PARAMETERS) if not p.missing]
# Counts are not kept by all, and kept in groups here.
NOT_A_STATE = ("step", "initial_lr", "k")


def members(case: Case) -> list[int]:
    """The parameters of which a case is recorded."""
    return PRESENT if case.optimizer in BY_GROUP else list(range(len(PARAMETERS)))


# The worst case of ``compare``, 4 T u, and no average: see test_pytorch_optimizer.
FLOAT32 = Tolerance(1.2e-5, 2.0**-24)


def test_recorded_from_these_cases() -> None:
    library = {"library": "pytorch_optimizer", "version": "4.1.0"}
    assert LIBRARY.about == {**library, "cases": fingerprint(GROUP_CASES)}
    assert sorted(LIBRARY.cases) == sorted(GROUP_CASES)
    optax = {"library": "optax", "version": "0.2.8"}
    assert OPTAX.about == {**optax, "cases": fingerprint(OPTAX_CASES)}


@pytest.mark.parametrize("name", GROUP_CASES)
def test_numpy_float64(name: str) -> None:
    case = GROUP_CASES[name]
    dialect = DIALECTS[case.optimizer]
    which, tolerance = members(case), claimed(case.optimizer, dialect)
    ours = run(case, numpy64, which, dialect=dialect, kernel="numpy")
    assert_same(ours, LIBRARY, case, tolerance, which, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", OPTAX_CASES)
def test_those_of_optax(name: str) -> None:
    case = OPTAX_CASES[name]
    dialect = OPTAX_DIALECTS[case.optimizer]
    ours = run(case, numpy64, PRESENT, dialect=dialect, kernel="numpy")
    tolerance = claimed(case.optimizer, dialect)
    assert_same(ours, OPTAX, case, tolerance, PRESENT, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", SINGLE)
def test_numpy_float32(name: str) -> None:
    case, which = SINGLE[name], members(SINGLE[name])
    ours = run(case, numpy32, which, dialect=DIALECTS[name], kernel="numpy")
    assert_same(ours, LIBRARY, case, FLOAT32, which, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", SINGLE)
def test_mlx_not_compiled(name: str, uncompiled: None) -> None:
    case, which = SINGLE[name], members(SINGLE[name])
    ours = run(case, mlx32, which, dialect=DIALECTS[name])
    assert_same(ours, LIBRARY, case, FLOAT32, which, ignored=NOT_A_STATE)
