"""What counts as a parameter, and where parameters and their names come from.

Owns ``Parameter`` (for people with neither Lucid nor ``mlx.nn``), the recognition of array kinds
without importing MLX, and the reading of modules, pairs and plain iterables. Does not know groups.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..arrays import Array, is_floating, is_mlx, is_mlx_module, plain
from ..checking import shown, warning_level

Named = tuple[str | None, Any]


class Parameter:
    """An array to train and its gradient, both NumPy or both MLX.

    >>> import numpy as np
    >>> p = Parameter(np.ones(3))
    >>> p.grad = np.full(3, 0.5)
    """

    __module__ = __package__  # pickles name the room, not the file
    __slots__ = ("__weakref__", "data", "grad")

    def __init__(self, data: Any) -> None:
        if isinstance(data, np.ndarray):
            data = plain(data)
        elif not is_mlx(data):
            data = _as_array(data)
        if not is_floating(data):
            raise TypeError(
                f"Parameter needs an array of a floating type, got {data.dtype}; "
                f"convert it with .astype(...) first"
            )
        self.data = data
        self.grad: Any = None

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def __repr__(self) -> str:
        return f"Parameter({self.data!r})"


def _as_array(data: Any) -> Array:
    """An array of numbers that come in another form."""
    try:
        if data is None or isinstance(data, str | bytes):
            raise TypeError
        return np.array(data, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"Parameter needs an array of a floating type, or numbers, got {shown(data)} "
            f"({type(data).__name__})"
        ) from None


def describe(index: int, name: str | None) -> str:
    """A parameter as error messages call it."""
    return f"parameter {index}" if name is None else f"parameter {index} ({name!r})"


def check_parameter(value: object, where: str) -> None:
    """Refuse what is no parameter, or one whose data no optimizer can train."""
    kind = type(value).__name__
    if isinstance(value, np.ndarray | np.generic) or is_mlx(value):
        raise TypeError(
            f"{where}: an array ({kind}) has no gradient; wrap it in lucidgen.Parameter(array)"
        )
    if not hasattr(value, "data") or not hasattr(value, "grad"):
        raise TypeError(f"{where}: expected a parameter (.data and .grad), got {kind}")
    check_data(value.data, where)


def check_data(data: Any, where: str) -> None:
    """Refuse data that is no floating NumPy or MLX array."""
    if not isinstance(data, np.ndarray | np.generic) and not is_mlx(data):
        raise TypeError(
            f"{where}: .data must be a numpy.ndarray or an mlx.core.array, got "
            f"{type(data).__module__}.{type(data).__name__}"
        )
    if not is_floating(data):
        raise TypeError(
            f"{where}: .data is of type {data.dtype}; only real floating types can be optimized"
        )


def collect(source: Any, where: str) -> list[Named]:
    """The (name, parameter) pairs of a module, of pairs, or of plain parameters, in order."""
    if hasattr(source, "parameters") and callable(source.parameters):
        return _from_module(source, where)
    if isinstance(source, np.ndarray) or is_mlx(source):
        raise TypeError(
            f"{where}: expected an iterable of parameters, got an array; "
            f"write [lucidgen.Parameter(array)]"
        )
    if isinstance(source, str | bytes | Mapping):
        raise TypeError(
            f"{where}: expected an iterable of parameters, got {type(source).__name__}; "
            f"for a group write [{{'params': ..., ...}}]"
        )
    if isinstance(source, set | frozenset):
        raise TypeError(f"{where}: a set has no order; give the parameters as a list")
    if not isinstance(source, Iterable):
        raise TypeError(
            f"{where}: expected an iterable of parameters or a module, got {type(source).__name__}"
        )
    pairs: list[Named] = []
    for index, item in enumerate(source):
        name, value = _pair(item)
        check_parameter(value, f"{where}: {describe(index, name)}")
        pairs.append((name, value))
    return pairs


def _pair(item: Any) -> Named:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return item[0], item[1]
    return None, item


def _from_module(module: Any, where: str) -> list[Named]:
    """The parameters of a module in the order of parameters(), with the names of state_dict()."""
    if is_mlx_module(module):
        raise TypeError(
            f"{where}: the parameters of an mlx.nn.Module have no gradients; construct "
            f"the optimizer with the module alone and use update(model, grads)"
        )
    names: dict[int, list[str]] = {}
    if hasattr(module, "named_parameters"):
        listed = module.named_parameters()
    elif hasattr(module, "state_dict"):
        listed = module.state_dict(keep_vars=True).items()
    else:
        listed = ()
    for name, value in listed:
        names.setdefault(id(value), []).append(name)
    pairs: list[Named] = []
    for index, value in enumerate(module.parameters()):
        known = names.get(id(value), [])
        name = (known.pop(0) if len(known) > 1 else known[0]) if known else None
        check_parameter(value, f"{where}: {describe(index, name)}")
        pairs.append((name, value))
    return pairs


def without_repeats(pairs: list[Named], where: str) -> list[Named]:
    """Keep each parameter once; warn of those that came twice (tied weights)."""
    seen: dict[int, str] = {}
    kept: list[Named] = []
    repeated: list[str] = []
    for index, (name, value) in enumerate(pairs):
        label = describe(index, name)
        if id(value) in seen:
            repeated.append(f"{label} is {seen[id(value)]}")
        else:
            seen[id(value)] = label
            kept.append((name, value))
    if repeated:
        warnings.warn(
            f"{where}: {'; '.join(repeated)}. Tied weights are updated once.",
            UserWarning,
            stacklevel=warning_level(),
        )
    return kept
