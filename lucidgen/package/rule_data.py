"""The data of a module's rules as text: each thing is said once.

Owns what is defined before the tables of rules (hyperparameters, flags, states), and how a reading
is told from the first one of its class: by what differs. Where nothing is saved by that, it is
written out. Does not own what the data are (`module`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import cached_property

from ..runtime.rules import Flag, Hyper, Rule, State

#: What a class of the runtime is given, as text by the names of its fields.
Fields = Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """A rule of the optimizer `of`: what it is made of; `others` are its other fields."""

    of: str
    name: str
    dialect: str
    hypers: Sequence[Fields]
    flags: Sequence[Fields]
    states: Sequence[Fields]
    others: Fields


class RuleData:
    """The rules of a module, ready for a template.

    Parameters
    ----------
    rules : iterable of Record
        All of them, in order.
    taken : iterable of str
        Names that the module uses already.
    """

    def __init__(self, rules: Iterable[Record], taken: Iterable[str] = ()) -> None:
        self.rules = list(rules)
        self._taken = {*taken}
        self._defined: dict[tuple[type, str], tuple[str, Fields]] = {}
        self.definitions: dict[str, str] = {}
        for kind, parts in (
            (Hyper, [part for rule in self.rules for part in rule.hypers]),
            (Flag, [part for rule in self.rules for part in rule.flags]),
            (State, [part for rule in self.rules for part in rule.states]),
        ):
            for fields in parts:
                self._define(kind, fields)

    def _define(self, kind: type, fields: Fields) -> None:
        key = kind, fields["name"]
        if key not in self._defined:
            name = self._free(f"_{fields['name'].strip(chr(34))}")
            self._defined[key] = name, fields
            self.definitions[name] = _call(kind.__name__, fields)

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _part(self, kind: type, fields: Fields) -> str:
        """A hyperparameter, flag or state, by the name of the one that it is or is like."""
        return _like(kind, fields, *self._defined[kind, fields["name"]])

    @cached_property
    def first(self) -> dict[str, str]:
        """The names of the first readings of the classes that have several, by class."""
        counts: dict[str, int] = {}
        for rule in self.rules:
            counts[rule.of] = counts.get(rule.of, 0) + 1
        return {name: self._free(f"_{name.upper()}") for name, n in counts.items() if n > 1}

    @cached_property
    def uses_replace(self) -> bool:
        """Whether anything is told from another by what differs."""
        return any("replace(_" in self.text(rule) for rule in self.rules)

    def text(self, rule: Record) -> str:
        """A rule; the first of a class that has several is what others are told from."""
        first = next(other for other in self.rules if other.of == rule.of)
        if rule is first:
            return _call("Rule", self._fields(rule))
        return _like(Rule, self._fields(rule), self.first[rule.of], self._fields(first))

    def _fields(self, rule: Record) -> Fields:
        parts = {
            "hypers": [self._part(Hyper, fields) for fields in rule.hypers],
            "flags": [self._part(Flag, fields) for fields in rule.flags],
            "states": [self._part(State, fields) for fields in rule.states],
        }
        return {
            "name": f'"{rule.name}"',
            "dialect": f'"{rule.dialect}"',
            **{key: tuple_text(items) for key, items in parts.items() if items},
            **rule.others,
        }


def _like(kind: type, fields: Fields, name: str, known: Fields) -> str:
    """Something that is like what is known by a name, or just that."""
    changes = []
    for field in dataclasses.fields(kind):
        text = fields.get(field.name)
        if text is None and field.name in known:
            factory = field.default_factory
            text = repr(field.default if factory is MISSING else factory())
        if text is not None and text != known.get(field.name):
            changes.append(f"{field.name}={text}")
    if not changes:
        return name
    short, whole = f"replace({name}, {', '.join(changes)})", _call(kind.__name__, fields)
    return short if len(short) < len(whole) else whole


def _call(name: str, fields: Fields) -> str:
    return f"{name}({', '.join(f'{key}={text}' for key, text in fields.items())})"


def tuple_text(items: Iterable[str]) -> str:
    """A tuple of these."""
    items = tuple(items)
    return f"({', '.join(items)},)" if len(items) == 1 else f"({', '.join(items)})"
