"""The emitted rules that the tests of CUDA kernels share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from lucidgen.package.build import spec_paths
from lucidgen.paths import specs_folder
from lucidgen.spec.loader import load
from lucidgen.verify.gpu.subjects import Subject, subjects


@pytest.fixture(scope="session")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Subject]]:
    """Gives the rules of a built-in spec file by its name."""

    @cache
    def made(name: str) -> list[Subject]:
        file = load(next(p for p in spec_paths(specs_folder()) if p.stem == name))
        return list(subjects(file.specs, tmp_path_factory.mktemp(name), "cuda"))

    return made
