"""Choosing parameters: patterns for their names as in a shell, or a function of name and parameter.

Owns what a choice may be, and which group of several takes a parameter of a tree. What is chosen
for is the business of others: weight decay (``without_decay``), groups (``trees.engine``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MethodType
from typing import Any

from ..checking import shown

#: Patterns, of which one must match a parameter's name; or what is asked with name and parameter.
Selection = tuple[str, ...] | Callable[[str | None, Any], bool]


def as_selection(value: Any, what: str) -> Selection:
    """The checked form of a choice; ``what`` says in errors whose it is."""
    if callable(value):
        found: Selection = value
        return found
    patterns = (value,) if isinstance(value, str) else value
    if not isinstance(patterns, Iterable):
        raise TypeError(
            f"{what} must be patterns for names, or a function of name and parameter, got "
            f"{shown(value)}"
        )
    patterns = tuple(patterns)
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"{what} must be patterns such as '*.bias', got {shown(value)}")
    return patterns


def is_selection(value: Any) -> bool:
    """Whether a value is patterns or a function, and not parameters or what holds them.

    A method is none: it is ``model.parameters`` without the parentheses.
    """
    if isinstance(value, str):
        return True
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, str) for item in value)
    if isinstance(value, MethodType) or hasattr(value, "parameters") or hasattr(value, "data"):
        return False
    return callable(value)


def selects(selection: Selection, name: str | None, parameter: Any) -> bool:
    """Whether a parameter is chosen."""
    if callable(selection):
        return bool(selection(name, parameter))
    return name is not None and any(fnmatchcase(name, pattern) for pattern in selection)


def check_patterns(
    selection: Selection, names: Iterable[str | None], label: str, argument: str
) -> None:
    """Refuse patterns of an argument that match no name."""
    if callable(selection):
        return
    known = [name for name in names if name is not None]
    for pattern in selection:
        if not any(fnmatchcase(name, pattern) for name in known):
            import difflib  # seldom needed, and slow to import

            near = difflib.get_close_matches(pattern.strip("*"), known, n=3, cutoff=0)
            raise ValueError(
                f"{label}: the pattern {pattern!r} of {argument} matches no parameter; the nearest "
                f"names are {', '.join(map(repr, near))}"
            )


def routed(
    selections: Sequence[Selection],
    arrays: Mapping[str, Any],
    labels: Sequence[str],
    label: str,
    late: bool = False,
) -> dict[str, int]:
    """Which group takes each array of a tree: the first one that selects it.

    Unless they come ``late``, after those that were there from the start, each group takes some.
    """
    for selection, where in zip(selections, labels, strict=True):
        if not late:
            check_patterns(selection, arrays, where, "params")
    homes: dict[str, int] = {}
    for name, array in arrays.items():
        for index, selection in enumerate(selections):
            if selects(selection, name, array):
                homes[name] = index
                break
        else:
            raise ValueError(
                f"{label}: no group takes parameter {name!r}; let the last group be "
                f"{{'params': '*'}}, which takes what is left"
            )
    for index, where in enumerate(labels):
        if not late and index not in homes.values():
            raise ValueError(
                f"{where}: takes no parameter; what it selects is nothing, or is in the groups "
                f"before it"
            )
    return homes
