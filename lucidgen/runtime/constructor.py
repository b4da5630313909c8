"""What marks the constructors of generated classes.

Owns the note of which arguments a caller passed. What they mean is the base class's business.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, cast

from . import options
from .groups import nearest

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

    @functools.wraps(init)
    def wrapper(self: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        for name in kwargs:
            if name not in names:
                raise TypeError(
                    f"{type(self).__name__}() has no argument {name!r}; {nearest(name, names)}"
                )
        self._given = frozenset(signature.bind(self, *args, **kwargs).arguments)
        init(self, *args, **kwargs)

    return cast(Callable[Concatenate[Any, P], None], wrapper)
