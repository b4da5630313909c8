"""The parameter groups of an optimizer: made of what a caller gives, checked, kept.

Owns which parameters are in which group, under which names. What the values of a group mean is in
``groups``.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, ClassVar

from ..rules.rule import Rule
from .parameters import collect, describe, without_repeats
from .settings import Group, Settings, check_values, settle

_grad = attrgetter("grad")


class Grouped:
    """What has parameter groups under the rules of a class."""

    rules: ClassVar[Mapping[str, Rule]] = {}
    dialect: str
    defaults: dict[str, Any]
    param_groups: list[Any]
    _tree: Any

    @property
    def _rule(self) -> Rule | None:
        """What this optimizer computes, or None for a class that defines step by itself."""
        return self.rules.get(self.dialect)

    def _group_dicts(self, params: Any) -> list[dict[str, Any]]:
        label = type(self).__name__
        if hasattr(params, "data") and hasattr(params, "grad"):
            raise TypeError(
                f"{label}: expected an iterable of parameters, got one; write [parameter]"
            )
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

    def _label(self, index: int, group: Mapping[str, Any] | None = None) -> str:
        name = "" if group is None or "name" not in group else f" ({group['name']!r})"
        return f"{type(self).__name__}: group {index}{name}"

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: a dict of "params" and the hyperparameters that differ from the defaults."""
        label = self._label(len(self.param_groups))
        if self._tree is not None:
            raise RuntimeError(
                f"{label}: the groups of an optimizer without parameters are given when it is made"
            )
        if not isinstance(param_group, Mapping):
            raise TypeError(f"{label}: expected a dict, got {type(param_group).__name__}")
        if "params" not in param_group:
            raise ValueError(f"{label}: the group has no 'params'")
        self.param_groups.append(self._made_group(param_group, label))

    def _made_group(self, given: Mapping[str, Any], label: str) -> Group:
        """A checked group of a caller's dict."""
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
        values = {**self.defaults, **given}
        rule = self._rule
        if rule is not None:
            values = {**check_values(rule, self.rules, values, label), **_label_of(given)}
        group.update({key: value for key, value in values.items() if key not in group})
        self._check_members([*self.param_groups, group])
        made = Group(group)
        if rule is not None:
            made.settings, made.members = settle(rule, values, label), len(pairs)
        return made

    def _check_members(self, groups: list[Any]) -> None:
        """Each parameter is in one group, and no two have one name."""
        homes: dict[int, str] = {}
        named: dict[str, str] = {}
        for index, group in enumerate(groups):
            names = group.get("param_names")
            if names is not None and len(names) != len(group["params"]):
                raise ValueError(
                    f"{self._label(index, group)}: {len(names)} names for "
                    f"{len(group['params'])} parameters"
                )
            for i, param in enumerate(group["params"]):
                name = names[i] if names else None
                label = f"{self._label(index, group)}: {describe(i, name)}"
                if id(param) in homes:
                    raise ValueError(f"{label} is already in {homes[id(param)]}")
                if name is not None and name in named:
                    raise ValueError(f"{label}: the name is taken by {named[name]}")
                homes[id(param)] = label
                if name is not None:
                    named[name] = label

    def _settled(self, rule: Rule) -> list[tuple[str, Settings, Any, Any, list[Any]]]:
        """Every group as ``stepping`` wants it, checked again where it was written to."""
        for index, group in enumerate(self.param_groups):
            if type(group) is not Group:
                group = self.param_groups[index] = Group({**self.defaults, **group})
            if group.settings is None or group.members != len(group["params"]):
                label = self._label(index, group)
                values = check_values(rule, self.rules, group, label)
                settings = settle(rule, values, label)
                pairs = collect(group["params"], label)
                if len(pairs) != group.members:
                    self._check_members(self.param_groups)
                dict.update(group, values)
                group.settings, group.members = settings, len(pairs)
        return [
            (
                f"{type(self).__name__}: group {index}",
                group.settings,
                group["params"],
                group.get("param_names"),
                list(map(_grad, group["params"])),
            )
            for index, group in enumerate(self.param_groups)
        ]


def _label_of(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": group["name"]} if "name" in group else {}
