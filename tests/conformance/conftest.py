"""Lets the tests of this folder import their helpers, and runs Lucid itself where it is installed.

Python 3.11 cannot have Lucid; the recording of what it computes serves everywhere.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import mlx.core as mx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = [] if any(distributions(name="lucid-dl")) else ["test_lucid2_live.py"]


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """MLX runs every operation as it is written, without compiling kernels: much faster here."""
    mx.disable_compile()
    yield
    mx.enable_compile()
