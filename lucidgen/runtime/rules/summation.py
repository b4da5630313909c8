"""In which order long sums are taken: of few terms, and then of these sums.

Owns how many terms are added in a row. A float holds a sum of millions that were added one after
the other to two or three digits only; of sums of sums it holds all but the last. The order follows
from the length alone, and not from the machine or the number of its threads.
"""

from __future__ import annotations

from functools import cache

#: How many terms of a long line are added in a row at most, and how many are worth a call.
MANY, FEW = 128, 16

#: In an array of so few elements a line is added in a row, for calls cost more than additions.
SMALL = 1_024


@cache
def in_a_row(length: int, size: int) -> int:
    """How many terms of a line are added in a row, in an array of some size.

    All of a short line, else as many as divide it, or `MANY` where that would be few.

    >>> in_a_row(1_000, 1_000), in_a_row(1_000, 5_000), in_a_row(100, 5_000), in_a_row(1_021, 5_000)
    (1000, 125, 100, 128)
    """
    if size <= SMALL or length <= MANY:
        return length
    divisors = (n for n in range(MANY, FEW - 1, -1) if length % n == 0)
    return next(divisors, MANY)
