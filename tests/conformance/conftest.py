"""Lets the tests of this folder import their helpers, and leaves the recording scripts alone.

The scripts need libraries that the tests do not: torch, which no test imports, and Lucid 2.9,
which needs Python 3.12.  What runs Lucid itself is collected where it is installed.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import mlx.core as mx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["record_torch.py", "record_lucid2.py"]
if not any(distributions(name="lucid-dl")):
    collect_ignore.append("test_lucid2_live.py")


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """MLX runs every operation as it is written, without compiling kernels: much faster here."""
    mx.disable_compile()
    yield
    mx.enable_compile()
