"""The optimizers that torch lacks do what pytorch_optimizer's do: its trajectories, its states."""

from __future__ import annotations

from typing import Any

import pytest
from cases import PARAMETERS, RESUME_AT, Case, fingerprint
from compare import FLOAT64, Tolerance
from more_cases import MORE_CASES, PYTORCH_OPTIMIZER
from recording import Recording
from replay import assert_same, mlx32, numpy32, numpy64, resume, run, saved_dict
from sampling import a_few, one_of_each
from tables import claimed

import lucidgen.optim

LIBRARY = Recording("pytorch_optimizer")
# The library counts steps in its groups, the optimizers whose equations lack t do not at all.
NOT_A_STATE = ("step",)

# The worst case of ``compare``, 4 T u, and no average: ADOPT's second moment hardly changes, so its
# roundings go one way, and Adan's differences of gradients cancel.
FLOAT32 = Tolerance(1.2e-5, 2.0**-24)


def dialect(case: Case) -> str:
    return PYTORCH_OPTIMIZER[case.optimizer]


A_FEW = a_few(MORE_CASES, dialect)


def test_recorded_from_these_cases() -> None:
    assert LIBRARY.about == {
        "library": "pytorch_optimizer",
        "version": "4.1.0",
        "cases": fingerprint(MORE_CASES),
    }
    assert sorted(LIBRARY.cases) == sorted(MORE_CASES)


@pytest.mark.parametrize("name", MORE_CASES)
def test_numpy_float64(name: str) -> None:
    case = MORE_CASES[name]
    ours = run(case, numpy64, dialect=dialect(case), kernel="numpy")
    bound = claimed(case.optimizer, dialect(case))
    assert_same(ours, LIBRARY, case, bound, ignored=NOT_A_STATE)


@pytest.mark.complete
@pytest.mark.parametrize("name", MORE_CASES)
def test_loops_in_float64(name: str) -> None:
    case = MORE_CASES[name]
    ours = run(case, numpy64, dialect=dialect(case), kernel="cpp")
    assert_same(ours, LIBRARY, case, FLOAT64, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", A_FEW)
def test_numpy_float32(name: str) -> None:
    case = MORE_CASES[name]
    ours = run(case, numpy32, dialect=dialect(case))
    assert_same(ours, LIBRARY, case, FLOAT32, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", A_FEW)
def test_mlx_not_compiled(name: str, uncompiled: None) -> None:
    case = MORE_CASES[name]
    ours = run(case, mlx32, dialect=dialect(case))
    assert_same(ours, LIBRARY, case, FLOAT32, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", one_of_each(MORE_CASES))
def test_goes_on_with_the_states_of_the_library(name: str) -> None:
    case = MORE_CASES[name]
    arguments = {**case.arguments, "dialect": dialect(case)}
    held = LIBRARY.states(name, RESUME_AT)
    resumed = resume(case, numpy64, held, taken_over(case), **arguments)
    assert_same(resumed, LIBRARY, case, FLOAT64, since=RESUME_AT, ignored=NOT_A_STATE)


def taken_over(case: Case) -> dict[str, Any]:
    """What the library saved, but for group entries that we lack; steps counted by parameter."""
    saved = saved_dict(LIBRARY, case)
    for index, state in saved["state"].items():
        missing = PARAMETERS[index].missing
        state["step"] = RESUME_AT - sum(step <= RESUME_AT for step in missing)
    known = {"params", *getattr(lucidgen.optim, case.optimizer).rules[dialect(case)].arguments}
    saved["param_groups"] = [
        {key: value for key, value in group.items() if key in known}
        for group in saved["param_groups"]
    ]
    return saved
