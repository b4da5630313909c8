"""Lets the tests of this folder import their helpers, and those of `lucidgen build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "package"))

from building import own_cache, place

__all__ = ["own_cache", "place"]
