"""State that other libraries saved, brought into the layout and the units of this one.

Owns how mlx.optimizers, keras and pytorch_optimizer lay out what they save; ``from_optax`` makes
what it reads of a state of optax. What is in it, under which keys and in which units, the rules say
(``saved_elsewhere``). Between reading and conversion stands torch's layout, with the library's own
keys and its name:

    {"library": "mlx",
     "state": {0: {"step": 25, "m": array, "v": array}},
     "param_groups": [{"lr": 0.1, "params": [0], "param_names": ["w"]}]}

Does not check shapes, names and completeness: what comes out is checked like any state dict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import as_numpy, is_mlx
from ..checking import listed, shown
from ..engine import Owner, Target
from ..groups.settings import as_argument
from ..rules.calling import call
from ..rules.rule import Elsewhere, Hyper, Rule, names_of
from .matching import SavedGroup, parsed
from .restoring import is_same

Layout = dict[str, Any]

#: The libraries that save no parameter groups.
WITHOUT_GROUPS = ("mlx", "keras", "optax")
#: The libraries whose states say by which they were saved, once they are read.
LIBRARIES = (*WITHOUT_GROUPS, "pytorch_optimizer")

# -- reading --------------------------------------------------------------------------------------


def in_layout(optimizer: Owner, state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """What another library saved, in torch's layout; anything else as it is."""
    label = type(optimizer).__name__
    if isinstance(state_dict, tuple):
        raise TypeError(
            f"{label}: a state dict must be a dict, got a tuple; a state of optax is loaded as "
            f"lucidgen.from_optax(opt_state)"
        )
    if not isinstance(state_dict, Mapping) or {"class", "library"} & state_dict.keys():
        return state_dict
    if "param_groups" in state_dict:
        return _of_torch_or_pytorch_optimizer(state_dict)
    if "step" in state_dict and "learning_rate" in state_dict:
        return _of_mlx(label, state_dict)
    if any(str(key).endswith("/iteration") for key in state_dict):
        kinds = _elsewhere(optimizer, "keras").states
        return _of_keras(label, state_dict, sorted(kinds, key=len, reverse=True))
    return state_dict


def library_layout(
    library: str, entries: Sequence[dict[str, Any]], names: Sequence[str] | None, lr: Any = None
) -> Layout:
    """Torch's layout of the states of parameters, which are known by name or by order."""
    group: Layout = {"params": list(range(len(entries)))}
    if names is not None:
        group["param_names"] = list(names)
    if lr is not None:
        group["lr"] = lr
    return {"library": library, "state": dict(enumerate(entries)), "param_groups": [group]}


def _of_mlx(label: str, state: Mapping[str, Any]) -> Layout:
    """The tree that ``optimizer.state`` is, or the flat dict that ``tree_flatten`` makes of it."""
    entries: dict[str, dict[str, Any]] = {}
    for path, value in _leaves(state):
        name, _, key = path.rpartition(".")
        if name:
            entries.setdefault(name, {"step": state["step"]})[key] = value
    if not entries:
        raise ValueError(
            f"{label}: the state of mlx.optimizers has no parameters: was it saved before the "
            f"first step?"
        )
    layout = library_layout("mlx", list(entries.values()), list(entries), state["learning_rate"])
    step = state["step"]
    if is_mlx(step) or isinstance(step, np.ndarray | np.generic):
        number = as_numpy(step)
        if number.ndim == 0 and number.dtype.kind in "iu":
            layout["param_groups"][0]["updates"] = int(number)
    return layout


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted name, value) pairs of a tree of dicts, lists and tuples."""
    if not isinstance(tree, Mapping | list | tuple):
        yield path, tree
        return
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    for key, branch in items:
        yield from _leaves(branch, f"{path}.{key}" if path else str(key))


def _of_keras(label: str, variables: Mapping[str, Any], kinds: Sequence[str]) -> Layout:
    """Variables by path: those of one kind ("adam/dense_kernel_momentum") in the parameters' order.

    ``kinds`` are the keys of states, longer ones first. The names of parameters cannot be told from
    the paths, so they are matched by order.
    """
    found: dict[str, list[Any]] = {}
    shared: dict[str, Any] = {}
    for path, value in variables.items():
        last = str(path).rpartition("/")[2]
        kind = next((kind for kind in kinds if last.endswith(f"_{kind}")), None)
        if kind is not None:
            found.setdefault(kind, []).append(value)
        else:
            shared[re.sub(r"_\d+$", "", last)] = value
    step, lr = shared.pop("iteration"), shared.pop("learning_rate", None)
    counts = {kind: len(values) for kind, values in found.items()}
    if not counts:
        raise ValueError(
            f"{label}: the variables of keras hold no state of any parameter: none ends in "
            f"{', '.join(f'_{kind}' for kind in kinds)}"
        )
    if len(set(counts.values())) > 1:
        raise ValueError(f"{label}: keras has as many variables of each kind, not {shown(counts)}")
    entries = [
        {"step": step, **shared, **dict(zip(found, values, strict=True))}
        for values in zip(*found.values(), strict=True)
    ]
    return library_layout("keras", entries, None, lr)


def _of_torch_or_pytorch_optimizer(state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """pytorch_optimizer counts steps in its groups, and keeps numbers beside the states."""
    groups, state = state_dict["param_groups"], state_dict.get("state")
    if not isinstance(groups, list | tuple) or not isinstance(state, Mapping):
        return state_dict
    if not groups or not all(isinstance(g, Mapping) and "step" in g for g in groups):
        return state_dict
    shared = {
        key: value
        for key, value in state.items()
        if isinstance(key, str) and not isinstance(value, Mapping)
    }
    entries: dict[Any, Any] = {key: entry for key, entry in state.items() if key not in shared}
    for group in groups:
        for index in group["params"] if isinstance(group.get("params"), list) else ():
            if isinstance(index, int) and isinstance(entries.get(index), Mapping):
                entries[index] = {"step": group["step"], **shared, **_numbered(entries[index])}
    kept = [{key: value for key, value in group.items() if key != "step"} for group in groups]
    return {"library": "pytorch_optimizer", "state": entries, "param_groups": kept}


def _numbered(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A state with what it keeps by decay rates under numbers: momentum_buffer1.

    What decays at a rate of 0 is nothing to go on from.
    """
    found: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            kept = {f"{key}{i}": v for i, (rate, v) in enumerate(value.items(), 1) if rate}
            found.update(kept)
        else:
            found[key] = value
    return found


# -- converting -----------------------------------------------------------------------------------


def converted(
    optimizer: Owner, state_dict: Mapping[str, Any], targets: list[list[Target]]
) -> Mapping[str, Any]:
    """A state dict under the keys and in the units of an optimizer."""
    rule = optimizer._rule
    if "class" in state_dict or (rule is None and "library" not in state_dict):
        return state_dict
    label, library = type(optimizer).__name__, state_dict.get("library", "torch")
    groups, state = parsed(label, state_dict)
    kept = _elsewhere(optimizer, library)
    assert rule is not None
    if library in WITHOUT_GROUPS and len(groups) == 1:
        groups = _regrouped(label, groups[0], targets)
    if library != "torch" and rule.counts_steps:
        _check_counted(label, library, kept, state)
    found = {}
    for index, (present, group) in enumerate(zip(optimizer.param_groups, groups, strict=False)):
        values = _renamed(rule, kept, group.values)
        groups[index] = replace(group, values=values)
        conversion = _Conversion(label, rule, kept, library, {**present, **values})
        conversion.check_settings(group.values)
        for key in group.ids:
            if key in state:
                found[key] = conversion.entry(state[key])
    return {
        **state_dict,
        "state": found,
        "param_groups": [_as_saved(group) for group in groups],
    }


def _elsewhere(optimizer: Owner, library: Any) -> Elsewhere:
    """How a library saves what this optimizer keeps, if it goes on as the library does."""
    label, own = type(optimizer).__name__, optimizer.dialect
    if library == "torch":  # its keys are ours, but those that are said to differ
        return optimizer.rules[own].saved_elsewhere.get("torch", Elsewhere())
    if library not in LIBRARIES:
        raise ValueError(
            f"{label}: the state dict is of {shown(library)}; known are {', '.join(LIBRARIES)}"
        )
    known = [name for name, rule in optimizer.rules.items() if library in rule.saved_elsewhere]
    known.sort(key=lambda name: name != library)
    if not known:
        raise ValueError(
            f"{label}: states of {library} do not load into {label}: its spec does not say, under "
            f"saved_elsewhere, what {library} keeps of it"
        )
    if own not in known:
        raise ValueError(
            f"{label}: a run of {library} goes on under the dialect "
            f"{' or '.join(map(repr, known))}, this optimizer is of {own!r}; construct it with "
            f"dialect={known[0]!r} to resume that run"
        )
    return optimizer.rules[own].saved_elsewhere[library]


def _check_counted(
    label: str, library: str, kept: Elsewhere, state: Mapping[Any, Mapping[str, Any]]
) -> None:
    if not all({"step", kept.step} & entry.keys() for entry in state.values()):
        raise ValueError(
            f"{label}: {library} has not counted the steps; say how many there were: "
            f"from_optax(opt_state, step=...)"
        )


def _renamed(rule: Rule, kept: Elsewhere, saved: Mapping[str, Any]) -> dict[str, Any]:
    """A group's values under our names, without the library's settings; their rate is ``lr``."""
    found = {}
    for key, value in saved.items():
        names = kept.arguments.get(key)
        if names is None and key == "lr" and rule.rate and key not in rule.arguments:
            names = (rule.rate,)
        if names is None:
            found[key] = value
        else:
            defaults = {name: rule.arguments[name].default for name in names}
            found |= defaults if value is None else dict.fromkeys(names, value)
    return {key: value for key, value in found.items() if key not in kept.settings}


@dataclass(frozen=True)
class _Conversion:
    """From a library's keys and units to a rule's; ``values`` are the group's, under our names."""

    label: str
    rule: Rule
    kept: Elsewhere
    library: str
    values: Mapping[str, Any]

    def check_settings(self, saved: Mapping[str, Any]) -> None:
        """Refuse settings with which the library computes something else."""
        for key, expected in self.kept.settings.items():
            condition = self.kept.conditions.get(key)
            if key not in saved or is_same(saved[key], expected):
                continue
            if condition is None or self._called(condition):
                raise ValueError(
                    f"{self.label}: the state dict was saved with {key}={shown(saved[key])}, but "
                    f"what is computed here is that of {key}={expected!r}"
                )

    def entry(self, saved: Mapping[str, Any]) -> dict[str, Any]:
        """The state of a parameter under our keys, in our units."""
        found: dict[str, Any] = {}
        step = self.kept.step if self.kept.step in saved else "step"
        for key, value in saved.items():
            if key == step:
                found["step"] = value
            elif key in self.kept.states:
                found[self.kept.states[key]] = self._in_our_unit(key, value)
            elif self.library == "torch":
                found[key] = value
            elif key != "step":
                raise ValueError(
                    f"{self.label}: the state dict has {shown(key)}, where that library keeps "
                    f"{listed(map(repr, self.kept.states))}; was it saved by another optimizer?"
                )
        return found

    def _in_our_unit(self, key: str, value: Any) -> Any:
        factor = self.kept.factors.get(key)
        if factor is None or value is None:
            return value
        try:
            number = self._called(factor)
        except ZeroDivisionError:
            raise ValueError(
                f"{self.label}: the saved {key!r} is a multiple of 0 at {self._given(factor)}, "
                f"which cannot be undone; remove it from the state dict to start it afresh"
            ) from None
        return (value if is_mlx(value) else as_numpy(value)) * number

    def _called(self, function: Callable[..., Any]) -> Any:
        return call(function, self._given(function))

    def _given(self, function: Callable[..., Any]) -> dict[str, Any]:
        """The arguments that a function reads, by symbol."""
        found: dict[str, Any] = {}
        names = names_of(function)
        for argument in self.rule.arguments.values():
            own = argument.symbols if isinstance(argument, Hyper) else (argument.name,)
            symbols = tuple(map(self.rule.called, own))
            if set(symbols) & set(names):
                value = self.values[argument.name]
                value = as_argument(argument, value, f"{self.label}: saved value")
                values = value if isinstance(value, tuple) else (value,)
                found |= dict(zip(symbols, values, strict=True))
        return {name: value for name, value in found.items() if name in names}


def _regrouped(label: str, saved: SavedGroup, targets: list[list[Target]]) -> list[SavedGroup]:
    """The one group of a library without groups, divided as the present ones are."""
    if len(targets) == 1:
        return [saved]
    present = [target for group in targets for target in group]
    if len(saved.ids) != len(present):
        raise ValueError(
            f"{label}: the optimizer has {len(present)} parameters, the state dict {len(saved.ids)}"
        )
    if saved.names is None or any(target.name is None for target in present):
        order = iter(saved.ids)
        return [replace(saved, ids=[next(order) for _ in group], names=None) for group in targets]
    ids = dict(zip(saved.names, saved.ids, strict=True))
    missing = sorted({target.name or "" for target in present} - ids.keys())
    if missing:
        raise ValueError(
            f"{label}: the parameters differ; not in the state dict: {listed(missing)}; in it are "
            f"{listed(sorted(ids))}"
        )
    names = [[target.name or "" for target in group] for group in targets]
    return [replace(saved, ids=[ids[n] for n in group], names=group) for group in names]


def _as_saved(group: SavedGroup) -> Layout:
    """A group in torch's layout again."""
    found = {**group.values, "params": group.ids}
    if group.names is not None:
        found["param_names"] = group.names
    if group.shapes is not None:
        found["param_shapes"] = group.shapes
    if group.updates is not None:
        found["updates"] = group.updates
    return found
