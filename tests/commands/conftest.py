"""A place to work in, away from the caches and packages of others."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import PLAIN


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """A cache and a home of the test's own, and no package of another test's among the modules."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "my_optim":
            del sys.modules[name]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with one spec in ./specs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/plain.py").write_text(PLAIN)
    return tmp_path


@pytest.fixture(scope="session")
def numpy_alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numpy")
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder
