"""Adafactor does what other libraries' do: recorded trajectories, and saved runs resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from adafactor_cases import CASES, folded
from cases import CHECKPOINTS, PARAMETERS, RESUME_AT, Case, fingerprint, starts
from compare import CAPTURED, FLOAT32, FLOAT64
from recording import Recording, State, repeated
from replay import (
    as_recorded,
    assert_same,
    made_gradients,
    mlx32,
    numpy32,
    numpy64,
    resume,
    run,
    saved_dict,
)

import lucidgen.optim

VERSIONS = {"torch": "2.13.0", "keras": "3.15.1", "mlx": "0.32.4"}
RECORDINGS = {library: Recording(f"adafactor_{library}") for library in VERSIONS}
EVERY = [(library, case) for library, cases in CASES.items() for case in cases]
# Other libraries than torch know no missing gradients.
PRESENT = [index for index, p in enumerate(PARAMETERS) if not p.missing]
ALL = list(range(len(PARAMETERS)))


def which(library: str) -> list[int]:
    return ALL if library == "torch" else PRESENT


@pytest.mark.parametrize("library", VERSIONS)
def test_it_is_recorded_from_these_cases(library: str) -> None:
    assert RECORDINGS[library].about == {
        "library": library,
        "version": VERSIONS[library],
        "cases": fingerprint(CASES[library]),
    }


@pytest.mark.parametrize(("library", "name"), EVERY)
def test_numpy_float64(library: str, name: str) -> None:
    case, of = CASES[library][name], which(library)
    ours = run(case, numpy64, of, dialect=library)
    assert_same(as_recorded(ours), RECORDINGS[library], case, FLOAT64, of)


@pytest.mark.parametrize("make", [numpy32, mlx32])
@pytest.mark.parametrize(("library", "name"), EVERY)
def test_single_precision(library: str, name: str, make: Any, uncompiled: None) -> None:
    case, of = CASES[library][name], which(library)
    ours = run(case, make, of, dialect=library)
    assert_same(as_recorded(ours), RECORDINGS[library], case, FLOAT32, of)


def saved(library: str, case: Case) -> dict[str, Any]:
    """The state_dict at RESUME_AT, with states in the shapes in which torch keeps them."""
    found = saved_dict(RECORDINGS[library], case)
    for state in found["state"].values():
        state.update({k: folded(k, v) for k, v in state.items() if k != "step"})
    return found


@pytest.mark.parametrize("name", CASES["torch"])
def test_resumes_a_saved_run_of_torch(name: str) -> None:
    case, recording = CASES["torch"][name], RECORDINGS["torch"]
    held = recording.states(name, RESUME_AT)
    resumed = resume(case, numpy64, held, saved("torch", case))
    assert_same(as_recorded(resumed), recording, case, FLOAT64, since=RESUME_AT)


@pytest.mark.parametrize("library", CASES)
def test_trees_of_mlx(library: str, uncompiled: None) -> None:
    case = next(iter(CASES[library].values()))
    assert_same(of_trees(case, PRESENT, library), RECORDINGS[library], case, CAPTURED, PRESENT)


def of_trees(case: Case, of: Sequence[int], dialect: str) -> Iterator[tuple[int, list[State]]]:
    """A run in the idiom of MLX, by the functions of steps that can be captured whole."""
    params: Any = {str(i): mlx32(starts()[i]) for i in of}
    optimizer = lucidgen.optim.Adafactor(**case.arguments, dialect=dialect)
    optimizer.init(params)
    for number, grads in enumerate(made_gradients(mlx32), start=1):
        if "lr" in case.schedule().get(number, {}):
            optimizer.learning_rate = case.schedule()[number]["lr"]
        params = optimizer.apply_gradients({str(i): grads[i] for i in of}, params)
        if number in CHECKPOINTS:
            held = optimizer.state_dict()["state"].values()
            yield (
                number,
                [
                    repeated(
                        {"w": np.array(params[str(i)]), **{k: np.array(v) for k, v in s.items()}}
                    )
                    for i, s in zip(of, held, strict=True)
                ],
            )
