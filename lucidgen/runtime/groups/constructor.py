"""What marks the constructors of generated classes.

Owns the note of which arguments a caller passed, and the two ways to pass a learning rate that
mlx.optimizers have: first, or as ``learning_rate``. What arguments mean is the base class's
business.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, Concatenate, ParamSpec, cast

from ..checking import nearest, shown
from . import options

P = ParamSpec("P")


def constructor(
    init: Callable[Concatenate[Any, P], None],
) -> Callable[Concatenate[Any, P], None]:
    """Mark the ``__init__`` of a generated class: note which arguments the caller passed.

    A dialect may have other defaults than the signature shows; they replace what was not passed.
    """
    signature = inspect.signature(init)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if len(names) < len(parameters):
        names += options.NAMES
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(init)
    def wrapper(self: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        rate = next((rule.rate for rule in self.rules.values()), None)
        if rate in names and ("learning_rate" in kwargs or _is_learning_rate(args[:1])):
            args, kwargs = _as_ours(type(self).__name__, args, kwargs, rate)  # type: ignore[assignment]
        for name in kwargs:
            if name not in names:
                raise TypeError(
                    f"{type(self).__name__}() has no argument {shown(name)}; {nearest(name, names)}"
                )
        if len(args) > len(positional):
            raise TypeError(
                f"{type(self).__name__}() takes {', '.join(positional)} by position; libraries "
                f"have different orders for what comes then, so give it by name"
            )
        self._given = frozenset(signature.bind(self, *args, **kwargs).arguments)
        init(self, *args, **kwargs)

    return cast(Callable[Concatenate[Any, P], None], wrapper)


def _is_learning_rate(first: tuple[Any, ...]) -> bool:
    """Whether a first argument is what mlx.optimizers have there."""
    return any(isinstance(value, float | FunctionType) for value in first)


def _as_ours(
    label: str, args: tuple[Any, ...], kwargs: dict[str, Any], rate: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of mlx.optimizers, whose ``learning_rate`` comes first, under our names."""
    rest = {key: value for key, value in kwargs.items() if key != "learning_rate"}
    given = [kwargs["learning_rate"]] if "learning_rate" in kwargs else []
    if _is_learning_rate(args[:1]):
        if len(args) > 1:
            raise TypeError(
                f"{label}: after a learning rate in the first place all arguments need their names"
            )
        given.append(args[0])
        args = ()
    if len(given) + len(args[1:2]) + (rate in rest) > 1:
        raise TypeError(f"{label}: the learning rate is given twice")
    return args, {**rest, rate: given[0]}
