"""What is wrong with a spec, said so that its author can mend it.

Owns `Problem` (one finding, with its place and remedy) and `SpecError` (all findings of a file).
It does not find anything itself; `check.py` and `loader.py` do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True, order=True)
class Location:
    """A line of a spec file."""

    file: str
    line: int

    def __str__(self) -> str:
        path = Path(self.file)
        with suppress(ValueError):
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}"


def caller(depth: int = 1) -> Location:
    """The line of the spec file that called the function from which this one is called."""
    frame = sys._getframe(depth + 1)
    return Location(frame.f_code.co_filename, frame.f_lineno)


def top_level() -> Location:
    """The line at the top level of a file that led here, through whatever functions."""
    depth, frame = 0, sys._getframe(1)
    while frame.f_code.co_name != "<module>" and frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    return caller(depth + 1)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: where, in which equation, what, and what to do about it."""

    location: Location
    what: str
    remedy: str
    equation: str = ""

    def __str__(self) -> str:
        equation = f"\n    in  {self.equation}" if self.equation else ""
        return f"{self.location}: {self.what}{equation}\n    {self.remedy}"


class SpecError(Exception):
    """A spec that cannot be compiled; `problems` holds everything that was found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing when no known name is near.

    >>> nearest("m_hta", ["m_hat", "v"])
    " (did you mean 'm_hat'?)"
    """
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
