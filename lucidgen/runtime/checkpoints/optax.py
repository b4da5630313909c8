"""What optax keeps, in the layout of state dicts.

Owns the reading of optax's trees of NamedTuples, by the names of their fields; imports neither
optax nor jax.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .libraries import library_layout
from .library_tables import OPTAX

#: The keys on the way to an array: what jax sorts by, and the text of a name.
_Path = tuple[tuple[Any, str], ...]

_FIELDS = frozenset(key for kept in OPTAX.values() for key in kept.keys)


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
        If nothing in it is a state that optax keeps for an optimizer that is known here.
    ValueError
        If it keeps two states of one kind for a parameter.
    """
    entries: dict[_Path, dict[str, Any]] = {}
    count, rate = step, None
    for part in _parts(opt_state):
        fields = {key: getattr(part, key) for key in part._fields}
        count = fields.get("count") if count is None else count
        injected = fields.get("hyperparams")
        if isinstance(injected, Mapping):
            rate = injected.get("learning_rate", rate)
        for key in fields:
            for path, value in _leaves(fields[key]) if key in _FIELDS else ():
                entry = entries.setdefault(path, {})
                if key in entry:
                    raise ValueError(f"the state of optax has {key!r} twice for {_name(path)!r}")
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
            if key not in _FIELDS:
                yield from _parts(getattr(tree, key))
    elif isinstance(tree, Mapping):
        for branch in tree.values():
            yield from _parts(branch)
    elif isinstance(tree, list | tuple):
        for branch in tree:
            yield from _parts(branch)


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
