"""The recording is what the installed lucid-dl 2.9.0 computes here and now.

Lucid runs in a process of its own, so that neither its import nor ours can disturb the other.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cases import CASES, CHECKPOINTS, starts
from compare import FLOAT64, differences
from recording import Recording
from sampling import one_of_each

THEN = Recording("lucid2")
A_FEW = [p.id for p in one_of_each({name: CASES[name] for name in THEN.cases}) if not p.marks]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(A_FEW, id="a sample"),
        pytest.param(THEN.cases, id="all", marks=pytest.mark.complete),
    ],
)
def test_recording_is_what_lucid_computes(names: list[str], tmp_path: Path) -> None:
    script = [str(Path(__file__).parent / "record_lucid2.py"), str(tmp_path)]
    subprocess.run([sys.executable, *script, *names], check=True, capture_output=True)
    now, then = Recording("lucid2", tmp_path), THEN
    assert now.about | {"cases": ""} == then.about | {"cases": ""}
    assert now.cases == names
    begins = starts()[:-1]
    for name in names:
        for step in CHECKPOINTS:
            actual, expected = now.states(name, step)[:-1], then.states(name, step)[:-1]
            assert not differences(actual, expected, begins, step, FLOAT64), CASES[name]
