"""The optimizers that torch lacks do what optax's do, where optax has them."""

from __future__ import annotations

import pytest
from cases import fingerprint
from compare import FLOAT64
from more_cases import OPTAX, OPTAX_CASES
from recording import Recording
from replay import assert_same, numpy64, run

LIBRARY = Recording("more_optax")


def test_recorded_from_these_cases() -> None:
    assert LIBRARY.about == {
        "library": "optax",
        "version": "0.2.8",
        "cases": fingerprint(OPTAX_CASES),
    }
    assert sorted(LIBRARY.cases) == sorted(OPTAX_CASES)


@pytest.mark.parametrize("name", OPTAX_CASES)
def test_numpy_float64(name: str) -> None:
    case = OPTAX_CASES[name]
    ours = run(case, numpy64, dialect=OPTAX[case.optimizer])
    # Our count of steps is one of optax's, which are no state here.
    assert_same(ours, LIBRARY, case, FLOAT64, ignored=("step",))
