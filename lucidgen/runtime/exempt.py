"""Parameters without weight decay: which they are, and the groups that they get.

Owns the argument ``no_decay``: patterns for names as in a shell, or a predicate.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from .parameters import collect, without_repeats
from .rule import Rule

#: Patterns, of which one must match a parameter's name; or what is asked with name and parameter.
NoDecay = tuple[str, ...] | Callable[[str | None, Any], bool]


def as_no_decay(value: Any, rule: Rule, label: str) -> NoDecay | None:
    """The checked value of ``no_decay``."""
    if value is None:
        return None
    if "weight_decay" not in rule.arguments:
        raise ValueError(f"{label}: no_decay, but the dialect {rule.dialect!r} has no weight_decay")
    if callable(value):
        found: NoDecay = value
        return found
    patterns = (value,) if isinstance(value, str) else value
    if not isinstance(patterns, Iterable):
        raise TypeError(
            f"{label}: no_decay must be patterns for names, or a function of name and parameter, "
            f"got {value!r}"
        )
    patterns = tuple(patterns)
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"{label}: no_decay must be patterns such as '*.bias', got {value!r}")
    return patterns


def is_exempt(no_decay: NoDecay, name: str | None, parameter: Any) -> bool:
    """Whether a parameter has no weight decay."""
    if callable(no_decay):
        return bool(no_decay(name, parameter))
    return name is not None and any(fnmatchcase(name, pattern) for pattern in no_decay)


def check_names(no_decay: NoDecay, names: Iterable[str | None], label: str) -> None:
    """Refuse patterns that match no name."""
    if callable(no_decay):
        return
    known = [name for name in names if name is not None]
    if not known:
        raise ValueError(
            f"{label}: no_decay={no_decay!r} asks for names, and the parameters have none; give a "
            f"module or (name, parameter) pairs, or a function of name and parameter"
        )
    for pattern in no_decay:
        if not any(fnmatchcase(name, pattern) for name in known):
            near = difflib.get_close_matches(pattern.strip("*"), known, n=3, cutoff=0)
            raise ValueError(
                f"{label}: the pattern {pattern!r} of no_decay matches no parameter; the nearest "
                f"names are {', '.join(map(repr, near))}"
            )


def split(
    groups: Iterable[Mapping[str, Any]], no_decay: NoDecay, label: str
) -> list[dict[str, Any]]:
    """The groups, each in two: one with its weight decay and one without."""
    members = []
    for index, group in enumerate(groups):
        where = f"{label}: group {index}"
        source = group["params"]
        if hasattr(source, "data") and hasattr(source, "grad"):
            source = [source]
        pairs = without_repeats(collect(source, where), where)
        given = group.get("param_names")
        if given is not None and len(given) == len(pairs):
            pairs = [(name, value) for name, (_, value) in zip(given, pairs, strict=True)]
        members.append((group, pairs))
    check_names(no_decay, (name for _, pairs in members for name, _ in pairs), label)
    return [part for group, pairs in members for part in _parts(group, pairs, no_decay)]


def _parts(
    group: Mapping[str, Any], pairs: list[tuple[str | None, Any]], no_decay: NoDecay
) -> Iterator[dict[str, Any]]:
    rest = {key: value for key, value in group.items() if key != "param_names"}
    exempt = [is_exempt(no_decay, name, value) for name, value in pairs]
    for without, own in ((False, {}), (True, {"weight_decay": 0.0})):
        chosen = [pair for pair, found in zip(pairs, exempt, strict=True) if found is without]
        if chosen or (not pairs and not without):
            params = [value if name is None else (name, value) for name, value in chosen]
            yield {**rest, "params": params, **own}
