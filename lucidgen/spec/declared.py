"""What kind of value each part of a declaration takes.

Owns the TypeErrors of `hyper`, `series`, `flag`, `OptimizerSpec` and `Schedule`, which the loader
says at the author's own line. Whether a value of the right kind is legal is for the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy


def refuse_single(name: str, value: Any) -> None:
    """Refuse what is no tuple, such as an equation in parentheses without a comma."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"`{name}` must be a tuple; for a single entry write (x,) with a comma")


def refuse_no_text(**given: Any) -> None:
    """Refuse what is no string, by the argument's name."""
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(
                f'`{name}` must be text in quotes, not {value!r}; leave it out or write ""'
            )


def refuse_no_truth(**given: Any) -> None:
    """Refuse what is neither True nor False, by the argument's name."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise TypeError(f"`{name}` must be True or False, not {value!r}")


def refuse_no_mapping(**given: Any) -> None:
    """Refuse what maps no names to values, by the argument's name."""
    for name, value in given.items():
        if not isinstance(value, Mapping):
            raise TypeError(f"`{name}` must be a dict, not {value!r}")
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"`{name}` has the key {key!r}; its keys are text in quotes")


def refuse_no_requirement(requirement: Any) -> None:
    """Refuse what is no condition with its message."""
    match requirement:
        case (bool() | sympy.Basic(), str()):
            return
    raise TypeError(
        f'`requires` has the entry {requirement!r}; write (condition, "what must hold"), as in '
        '(lr > eps, "lr must be above eps")'
    )
