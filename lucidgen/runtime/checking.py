"""Checks that every room of the runtime makes: numbers, counts, misspelt names, who called.

Owns the sentences of these errors. Does not own what values are legal for whom.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

#: The most characters of a value that a message quotes.
_LONGEST = 200


def shown(value: object) -> str:
    """A value as messages quote it: its beginning and its end, where it is long."""
    try:
        text = repr(value)
    except Exception:  # of somebody else's class, of a number of too many digits, nested too deeply
        return f"<{type(value).__name__}>"
    return shortened(text)


def shortened(text: str) -> str:
    """A text, or its beginning and its end."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} ... {text[-half:]} ({len(text)} characters)"


def listed(names: Iterable[object], most: int = 20) -> str:
    """Names as messages list them: without quotes where they are plain text, and not too many."""
    found = [name if isinstance(name, str) and _is_plain(name) else shown(name) for name in names]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _is_plain(text: str) -> bool:
    return len(text) <= _LONGEST and text.isprintable()


def nearest(name: object, known: Iterable[str]) -> str:
    """What to say about an unknown name: the nearest known one, else all of them."""
    import difflib  # seldom needed, and slow to import

    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {shown(close[0])}?" if close else f"known are {listed(known)}"


def as_bool(value: Any, label: str) -> bool:
    """True or False, and nothing else."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{label} must be True or False, got {shown(value)}")
    return bool(value)


def as_number(value: Any, label: str, may_be_infinite: bool = False) -> float:
    """A Python float from any real number or 0-d array; a bool, a nan or an inf is refused.

    What no float holds, such as ``10**400``, is infinite.
    """
    if not isinstance(value, Real | np.bool_) and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{label} must be a number, got {shown(value)} ({type(value).__name__})")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{label} must be finite, got {shown(value)}") from None
    if not math.isfinite(number) and not (may_be_infinite and math.isinf(number)):
        raise ValueError(f"{label} must be finite, got {number}")
    return number


def as_count(value: Any, label: str, at_least: int = 1) -> int:
    """A whole number, not below ``at_least``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{label} must be a whole number, got {shown(value)}")
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
