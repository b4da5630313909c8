"""A package with specs that add up over groups, built once, and parameters to step them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import mlx.core as mx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from group_specs import SPECS, TRANSFORMED

from lucidgen.verify.emitted import build


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The classes of ``group_specs``."""
    return build([*SPECS, *TRANSFORMED], tmp_path_factory.mktemp("groups"))


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Run what MLX would compile: what is computed is asked, not how fast."""
    mx.disable_compile()
    yield
    mx.enable_compile()
