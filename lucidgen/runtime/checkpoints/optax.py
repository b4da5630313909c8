"""What optax keeps, in the layout of state dicts.

Owns the reading of optax's trees of NamedTuples: which of their fields hold trees of parameters, of
which names and in which order. What a field means to an optimizer, its rule says. Imports neither
optax nor jax.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..checking import shown
from .libraries import library_layout

#: The keys on the way to an array: what jax sorts by, and the text of a name.
_Path = tuple[tuple[Any, str], ...]

#: Fields of numbers, and of gradients that wait, which no optimizer goes on from.
_BESIDE = ("count", "hyperparams", "acc_grads", "grad_acc")


def from_optax(opt_state: Any, *, step: int | None = None) -> dict[str, Any]:
    """A state of optax as a dict that ``load_state_dict`` of the same optimizer takes.

    Parameters
    ----------
    opt_state : NamedTuple, or tree of them
        What ``init`` and ``update`` of an optimizer returned: of ``optax.adam``, of a ``chain``, of
        ``inject_hyperparams`` (whose learning rate is taken over too), of ``partition``.
    step : int, default None
        How many steps were taken, where the state does not count them.

    Returns
    -------
    dict
        Torch's layout with optax's keys. Parameters have the names of their paths in the tree of
        parameters ("Dense_0.kernel"), under "param_names", where they can be changed to those that
        the optimizer knows; in a tree without names they go by order, and so does a single array.

    Raises
    ------
    TypeError
        If nothing in it is a state of parameters.
    ValueError
        If it keeps two states of one kind for a parameter.
    """
    entries: dict[_Path, dict[str, Any]] = {}
    count, rate = step, None
    parts = [{key: getattr(part, key) for key in part._fields} for part in _parts(opt_state)]
    for fields in parts:  # by name: every tuple has a method count
        count = fields.get("count") if count is None else count
        injected = fields.get("hyperparams")
        if isinstance(injected, Mapping):
            rate = injected.get("learning_rate", rate)
    found = [(fields, key, leaves) for fields in parts for key, leaves in _of_parameters(fields)]
    # One array is a tree by itself; a number beside trees is none.
    trees = [tree for tree in found if not _is_number(tree[2])] or found
    for fields, key, leaves in trees:
        for path, value in leaves:
            entry = entries.setdefault(path, {})
            if key in entry:
                raise ValueError(f"the state of optax has {shown(key)} twice for {_name(path)!r}")
            entry[key] = value
            if "count" in fields:
                entry["step"] = fields["count"]
    if not entries:
        raise TypeError(
            f"no state of parameters in {type(opt_state).__name__}: from_optax takes what init and "
            f"update of an optax optimizer return"
        )
    if count is not None:
        for entry in entries.values():
            entry.setdefault("step", count)
    paths = sorted(entries)  # parts of partition() come one after the other
    named = any(not text.isdigit() for path in paths for _, text in path)
    names = [_name(path) for path in paths] if named else None
    return library_layout("optax", [entries[path] for path in paths], names, rate)


def _parts(tree: Any) -> Iterator[Any]:
    """The NamedTuples of a state, outermost first."""
    if hasattr(tree, "_fields"):
        yield tree
        for key in tree._fields:
            if _holds_states(key, getattr(tree, key)):
                yield from _parts(getattr(tree, key))
    elif isinstance(tree, Mapping):
        for branch in tree.values():
            yield from _parts(branch)
    elif isinstance(tree, list | tuple):
        for branch in tree:
            yield from _parts(branch)


def _holds_states(key: str, tree: Any) -> bool:
    """Whether a field holds further states, as ``inner_state`` does, and not one of parameters."""
    return "state" in key or any(type(part).__name__.endswith("State") for part in _tuples(tree))


def _tuples(tree: Any) -> Iterator[Any]:
    """The NamedTuples in a tree, of whatever they are."""
    if hasattr(tree, "_fields"):
        yield tree
    if isinstance(tree, Mapping | list | tuple):
        for branch in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _tuples(branch)


def _of_parameters(fields: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[_Path, Any]]]]:
    """The fields of a state that hold floating numbers for parameters, with their leaves."""
    for key, tree in fields.items():
        if key not in _BESIDE and not _holds_states(key, tree):
            leaves = [(path, value) for path, value in _leaves(tree) if _is_floating(value)]
            if leaves:
                yield key, leaves


def _is_floating(value: Any) -> bool:
    return "float" in str(getattr(value, "dtype", type(value).__name__))


def _is_number(leaves: list[tuple[_Path, Any]]) -> bool:
    """Whether all that a field holds is one number."""
    return [path for path, _ in leaves] == [()] and not getattr(leaves[0][1], "shape", ())


def _leaves(tree: Any, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """The arrays of a tree of parameters with their paths."""
    items: Iterable[tuple[Any, Any]]
    if isinstance(tree, Mapping):
        items = [((key, str(key)), branch) for key, branch in tree.items()]
    elif isinstance(tree, list | tuple):
        keys = getattr(tree, "_fields", range(len(tree)))
        items = [((i, str(key)), tree[i]) for i, key in enumerate(keys)]
    else:
        if tree is not None:
            yield path, tree
        return
    for key, branch in items:
        yield from _leaves(branch, (*path, key))


def _name(path: _Path) -> str:
    return ".".join(text for _, text in path)
