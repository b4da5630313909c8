"""The parameter groups of an optimizer: made of what a caller gives, checked, kept.

Owns which parameters are in which group, under which names. What the values of a group mean is in
``settings``; groups that select from a tree are made in ``trees``.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Protocol

from ..checking import shown
from ..rules.rule import Rule
from .parameters import collect, describe, without_repeats
from .settings import Group, Settings, check_values, settle

_grad = attrgetter("grad")


class Grouped(Protocol):
    """What has parameter groups under the rules of a class: an optimizer."""

    dialect: str
    defaults: dict[str, Any]
    param_groups: list[Any]

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rule of each dialect."""

    @property
    def _rule(self) -> Rule | None:
        """What it computes, or None for a class that defines step by itself."""


def group_label(of: Grouped, index: int, group: Mapping[str, Any] | None = None) -> str:
    """How errors call a group."""
    name = "" if group is None or "name" not in group else f" ({shown(group['name'])})"
    return f"{type(of).__name__}: group {index}{name}"


def as_group_dicts(params: Any, label: str) -> list[dict[str, Any]]:
    """What the constructor is given, as dicts of groups."""
    if hasattr(params, "data") and hasattr(params, "grad"):
        raise TypeError(f"{label}: expected an iterable of parameters, got one; write [parameter]")
    if isinstance(params, str | bytes | Mapping | set | frozenset):
        return [{"params": params}]  # refused, with a reason, when the group is made
    if hasattr(params, "parameters") or not hasattr(params, "__iter__"):
        return [{"params": params}]
    items = list(params)
    if not items:
        raise ValueError(f"{label}: no parameters to optimize (an empty list)")
    dicts = [dict(item) for item in items if isinstance(item, Mapping)]
    if dicts and len(dicts) < len(items):
        raise TypeError(f"{label}: give either parameters or group dicts, not both in one list")
    return dicts or [{"params": items}]


def new_group(of: Grouped, given: Mapping[str, Any]) -> Group:
    """A checked group of a caller's dict, which is about to be added."""
    label = group_label(of, len(of.param_groups))
    if not isinstance(given, Mapping):
        raise TypeError(f"{label}: expected a dict, got {type(given).__name__}")
    if "params" not in given:
        raise ValueError(f"{label}: the group has no 'params'")
    source = given["params"]
    if hasattr(source, "data") and hasattr(source, "grad"):
        source = [source]
    pairs = without_repeats(collect(source, label), label)
    if not pairs:
        raise ValueError(f"{label}: no parameters to optimize (an empty list)")
    names = [name for name, _ in pairs if name is not None]
    if not names and given.get("param_names") is not None:
        names = list(given["param_names"])
    if names and len(names) != len(pairs):
        raise ValueError(f"{label}: either all parameters have names or none")
    group: dict[str, Any] = {"params": [value for _, value in pairs]}
    if names:
        group["param_names"] = names
    values = {**of.defaults, **given}
    rule = of._rule
    if rule is not None:
        values = {**check_values(rule, of.rules, values, label), **_name_of(given)}
    group.update({key: value for key, value in values.items() if key not in group})
    _check_members(of, [*of.param_groups, group])
    made = Group(group)
    if rule is not None:
        made.settings, made.members = settle(rule, values, label), len(pairs)
    return made


def _name_of(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": group["name"]} if "name" in group else {}


def _check_members(of: Grouped, groups: list[Any]) -> None:
    """Each parameter is in one group, and no two have one name."""
    homes: dict[int, str] = {}
    named: dict[str, str] = {}
    for index, group in enumerate(groups):
        names = group.get("param_names")
        if names is not None and len(names) != len(group["params"]):
            raise ValueError(
                f"{group_label(of, index, group)}: {len(names)} names for "
                f"{len(group['params'])} parameters"
            )
        for i, param in enumerate(group["params"]):
            name = names[i] if names else None
            label = f"{group_label(of, index, group)}: {describe(i, name)}"
            if id(param) in homes:
                raise ValueError(f"{label} is already in {homes[id(param)]}")
            if name is not None and name in named:
                raise ValueError(f"{label}: the name is taken by {named[name]}")
            homes[id(param)] = label
            if name is not None:
                named[name] = label


def settle_again(of: Grouped, rule: Rule, group: Group, label: str) -> None:
    """Check the values of a group that was written to."""
    values = check_values(rule, of.rules, group, label)
    settings = settle(rule, values, label)
    dict.update(group, values)
    group.settings = settings


def settled(of: Grouped, rule: Rule) -> list[tuple[str, Settings, Any, Any, list[Any]]]:
    """Every group as a step wants it, checked again where it was written to."""
    for index, group in enumerate(of.param_groups):
        if type(group) is not Group:
            group = of.param_groups[index] = Group({**of.defaults, **group})
        if group.settings is None or group.members != len(group["params"]):
            label = group_label(of, index, group)
            values = check_values(rule, of.rules, group, label)
            settings = settle(rule, values, label)
            pairs = collect(group["params"], label)
            if len(pairs) != group.members:
                _check_members(of, of.param_groups)
            dict.update(group, values)
            group.settings, group.members = settings, len(pairs)
    return [
        (
            f"{type(of).__name__}: group {index}",
            group.settings,
            group["params"],
            group.get("param_names"),
            list(map(_grad, group["params"])),
        )
        for index, group in enumerate(of.param_groups)
    ]
