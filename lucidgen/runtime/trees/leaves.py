"""Trees of MLX arrays: dicts, lists and tuples, as modules give and take them.

Owns the names of their leaves and the making of trees alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..arrays import is_mlx, is_mlx_module
from ..checking import shown


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
