"""The emitted rules that the tests of Metal kernels share, and the recorded trajectories."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lucidgen.package.build import spec_paths
from lucidgen.paths import specs_folder
from lucidgen.spec.loader import load
from lucidgen.verify.gpu.subjects import Subject, subjects

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))


@pytest.fixture(scope="session")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Subject]]:
    """Gives the rules of a built-in spec file by its name."""

    @cache
    def made(name: str) -> list[Subject]:
        file = load(next(p for p in spec_paths(specs_folder()) if p.stem == name))
        return list(subjects(file.specs, tmp_path_factory.mktemp(name)))

    return made
