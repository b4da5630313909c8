"""What every test shares: which files are collected.

The doctests of lucidgen/ are run; helpers and recording scripts in tests/ are no modules to test.
The tests in tests/lucid need a real Lucid, which runs on Python 3.12 and later.
"""

import sys
from pathlib import Path

HAS_LUCID = sys.version_info >= (3, 12)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    if not HAS_LUCID and Path(__file__).with_name("lucid") in [
        collection_path,
        *collection_path.parents,
    ]:
        return True
    return None


def pytest_report_header() -> str:
    if HAS_LUCID:
        return "lucid: tests/lucid runs against the real Lucid"
    return "lucid: tests/lucid is left out, Lucid needs Python 3.12"
