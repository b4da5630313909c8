"""The optimizers of ``element_cases`` do what their libraries do: their paths, their states."""

from __future__ import annotations

import pytest
from cases import PARAMETERS, fingerprint
from compare import Tolerance
from element_cases import DIALECTS, ELEMENT_CASES, KERAS_CASES, SINGLE
from recording import Recording
from replay import as_recorded, assert_same, mlx32, numpy32, numpy64, run
from tables import claimed

LIBRARY, KERAS = Recording("elements"), Recording("more_keras")
# What the library keeps in its groups, by our keys: counts, and the first learning rate.
NOT_A_STATE = ("step", "initial_lr", "k")

# The worst case of ``compare``, 4 T u, and no average: see test_pytorch_optimizer.
FLOAT32 = Tolerance(1.2e-5, 2.0**-24)


def test_recorded_from_these_cases() -> None:
    assert LIBRARY.about == {
        "library": "pytorch_optimizer",
        "version": "4.1.0",
        "cases": fingerprint(ELEMENT_CASES),
    }
    assert sorted(LIBRARY.cases) == sorted(ELEMENT_CASES)
    keras = {"library": "keras", "version": "3.15.1", "cases": fingerprint(KERAS_CASES)}
    assert KERAS.about == keras


@pytest.mark.parametrize("name", ELEMENT_CASES)
def test_numpy_float64(name: str) -> None:
    case = ELEMENT_CASES[name]
    dialect = DIALECTS[case.optimizer]
    ours = run(case, numpy64, dialect=dialect, kernel="numpy")
    tolerance = claimed(case.optimizer, dialect)
    assert_same(as_recorded(ours), LIBRARY, case, tolerance, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", SINGLE)
def test_numpy_float32(name: str) -> None:
    case = SINGLE[name]
    ours = run(case, numpy32, dialect=DIALECTS[name], kernel="numpy")
    assert_same(as_recorded(ours), LIBRARY, case, FLOAT32, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", SINGLE)
def test_mlx_not_compiled(name: str, uncompiled: None) -> None:
    case = SINGLE[name]
    ours = run(case, mlx32, dialect=DIALECTS[name])
    assert_same(as_recorded(ours), LIBRARY, case, FLOAT32, ignored=NOT_A_STATE)


@pytest.mark.parametrize("name", KERAS_CASES)
def test_ftrl_is_that_of_keras(name: str) -> None:
    case, present = KERAS_CASES[name], [i for i, p in enumerate(PARAMETERS) if not p.missing]
    ours = run(case, numpy64, present, dialect="keras", kernel="numpy")
    assert_same(ours, KERAS, case, claimed("FTRL", "keras"), present, ignored=NOT_A_STATE)
