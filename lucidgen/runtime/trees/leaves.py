"""Trees of MLX arrays: dicts, lists and tuples, as modules give and take them.

Owns the names of their leaves and the making of trees alike. Which arrays of a tree are states, and
of what, is the business of ``layout``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..arrays import is_mlx, is_mlx_module
from ..checking import shown


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted name, array) pairs of a tree of dicts, lists and tuples."""
    yield from ((name, leaf) for name, leaf in leaves_of(tree, path) if is_mlx(leaf))


def weights(tree: Any, label: str) -> dict[str, Any]:
    """The arrays of a tree of parameters by their dotted names; what is no array may be there, too.

    Raises
    ------
    TypeError
        If there are arrays of another library, which an update would leave as they are.
    """
    found = {}
    for name, leaf in leaves_of(tree):
        if is_mlx(leaf):
            found[name] = leaf
        elif hasattr(leaf, "shape") or hasattr(leaf, "data"):
            raise TypeError(_foreign(label, "parameter", name, leaf))
    return found


def gradients(tree: Any, label: str) -> dict[str, Any]:
    """The arrays of a tree of gradients by their dotted names; None is no gradient.

    Raises
    ------
    TypeError
        If anything else is there, which an update would not see.
    """
    found = {}
    for name, leaf in leaves_of(tree):
        if is_mlx(leaf):
            found[name] = leaf
        elif leaf is not None:
            raise TypeError(_foreign(label, "gradient", name, leaf))
    return found


def _foreign(label: str, what: str, name: str, leaf: Any) -> str:
    """What to say of a leaf that is no MLX array."""
    return (
        f"{label}: the {what} {name!r} is of the type {type(leaf).__name__}, and an update sees "
        f"only MLX arrays; write mx.array(...)"
    )


def leaves_of(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted name, leaf) pairs of a tree, whatever the leaves are."""
    if not isinstance(tree, Mapping | list | tuple):
        yield path, tree
        return
    for key, branch in items(tree):
        yield from leaves_of(branch, f"{path}.{key}" if path else str(key))


def items(tree: Any) -> Iterator[tuple[Any, Any]]:
    """The branches of a dict, list or tuple with their keys; a leaf has none."""
    if isinstance(tree, Mapping):
        yield from tree.items()
    elif isinstance(tree, list | tuple):
        yield from enumerate(tree)


def top(tree: Any) -> Iterator[tuple[Any, Any]]:
    """The branches of a tree with the keys that they have in a dict; that of an array is empty."""
    if not isinstance(tree, Mapping | list | tuple):
        yield "", tree
    for key, branch in items(tree):
        yield key if isinstance(tree, Mapping) else str(key), branch


def copied(tree: Any) -> Any:
    """A tree in containers of its own, with the same leaves."""
    if isinstance(tree, Mapping):
        return {key: copied(branch) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([copied(branch) for branch in tree])
    return tree


def unflattened(named: Mapping[str, Any]) -> Any:
    """The tree of dicts and lists that has these leaves by their dotted names."""
    if not named or "" in named:
        return named.get("", {})
    below: dict[str, dict[str, Any]] = {}
    for name, leaf in named.items():
        key, _, rest = name.partition(".")
        below.setdefault(key, {})[rest] = leaf
    made = {key: unflattened(rest) for key, rest in below.items()}
    row = [str(index) for index in range(len(made))]
    return [made[key] for key in row] if made.keys() == {*row} else made


def selected(tree: Any, names: Collection[str], path: str = "") -> Any:
    """The tree with only the leaves of these names; in lists, empty dicts stand for the others."""
    if not isinstance(tree, Mapping | list | tuple):
        return tree if path in names else None
    made = [
        (key, selected(branch, names, f"{path}.{key}" if path else str(key)))
        for key, branch in items(tree)
    ]
    if isinstance(tree, Mapping):
        return {key: branch for key, branch in made if branch is not None} or None
    row = [{} if branch is None else branch for _, branch in made]
    return type(tree)(row) if any(branch is not None for _, branch in made) else None


def replaced(tree: Any, new: Mapping[str, Any], path: str = "") -> Any:
    """The tree with the arrays of these names replaced; other leaves stay."""
    if is_mlx(tree):
        return new.get(path, tree)
    if isinstance(tree, Mapping):
        return {
            key: replaced(branch, new, f"{path}.{key}" if path else str(key))
            for key, branch in tree.items()
        }
    if isinstance(tree, list | tuple):
        return type(tree)(
            [
                replaced(branch, new, f"{path}.{i}" if path else str(i))
                for i, branch in enumerate(tree)
            ]
        )
    return tree


def tree_of(value: Any, what: str) -> Any:
    """A tree as it is, and of a module that of its trainable parameters.

    Raises
    ------
    TypeError
        If it is no tree; ``what`` says whose it is.
    """
    if is_mlx_module(value):
        return value.trainable_parameters()
    if not isinstance(value, Mapping | list | tuple) and not is_mlx(value):
        raise TypeError(
            f"{what} must be a tree of MLX arrays (dicts, lists and tuples of them) or an "
            f"mlx.nn.Module, got {shown(value)} ({type(value).__name__})"
        )
    return value


def check_model(model: Any, label: str) -> None:
    """Refuse what cannot be updated by a tree: it must be a module, or a dict."""
    if not hasattr(model, "update"):
        raise TypeError(
            f"{label}: update takes an mlx.nn.Module and a tree of gradients, got {shown(model)} "
            f"({type(model).__name__}); for a tree of arrays use apply_gradients(grads, params)"
        )
