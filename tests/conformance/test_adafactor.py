"""Adafactor does what other libraries' do: recorded trajectories, and saved runs resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from adafactor_cases import CASES, folded, repeated
from cases import CHECKPOINTS, PARAMETERS, RESUME_AT, Case, fingerprint, starts
from compare import CAPTURED, FLOAT32, FLOAT64
from recording import Recording, State
from replay import assert_same, made_gradients, mlx32, numpy32, numpy64, resume, run, saved_dict

import lucidgen.optim

VERSIONS = {"torch": "2.13.0", "keras": "3.15.1", "mlx": "0.32.4"}
RECORDINGS = {library: Recording(f"adafactor_{library}") for library in VERSIONS}
EVERY = [(library, case) for library, cases in CASES.items() for case in cases]
# Other libraries than torch know no missing gradients.
PRESENT = [index for index, p in enumerate(PARAMETERS) if not p.missing]
ALL = list(range(len(PARAMETERS)))


def which(library: str) -> list[int]:
    return ALL if library == "torch" else PRESENT


def as_recorded(found: Iterator[tuple[int, list[State]]]) -> Iterator[tuple[int, list[State]]]:
    """A run whose states are repeated over the elements, as the recording has them."""
    return ((step, list(map(repeated, states))) for step, states in found)


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


@pytest.mark.parametrize(
    ("library", "name"), [(library, next(iter(CASES[library]))) for library in CASES]
)
def test_trees_of_mlx_in_a_captured_step(library: str, name: str) -> None:
    case = CASES[library][name]
    ours = captured(case, PRESENT, library)
    assert_same(ours, RECORDINGS[library], case, CAPTURED, PRESENT)


def captured(case: Case, of: Sequence[int], dialect: str) -> Iterator[tuple[int, list[State]]]:
    """A run as a training step that mx.compile captures whole."""
    params = {str(i): mlx32(starts()[i]) for i in of}
    optimizer = lucidgen.optim.Adafactor(**case.arguments, dialect=dialect)
    optimizer.init(params)

    def step(params: Any, grads: Any) -> Any:
        return optimizer.apply_gradients(grads, params)

    step = mx.compile(step, inputs=optimizer.state, outputs=optimizer.state)
    for number, grads in enumerate(made_gradients(mlx32), start=1):
        if "lr" in case.schedule().get(number, {}):
            optimizer.learning_rate = case.schedule()[number]["lr"]
        params = step(params, {str(i): grads[i] for i in of})
        if number in CHECKPOINTS:
            held = optimizer.state_dict()["state"]
            yield (
                number,
                [
                    repeated(
                        {
                            "w": np.array(params[str(i)]),
                            **{k: np.array(v) for k, v in state.items()},
                        }
                    )
                    for i, state in zip(of, held.values(), strict=True)
                ],
            )
