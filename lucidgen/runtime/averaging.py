"""The exponential moving average of weights, for evaluation.

Owns the averages and their equation, and the exchange of weights with them. When weights have
changed is for the caller to say, or for an optimizer that is followed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .arrays import as_mlx, as_real, is_mlx, is_mlx_module
from .backends.numpy import CHUNK
from .checking import as_bool, as_count, as_number, listed, shown
from .groups.parameters import collect, without_repeats
from .step.hooks import Handle

Array = Any

#: An array of int32 counts them in the MLX idiom.
_MOST_UPDATES = 2_000_000_000


class ExponentialMovingAverage:
    r"""The exponential moving average of weights.

    .. math::

        a_0 = w_0, \qquad a_t = d_t \, a_{t-1} + (1 - d_t) \, w_t, \qquad
        d_t = \begin{cases}
            \min \left( d, \frac{1 + t}{10 + t} \right) & \text{with warmup} \\
            d & \text{otherwise}
        \end{cases}

    Here :math:`t` counts the updates, and :math:`d` is ``decay``. Averages are kept in float32, or
    in float64 for weights of that type.

    Parameters
    ----------
    source : iterable of parameters or of (name, parameter) pairs; a module; or an optimizer
        Whose weights to average. Of an mlx.nn.Module ``state`` can be captured by mx.compile, as
        that of an optimizer can.
    decay : float from 0 to 1, default 0.999
        How much of the average an update keeps.
    warmup : bool, default False
        Whether to keep less in the first updates, so that early weights are soon forgotten.

    Examples
    --------
    >>> import numpy as np
    >>> from lucidgen import Parameter
    >>> w = Parameter(np.zeros(2))
    >>> average = ExponentialMovingAverage([w], decay=0.75)
    >>> w.data = np.full(2, 8.0)
    >>> average.update()
    >>> with average.averaged():
    ...     print(w.data)
    [2. 2.]
    >>> print(w.data)
    [8. 8.]
    """

    def __init__(self, source: Any, decay: float = 0.999, *, warmup: bool = False) -> None:
        label = type(self).__name__
        self._weights: _Parameters | _Module = (
            _Module(source) if is_mlx_module(source) else _Parameters(source, label)
        )
        self.warmup = as_bool(warmup, f"{label}: warmup")
        #: The averages by name (else by position), the decay and the number of updates.
        self.state: dict[str, Any] = {
            "averages": {key: _wide(data) for key, data in self._weights.get().items()},
            "updates": self._weights.number(0),
        }
        self.decay = decay
        self._is_out = False

    @property
    def decay(self) -> Any:
        """How much of the average an update keeps."""
        return self.state["decay"]

    @decay.setter
    def decay(self, value: float) -> None:
        label = f"{type(self).__name__}: decay"
        number = as_number(value, label)
        if not 0 <= number <= 1:
            raise ValueError(f"{label} must be from 0 to 1, got {number!r}")
        self.state["decay"] = self._weights.number(number)

    def update(self) -> None:
        """Take the present weights into the average."""
        if self._is_out:
            raise RuntimeError(
                f"{type(self).__name__}: the weights are the averages now; update after the block"
            )
        averages, weights = self.state["averages"], self._weights.get()
        for key, data in weights.items():
            if key not in averages or tuple(averages[key].shape) != tuple(data.shape):
                raise ValueError(
                    f"{type(self).__name__}: parameter {key!r} has shape {tuple(data.shape)}, its "
                    f"average {tuple(averages[key].shape) if key in averages else 'none'}"
                )
        weights = self._weights.apart(weights)
        updates = self.state["updates"] + 1
        rate = 1 - self._weights.kept(self.decay, updates, self.warmup)
        for key, data in weights.items():
            averages[key] = _moved(averages[key], data, rate)
        self.state["updates"] = updates
        self._weights.settle(averages)

    def follow(self, optimizer: Any) -> Handle:
        """Update after each update of an optimizer, until the returned handle removes this.

        Raises
        ------
        TypeError
            If it is no optimizer.
        """
        if not hasattr(optimizer, "register_step_post_hook"):
            raise TypeError(
                f"{type(self).__name__}: follow takes an optimizer, got {shown(optimizer)} "
                f"({type(optimizer).__name__})"
            )

        def update(followed: Any, *_: Any) -> None:
            if not followed.accumulated:
                self.update()

        return optimizer.register_step_post_hook(update)  # type: ignore[no-any-return]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the weights are their averages."""
        if self._is_out:
            raise RuntimeError(f"{type(self).__name__}: the weights are the averages already")
        weights = self._weights.get()
        averages = self.state["averages"]
        self._weights.put({key: _cast(averages[key], data) for key, data in weights.items()})
        self._is_out = True
        try:
            yield
        finally:
            self._is_out = False
            self._weights.put(weights)

    def state_dict(self) -> dict[str, Any]:
        """The averages, copied, with the decay and the number of updates."""
        return {
            "averages": {key: _wide(array) for key, array in self.state["averages"].items()},
            "decay": float(self.decay),
            "updates": int(self.state["updates"]),
            "warmup": self.warmup,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned; what does not fit changes nothing."""
        label, own = type(self).__name__, self.state["averages"]
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{label}: expected a state dict, got {type(state_dict).__name__}")
        missing = {"averages", "decay", "updates", "warmup"} - set(state_dict)
        if missing:
            raise ValueError(f"{label}: {', '.join(map(repr, sorted(missing)))} not in the dict")
        saved = state_dict["averages"]
        if not isinstance(saved, Mapping):
            raise TypeError(f"{label}: the saved averages must be a dict, got {shown(saved)}")
        warmup = as_bool(state_dict["warmup"], f"{label}: warmup")
        if saved.keys() != own.keys():
            different = sorted(map(str, saved.keys() ^ own.keys()))
            raise ValueError(f"{label}: the parameters differ: {listed(different)}")
        arrays = {key: as_real(key, array, label) for key, array in saved.items()}
        for key, array in arrays.items():
            if array.shape != tuple(own[key].shape):
                raise ValueError(
                    f"{label}: the average of {shown(key)} was saved with shape {array.shape}, "
                    f"the parameter has {tuple(own[key].shape)}"
                )
        made = {key: _like(arrays[key], array) for key, array in own.items()}
        updates = as_count(state_dict["updates"], f"{label}: updates", at_least=0)
        if updates > _MOST_UPDATES:
            raise ValueError(
                f"{label}: updates must be at most {_MOST_UPDATES}, got {shown(updates)}"
            )
        self.decay = state_dict["decay"]
        self.warmup = warmup
        self.state["averages"] = made
        self.state["updates"] = self._weights.number(updates)


class _Parameters:
    """The weights of parameters, by name or by position."""

    def __init__(self, source: Any, label: str) -> None:
        if hasattr(source, "param_groups"):
            source = [
                pair
                for group in source.param_groups
                for pair in zip(
                    group.get("param_names") or [None] * len(group["params"]),
                    group["params"],
                    strict=True,
                )
            ]
            source = [param if name is None else (name, param) for name, param in source]
        pairs = without_repeats(collect(source, label), label)
        if not pairs:
            raise ValueError(f"{label}: no parameters to average (an empty list)")
        self.members: dict[Any, Any] = {
            index if name is None else name: param for index, (name, param) in enumerate(pairs)
        }

    def get(self) -> dict[Any, Array]:
        return {key: param.data for key, param in self.members.items()}

    def apart(self, arrays: dict[Any, Array]) -> dict[Any, Array]:
        return arrays

    def put(self, arrays: Mapping[Any, Array]) -> None:
        for key, param in self.members.items():
            param.data = arrays[key]

    def number(self, value: float) -> Any:
        return value

    def kept(self, decay: float, updates: int, warmup: bool) -> float:
        return min(decay, (1 + updates) / (10 + updates)) if warmup else decay

    def settle(self, averages: Mapping[Any, Array]) -> None:
        """Evaluate what is lazy: nothing else would."""
        lazy = [array for array in averages.values() if is_mlx(array)]
        if lazy:
            sys.modules["mlx.core"].eval(lazy)


class _Module:
    """The weights of an mlx.nn.Module; nothing is evaluated here."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def get(self) -> dict[Any, Array]:
        from .trees.leaves import leaves

        return dict(leaves(self.module.trainable_parameters()))

    def apart(self, arrays: dict[Any, Array]) -> dict[Any, Array]:
        """The same arrays, with which mx.compile does not fuse what made them.

        Where a captured step is large, it loses arrays in fusing it: IndexError (mlx issue 3165).
        """
        found = list(arrays.values())
        return dict(zip(arrays, sys.modules["mlx.core"].depends(found, found), strict=True))

    def put(self, arrays: Mapping[Any, Array]) -> None:
        from .trees.leaves import replaced

        self.module.update(replaced(self.module.trainable_parameters(), arrays))

    def number(self, value: float) -> Any:
        return sys.modules["mlx.core"].array(value)

    def kept(self, decay: Array, updates: Array, warmup: bool) -> Array:
        mx = sys.modules["mlx.core"]
        return mx.minimum(decay, (1 + updates) / (10 + updates)) if warmup else decay

    def settle(self, averages: Mapping[Any, Array]) -> None:
        """Whoever runs or captures the training step evaluates the state."""


def _wide(data: Array) -> Array:
    """A copy, in float32 at least."""
    if is_mlx(data):
        mx = sys.modules["mlx.core"]
        return data.astype(mx.float32) if data.dtype.size < 4 else mx.array(data)
    return np.array(data, dtype=np.result_type(data.dtype, np.float32), order="C")


def _like(saved: np.ndarray[Any, Any], own: Array) -> Array:
    """A copy of a saved array as one of the library and type of ``own``."""
    if is_mlx(own):
        return as_mlx(saved, own.dtype)
    return np.array(saved, dtype=own.dtype)


def _cast(average: Array, data: Array) -> Array:
    """A copy of an average in the type of the weights."""
    if is_mlx(average):
        return average.astype(data.dtype)
    with np.errstate(over="ignore"):
        return average.astype(data.dtype)


def _moved(average: Array, data: Array, rate: Any) -> Array:
    """average + rate (data - average): in place for NumPy, in parts that stay in the caches."""
    if is_mlx(average):
        return average + rate * (data.astype(average.dtype) - average)
    flat, weights = average.reshape(-1), np.asarray(data).reshape(-1)
    work = np.empty(min(CHUNK, flat.size), flat.dtype)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            step = np.subtract(weights[start : start + CHUNK], part, out=work[: part.size])
            step *= rate
            part += step
    return average
