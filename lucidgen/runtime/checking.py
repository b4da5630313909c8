"""Checks that every room of the runtime makes: numbers, counts, misspelt names, who called.

Owns the sentences of these errors. Does not own what values are legal for whom.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np


def nearest(name: object, known: Iterable[str]) -> str:
    """What to say about an unknown name: the nearest known one, else all of them."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def as_number(value: Any, label: str) -> float:
    """A Python float from any real number or 0-d array; a bool, a nan or an inf is refused."""
    if not isinstance(value, Real | np.bool_) and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{label} must be a number, got {value!r} ({type(value).__name__})")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{label} must be finite, got {number}")
    return number


def as_count(value: Any, label: str, at_least: int = 1) -> int:
    """A whole number, not below ``at_least``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{label} must be a whole number, got {value!r}")
    if value < at_least:
        raise ValueError(f"{label} must be at least {at_least}, got {value}")
    return int(value)


def warning_level() -> int:
    """The stacklevel, for a warning in the calling function, of who called into this package."""
    package = __package__
    outermost = level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame, level = frame.f_back, level + 1
        if frame.f_globals.get("__name__", "").startswith(package):
            outermost = level
    return outermost + 1
