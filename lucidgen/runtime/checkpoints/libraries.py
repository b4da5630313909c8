"""State that other libraries saved, brought into the layout and the units of this one.

Owns how mlx.optimizers, keras and pytorch_optimizer lay out what they save, and the conversion by
the tables in ``libraries``; ``from_optax`` makes what it reads of a state of optax. Between reading
and conversion stands torch's layout, with the library's own keys and its name:

    {"library": "mlx",
     "state": {0: {"step": 25, "m": array, "v": array}},
     "param_groups": [{"lr": 0.1, "params": [0], "param_names": ["w"]}]}

Does not check shapes, names and completeness: what comes out is checked like any state dict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..arrays import as_numpy, is_mlx
from ..checking import as_number
from .library_tables import (
    IN_UNITS,
    KERAS,
    LIBRARIES,
    RENAMED,
    UNITS,
    WITHOUT_GROUPS,
    Kept,
    Unit,
    plain,
)
from .matching import SavedGroup, Target, parsed
from .restoring import is_same

if TYPE_CHECKING:
    from .saveable import Saveable

Layout = dict[str, Any]

# -- reading --------------------------------------------------------------------------------------


def in_layout(label: str, state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """What another library saved, in torch's layout; anything else as it is."""
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
        return _of_keras(label, state_dict)
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
    return library_layout("mlx", list(entries.values()), list(entries), state["learning_rate"])


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted name, value) pairs of a tree of dicts, lists and tuples."""
    if not isinstance(tree, Mapping | list | tuple):
        yield path, tree
        return
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    for key, branch in items:
        yield from _leaves(branch, f"{path}.{key}" if path else str(key))


def _of_keras(label: str, variables: Mapping[str, Any]) -> Layout:
    """Variables by path: those of one kind ("adam/dense_kernel_momentum") in the parameters' order.

    The names of parameters cannot be told from the paths, so they are matched by order.
    """
    kinds = {key for kept in KERAS.values() for key in kept.keys}  # no one ends with another
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
        raise ValueError(f"{label}: the variables of keras hold no state of any parameter")
    if len(set(counts.values())) > 1:
        raise ValueError(f"{label}: keras has as many variables of each kind, not {counts}")
    entries = [
        {"step": step, **shared, **dict(zip(found, values, strict=True))}
        for values in zip(*found.values(), strict=True)
    ]
    return library_layout("keras", entries, None, lr)


def _of_torch_or_pytorch_optimizer(state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """pytorch_optimizer counts steps in its groups, and in MADGRAD beside the states."""
    groups, state = state_dict["param_groups"], state_dict.get("state")
    if not isinstance(groups, list | tuple) or not isinstance(state, Mapping):
        return state_dict
    if not groups or not all(isinstance(g, Mapping) and "step" in g for g in groups):
        return state_dict
    entries: dict[Any, Any] = {key: entry for key, entry in state.items() if key != "k"}
    for group in groups:
        step = state.get("k", group["step"])
        for index in group["params"] if isinstance(group.get("params"), list) else ():
            if isinstance(index, int) and isinstance(entries.get(index), Mapping):
                entries[index] = {"step": step, **_numbered(entries[index])}
    kept = [{key: value for key, value in group.items() if key != "step"} for group in groups]
    return {"library": "pytorch_optimizer", "state": entries, "param_groups": kept}


def _numbered(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A state with what AggMo keeps by its betas, without that of 0, under numbers."""
    found: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            kept = {f"{key}{i}": v for i, (beta, v) in enumerate(value.items(), 1) if beta}
            found.update(kept)
        else:
            found[key] = value
    return found


# -- converting -----------------------------------------------------------------------------------


def converted(
    optimizer: Saveable,
    state_dict: Mapping[str, Any],
    targets: list[list[Target]],
    name: str,
) -> Mapping[str, Any]:
    """A state dict under the keys and in the units of an optimizer whose class has this name."""
    if "class" in state_dict:
        return state_dict
    label = type(optimizer).__name__
    groups, state = parsed(label, state_dict)
    if "library" in state_dict:
        library = state_dict["library"]
        kept = _kept(optimizer, library, name)
        if library in WITHOUT_GROUPS and len(groups) == 1:
            groups = _regrouped(label, groups[0], targets)
        groups = [_with_our_arguments(optimizer, group, kept) for group in groups]
        counted = all("step" in entry for entry in state.values())
        if not counted and optimizer.rules[optimizer.dialect].counts_steps:
            raise ValueError(
                f"{label}: {library} has not counted the steps; say how many there were: "
                f"from_optax(opt_state, step=...)"
            )
    else:
        kept = Kept((), {}, UNITS.get((name, "torch"), {}))
    own = UNITS.get((name, optimizer.dialect), {})
    found = {}
    for present, group in zip(optimizer.param_groups, groups, strict=False):
        values = {**present, **group.values}
        for index in group.ids:
            if index in state:
                found[index] = _entry(label, state[index], kept, own, values)
    return {
        **state_dict,
        "state": found,
        "param_groups": [_as_saved(group) for group in groups],
    }


def _kept(optimizer: Saveable, library: Any, name: str) -> Kept:
    """The table of a library's optimizer, if there is one and this dialect goes on with it."""
    label, dialect = type(optimizer).__name__, optimizer.dialect
    if not isinstance(library, str) or library not in LIBRARIES:
        raise ValueError(
            f"{label}: the state dict is of {library!r}; known are {', '.join(LIBRARIES)}"
        )
    known = LIBRARIES[library]
    if name not in known or dialect not in optimizer.rules:
        raise ValueError(
            f"{label}: states of {library} load into {', '.join(sorted(known))}, but not {name}"
        )
    kept = known[name]
    if dialect not in kept.dialects:
        raise ValueError(
            f"{label}: a run of {library} goes on under the dialect "
            f"{' or '.join(map(repr, kept.dialects))}, this optimizer is of {dialect!r}; construct "
            f"it with dialect={kept.dialects[0]!r} to resume that run"
        )
    return kept


def _with_our_arguments(optimizer: Saveable, group: SavedGroup, kept: Kept) -> SavedGroup:
    """A group under our names of arguments, without what says the same as we do."""
    arguments = optimizer.rules[optimizer.dialect].arguments
    values = {}
    for key, value in group.values.items():
        if key in kept.settings:
            unused = key == "weight_decouple" and is_same(group.values.get("weight_decay"), 0)
            if not unused and not is_same(value, kept.settings[key]):
                raise ValueError(
                    f"{type(optimizer).__name__}: the state dict was saved with {key}={value!r}, "
                    f"but what is computed here is that of {key}={kept.settings[key]!r}"
                )
            continue
        for ours in RENAMED.get(key, (key,)):
            is_left_out = value is None and ours != key and ours in arguments
            values[ours] = arguments[ours].default if is_left_out else value
    return replace(group, values=values)


def _entry(
    label: str,
    saved: Mapping[str, Any],
    kept: Kept,
    own: Mapping[str, Unit],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """The state of a parameter under our keys, in our units."""
    found: dict[str, Any] = {}
    for key, value in saved.items():
        if kept.keys and key not in kept.keys and key != "step":
            raise ValueError(
                f"{label}: the state dict has {key!r}, where that library keeps "
                f"{', '.join(map(repr, kept.keys))}; was it saved by another optimizer?"
            )
        ours = kept.keys.get(key, key)
        theirs, unit = kept.units.get(key, plain), own.get(ours, plain)
        if theirs is not unit and value is not None:
            value = _in_unit(label, key, value, theirs, unit, values)
        found[ours] = value
    return found


def _in_unit(
    label: str, key: str, value: Any, theirs: Unit, unit: Unit, values: Mapping[str, Any]
) -> Any:
    """A state that is in one unit, in another."""
    numbers = {
        name: as_number(values[name], f"{label}: saved value: {name}")
        for name in IN_UNITS
        if name in values
    }
    divisor = theirs(numbers)
    if divisor == 0:
        raise ValueError(
            f"{label}: the saved {key!r} is a multiple of 0 at {numbers}, which cannot be "
            f"undone; remove it from the state dict to start it afresh"
        )
    return (value if is_mlx(value) else as_numpy(value)) * (unit(numbers) / divisor)


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
            f"{label}: the parameters differ; not in the state dict: {', '.join(missing)}; in it "
            f"are {', '.join(sorted(ids))}"
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
