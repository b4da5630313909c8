"""The emitted rules that the tests of CUDA kernels share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from readings import subjects_of

from lucidgen.verify.gpu.subjects import Subject


@pytest.fixture(scope="session")
def emitted() -> Callable[[str], list[Subject]]:
    """Gives the rules of a built-in spec file by its name, as they are committed."""

    return partial(subjects_of, "cuda")
