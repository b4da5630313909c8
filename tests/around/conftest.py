"""Lets the tests of this folder import the recorded trajectories' helpers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """MLX runs every operation as it is written, without compiling kernels: much faster here."""
    mx.disable_compile()
    yield
    mx.enable_compile()
