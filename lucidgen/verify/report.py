"""What a check showed, ready to be printed.

Owns the form. Each kind of check says in its own words what it showed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """The check of one rule in one target.

    `shown` are lines on what was compared, and `wrong` what is not as it should be. A check that
    showed nothing has not passed.
    """

    title: str
    shown: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether something was shown and nothing is wrong."""
        return bool(self.shown) and not self.wrong
