"""What ends a command of lucidgen: a failure or wrong usage, said in one message.

Owns the two exceptions that the command line turns into an exit code. What is wrong with a spec is
`spec.errors.SpecError`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class Failure(Exception):
    """Something that was asked for cannot be done."""


class WrongUsage(Exception):
    """Something was asked for that does not exist or makes no sense."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, whatever the case of letters, or nothing.

    >>> nearest("adma", ["Adam", "SGD"])
    " (did you mean 'Adam'?)"
    """
    by_lower = {k.lower(): k for k in sorted(known, reverse=True)}
    close = get_close_matches(name.lower(), sorted(by_lower), n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
