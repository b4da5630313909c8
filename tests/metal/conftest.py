"""The emitted rules that the tests of Metal kernels share, and the recorded trajectories."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from readings import subjects_of

from lucidgen.verify.gpu.subjects import Subject

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))


@pytest.fixture(scope="session")
def emitted() -> Callable[[str], list[Subject]]:
    """Gives the rules of a built-in spec file by its name, as they are committed."""

    return partial(subjects_of, "metal")
