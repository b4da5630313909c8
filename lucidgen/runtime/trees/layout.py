"""How the state of a group is laid out: by the names of parameters, or as mlx.optimizers have it.

Owns the two layouts: where the states of a parameter are, and under which keys.

    {"step": 0-d, "lr": 0-d, <scalar states>: 0-d, "params": {"layers.0.weight": {"exp_avg": ...}}}
    {"step": 0-d, "learning_rate": 0-d, <scalar states>: 0-d, "layers": [{"weight": {"m": ...}}]}

The second is that of the reading "mlx". Its keys are those that the rule says MLX has; what MLX
does not have keeps our key. As there, it is there before parameters are known, it has every state
that MLX keeps whether or not the arguments need it, and one step count for all. Nothing is computed
here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ..arrays import is_mlx
from ..groups.settings import Settings
from ..rules.rule import Elsewhere, Rule, State, rate_of
from ..step.clipping import GRAD_NORM
from .leaves import items, leaves_of, top, unflattened

LIBRARY = "mlx"

Entry = dict[str, Any]


def layout_of(rule: Rule) -> Layout:
    """The layout of a reading."""
    # MLX's has one number for all parameters, where each may need its own, and none of a group.
    has_own_numbers = (rule.asks_shapes and bool(rule.scalar_states)) or rule.rounds
    return InTree(rule) if rule.dialect == LIBRARY and not has_own_numbers else ByName(rule)


class Layout:
    """What the two layouts have in common."""

    #: Whether this is MLX's: there from the start, with one step count for all parameters.
    is_mlx = False
    #: The type of the step count.
    count = "int32"

    def __init__(self, rule: Rule) -> None:
        #: The rule, with the keys that its states have here.
        self.rule = rule
        #: Under which key the learning rate is.
        self.rate = rate_of(rule)
        #: The keys of states here, by ours, where they are others.
        self.keys: Mapping[str, str] = {}

    @property
    def beside(self) -> tuple[str, ...]:
        """What is kept once for all parameters."""
        scalars = (state.key for state in self.rule.scalar_states)
        rate = [self.rate] if self.rule.rate else []
        return ("step", *rate, *scalars, *self.rule.group_keys)

    def kept(self, settings: Settings) -> tuple[State, ...]:
        """The states that a parameter has under these settings."""
        return settings.arrays

    def here(self, entry: Mapping[str, Any]) -> Entry:
        """The states of a parameter under the keys that they have here, from ours."""
        return {self.keys.get(key, key): value for key, value in entry.items()}

    def ours(self, entry: Mapping[str, Any]) -> Entry:
        """The reverse."""
        ours = {here: key for key, here in self.keys.items()}
        return {ours.get(key, key): value for key, value in entry.items()}

    def entries(self, state: Mapping[str, Any], names: Collection[str]) -> dict[str, Entry]:
        """The states of each parameter; ``names`` are those of all that may be there."""
        raise NotImplementedError

    def moved_in(self, state: Any) -> Any:
        """A state as it is, or one in our own layout, in which older runs of MLX's have it, moved.

        Nothing is checked.
        """
        return state

    def put(self, state: dict[str, Any], tree: Any, new: Mapping[str, Entry]) -> None:
        """Put the states of parameters at their places; those of others stay.

        ``tree`` is what the parameters are in.
        """
        raise NotImplementedError


class ByName(Layout):
    """Ours: the states are below "params", by the dotted names of parameters."""

    def entries(self, state: Mapping[str, Any], names: Collection[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = state.get("params", {})
        return found

    def put(self, state: dict[str, Any], tree: Any, new: Mapping[str, Entry]) -> None:
        state.setdefault("params", {}).update(new)


class InTree(Layout):
    """MLX's: the states of a parameter are where the parameter is in its tree."""

    is_mlx = True
    count = "uint64"

    def __init__(self, rule: Rule) -> None:
        super().__init__(_in_keys_of_mlx(rule))
        self.rate = "learning_rate"
        pairs = zip(rule.states, self.rule.states, strict=True)
        self.keys = {ours.key: here.key for ours, here in pairs if ours.key != here.key}
        kept = rule.saved_elsewhere.get(LIBRARY, Elsewhere())
        self._always = frozenset(self.keys.get(key, key) for key in kept.states.values())

    def kept(self, settings: Settings) -> tuple[State, ...]:
        live = settings.arrays
        always = (s for s in settings.possible if s.key in self._always)
        kept = {*live, *always}
        return tuple(s for s in self.rule.arrays if s in kept)

    def entries(self, state: Mapping[str, Any], names: Collection[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for key, branch in state.items():
            if key not in (*self.beside, GRAD_NORM):
                found |= _below(branch, str(key), names)
        return found

    def put(self, state: dict[str, Any], tree: Any, new: Mapping[str, Entry]) -> None:
        for key, branch in top(tree):
            made = _grown(branch, state.get(key), new, str(key))
            if made is not None:
                state[key] = made

    def moved_in(self, state: Any) -> Any:
        if not isinstance(state, Mapping):
            return state
        if isinstance(state.get("groups"), list):
            return {**state, "groups": [self.moved_in(group) for group in state["groups"]]}
        is_ours = isinstance(state.get("params"), Mapping) and "step" in state
        if not is_ours or self.rate in state:
            return state
        rate = rate_of(self.rule)
        moved = {self.rate if key == rate else key: state[key] for key in state if key != "params"}
        entries: dict[str, Entry] = {}
        for path, array in leaves_of(state["params"]):
            name, _, key = path.rpartition(".")
            entries.setdefault(name, {})[self.keys.get(key, key)] = array
        self.put(moved, unflattened(entries), entries)
        return moved


def _below(branch: Any, path: str, names: Collection[str]) -> dict[str, Entry]:
    """The states in a branch of a state."""
    if path in names and isinstance(branch, dict):
        return {path: branch}
    found: dict[str, Entry] = {}
    for key, below in items(branch):
        found |= _below(below, f"{path}.{key}", names)
    return found


def _grown(tree: Any, present: Any, new: Mapping[str, Entry], path: str) -> Any:
    """The branch of a state for a branch of a tree; None if there is nothing to keep for it.

    Containers that are there stay, as far as they are of the tree's kind: a step that captured
    them goes on from what is put into them.
    """
    if path in new:
        return new[path]
    if is_mlx(tree):
        return present
    if not isinstance(tree, Mapping | list | tuple) or not tree:
        return {} if present is None else present
    before = {str(key): branch for key, branch in items(present)}
    made = [
        (key, _grown(branch, before.pop(str(key), None), new, f"{path}.{key}"))
        for key, branch in items(tree)
    ]
    if all(branch is None for _, branch in made) and not before:
        return None
    if isinstance(tree, Mapping):
        branches = {key: branch for key, branch in made if branch is not None}
        if not isinstance(present, dict):
            return {**before, **branches}
        present.update(branches)
        return present
    row = [{} if branch is None else branch for _, branch in made] + list(before.values())
    if isinstance(tree, tuple):
        return type(tree)(row)
    if isinstance(present, list):
        present[:] = row
        return present
    return row


@cache
def _in_keys_of_mlx(rule: Rule) -> Rule:
    """The rule with MLX's keys for what MLX keeps in the same unit."""
    kept = rule.saved_elsewhere.get(LIBRARY)
    if kept is None:
        return rule
    theirs = {ours: key for key, ours in kept.states.items() if key not in kept.factors}
    keys = [theirs.get(state.key, state.key) for state in rule.states]
    if len({*keys}) < len(keys):  # a state of ours has the name of one of theirs
        return rule
    states = zip(rule.states, keys, strict=True)
    return replace(rule, states=tuple(replace(state, key=key) for state, key in states))
