"""What optax keeps, in the layout of state dicts.

Owns the reading of optax's trees of NamedTuples, by the names of their fields; imports neither
optax nor jax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .foreign import library_layout
from .libraries import OPTAX

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
    entries: dict[str, dict[str, Any]] = {}
    count, rate = step, None
    for part in _parts(opt_state):
        fields = {key: getattr(part, key) for key in part._fields}
        count = fields.get("count") if count is None else count
        injected = fields.get("hyperparams")
        if isinstance(injected, Mapping):
            rate = injected.get("learning_rate", rate)
        for key in fields:
            for name, value in _leaves(fields[key]) if key in _FIELDS else ():
                entry = entries.setdefault(name, {})
                if key in entry:
                    raise ValueError(f"the state of optax has {key!r} twice for {name!r}")
                entry[key] = value
                if "count" in fields:
                    entry["step"] = fields["count"]
    if not entries:
        raise TypeError(
            f"no state of parameters in {type(opt_state).__name__}: from_optax takes what init and "
            f"update of an optax optimizer return"
        )
    for entry in entries.values():
        if count is not None:
            entry.setdefault("step", count)
    named = any(not part.isdigit() for name in entries for part in name.split(".") if part)
    return library_layout("optax", list(entries.values()), list(entries) if named else None, rate)


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


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted name, array) pairs of a tree of parameters, in jax's order: keys sorted."""
    items: Any
    if isinstance(tree, Mapping):
        items = sorted(tree.items())
    elif hasattr(tree, "_fields"):
        items = [(key, getattr(tree, key)) for key in tree._fields]
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        if tree is not None:
            yield path, tree
        return
    for key, branch in items:
        yield from _leaves(branch, f"{path}.{key}" if path else str(key))
