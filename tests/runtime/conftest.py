"""Puts the hand-written optimizers, laid out like the compiler's output, on the path."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lucidgen.runtime import Parameter


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Run mx.compile'd functions eagerly: most tests ask what is computed, not how fast."""
    import mlx.core as mx

    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def make(rng: np.random.Generator):
    """make((3, 4), (), dtype=...) gives parameters with gradients."""

    def build(*shapes, dtype=np.float64):
        params = []
        for shape in shapes:
            p = Parameter(np.asarray(rng.standard_normal(shape), dtype=dtype))
            p.grad = np.asarray(rng.standard_normal(shape), dtype=dtype)
            params.append(p)
        return params

    return build
