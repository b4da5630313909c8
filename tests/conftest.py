"""What every test shares: which files are collected, and how much is tried.

README.md beside this file says which folder holds what. The doctests of lucidgen/ are run; helpers
and recording scripts in tests/ are no modules to test.
The tests in tests/lucid, and those in a world "+lucid", need a real Lucid, which runs on Python
3.12 and later. What is marked `complete` is left to `make test-complete`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from lucidgen.verify.emitted import pairwise
from lucidgen.verify.setting import Setting

# Spec files are read in the tests' own process; tests/package/test_workers.py has the others.
os.environ.setdefault("LUCIDGEN_JOBS", "0")
# Tests start many processes, which share the bytecode of what they import.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Compiled loops are for the tests that ask for them. They are kept from one run to the next.
os.environ.setdefault("LUCIDGEN_KERNEL", "numpy")
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / "build" / "cache")

# Random examples are the same at every run. A failing one is not shrunk, which takes longer than it
# helps; slow ones are no failure on a busy machine.
settings.register_profile(
    "lucidgen",
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("lucidgen")

HAS_LUCID = sys.version_info >= (3, 12)


@pytest.fixture(
    params=[
        pytest.param(pairwise, id="pairwise"),
        pytest.param(list, id="all", marks=pytest.mark.complete),
    ]
)
def among(request: pytest.FixtureRequest) -> Callable[[list[Setting]], Sequence[Setting]]:
    """Takes all legal combinations of static choices to those that a test tries."""
    chosen: Callable[[list[Setting]], Sequence[Setting]] = request.param
    return chosen


@pytest.fixture(scope="session")
def numpy_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the path, in which NumPy is all that is installed."""
    folder = tmp_path_factory.mktemp("numpy")
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    if not HAS_LUCID and Path(__file__).with_name("lucid") in [
        collection_path,
        *collection_path.parents,
    ]:
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if HAS_LUCID:
        return
    needy = [item for item in items if "+lucid" in item.name]
    config.hook.pytest_deselected(items=needy)
    items[:] = [item for item in items if item not in needy]


def pytest_report_header() -> str:
    if HAS_LUCID:
        return "lucid: the tests with the real Lucid are run"
    return "lucid: the tests with the real Lucid are left out, it needs Python 3.12"
