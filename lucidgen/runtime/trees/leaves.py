"""Trees of MLX arrays: dicts, lists and tuples, as modules give and take them.

Owns the names of their leaves and the making of trees alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..arrays import is_mlx, is_mlx_module


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted name, array) pairs of a tree of dicts, lists and tuples."""
    if is_mlx(tree):
        yield path, tree
        return
    items: Any = ()
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    for key, branch in items:
        yield from leaves(branch, f"{path}.{key}" if path else str(key))


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


def parameters_of(params: Any) -> Any:
    """The tree of a module's trainable parameters; any other tree as it is."""
    return params.trainable_parameters() if is_mlx_module(params) else params
