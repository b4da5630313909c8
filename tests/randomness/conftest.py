"""Optimizers that draw random numbers: built from the text of a spec, and imported."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import count
from types import ModuleType

import pytest

from lucidgen.package import render
from lucidgen.package.module import compile_file
from lucidgen.spec.loader import load


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ModuleType]]:
    """Builds a package of one spec file; what was built once stays."""
    folder = tmp_path_factory.mktemp("randomness")
    packages: dict[str, ModuleType] = {}
    numbers = count()
    sys.path.insert(0, str(folder))

    def build(spec: str) -> ModuleType:
        if spec not in packages:
            name = f"randomness_optim_{next(numbers)}"
            path = folder / "mine.py"
            path.write_text(textwrap.dedent(spec))
            for file, text in render.package(
                [render.rendered(compile_file(load(path)))]
            ).files.items():
                target = folder / name / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            importlib.invalidate_caches()
            packages[spec] = importlib.import_module(name)
        return packages[spec]

    yield build
    sys.path.remove(str(folder))
