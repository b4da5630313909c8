"""The recording is what the installed lucid-dl 2.9.0 computes here and now.

Lucid runs in a process of its own, so that neither its import nor ours can disturb the other.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cases import CASES, CHECKPOINTS, starts
from compare import FLOAT64, differences
from recording import Recording


def test_recording_is_what_lucid_computes(tmp_path: Path) -> None:
    script = Path(__file__).parent / "record_lucid2.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    now, then = Recording("lucid2", tmp_path), Recording("lucid2")
    assert now.about == then.about
    assert now.cases == then.cases
    begins = starts()[:-1]
    for name in then.cases:
        for step in CHECKPOINTS:
            actual, expected = now.states(name, step)[:-1], then.states(name, step)[:-1]
            assert not differences(actual, expected, begins, step, FLOAT64), CASES[name]
