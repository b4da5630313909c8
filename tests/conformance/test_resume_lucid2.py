"""Ours goes on where the installed lucid-dl 2.9.0 stopped, as that does.

Lucid runs in a process of its own, so that neither its import nor ours can disturb the other.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import RESUME_AT, STEPS
from compare import FLOAT64, differences
from resume_cases import named_gradients

import lucidgen
import lucidgen.optim


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Lucid left, by optimizer."""
    script = Path(__file__).parent / "live_lucid2.py"
    file = tmp_path_factory.mktemp("lucid2") / "runs.pickle"
    subprocess.run([sys.executable, str(script), str(file)], check=True, capture_output=True)
    found: dict[str, Any] = pickle.loads(file.read_bytes())
    return found


CLASSES = (
    *("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax"),
    *("ASGD", "Adagrad", "Adadelta", "RMSprop", "Rprop"),
)


def test_every_optimizer_of_lucid_is_run(stopped: dict[str, Any]) -> None:
    with_dialect = {
        cls.__name__
        for cls in map(lucidgen.optim.__getattr__, lucidgen.optim.__all__)
        if "lucid2" in getattr(cls, "rules", ())
    }
    assert set(stopped) == set(CLASSES) == with_dialect


@pytest.mark.parametrize("name", CLASSES)
def test_goes_on_where_lucid_stopped(name: str, stopped: dict[str, Any]) -> None:
    run = stopped[name]
    parameters = [lucidgen.Parameter(w.copy()) for w in run[RESUME_AT]]
    optimizer = getattr(lucidgen.optim, name)(parameters, dialect="lucid2")
    optimizer.load_state_dict(run["state"])
    for grads in named_gradients()[RESUME_AT:]:
        for parameter, grad in zip(parameters, grads.values(), strict=True):
            parameter.grad = grad
        optimizer.step()
    lines = differences(
        [{"w": parameter.data} for parameter in parameters],
        [{"w": w} for w in run[STEPS]],
        run[RESUME_AT],
        STEPS - RESUME_AT,
        FLOAT64,
    )
    assert not lines, "\n".join(lines)
