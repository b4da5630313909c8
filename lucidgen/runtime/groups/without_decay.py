"""Parameters without weight decay: which they are, and the groups that they get.

Owns the argument ``no_decay``, a choice as ``selection`` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..rules.rule import Rule
from .parameters import collect, without_repeats
from .selection import Selection, as_selection, check_patterns, selects


def as_no_decay(value: Any, rule: Rule, label: str) -> Selection | None:
    """The checked value of ``no_decay``."""
    if value is None:
        return None
    if not rule.without_decay:
        raise ValueError(f"{label}: no_decay, but the dialect {rule.dialect!r} has no weight decay")
    return as_selection(value, f"{label}: no_decay")


def check_names(no_decay: Selection, names: Iterable[str | None], label: str) -> None:
    """Refuse patterns that match no name."""
    if callable(no_decay):
        return
    known = [name for name in names if name is not None]
    if not known:
        raise ValueError(
            f"{label}: no_decay={no_decay!r} asks for names, and the parameters have none; give a "
            f"module or (name, parameter) pairs, or a function of name and parameter"
        )
    check_patterns(no_decay, known, label, "no_decay")


def split(
    groups: Iterable[Mapping[str, Any]], no_decay: Selection, rule: Rule, label: str
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
    without = rule.without_decay
    return [part for group, pairs in members for part in _parts(group, pairs, no_decay, without)]


def _parts(
    group: Mapping[str, Any],
    pairs: list[tuple[str | None, Any]],
    no_decay: Selection,
    without_decay: Mapping[str, float],
) -> Iterator[dict[str, Any]]:
    rest = {key: value for key, value in group.items() if key != "param_names"}
    exempt = [selects(no_decay, name, value) for name, value in pairs]
    for without, own in ((False, {}), (True, without_decay)):
        chosen = [pair for pair, found in zip(pairs, exempt, strict=True) if found is without]
        if chosen or (not pairs and not without):
            params = [value if name is None else (name, value) for name, value in chosen]
            yield {**rest, "params": params, **own}
