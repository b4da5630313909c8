"""Scalar functions of Python floats and of MLX arrays alike, for a training step captured whole.

There t and lr are arrays while the other hyperparameters are Python floats: what is known as a
float stays one (``log(beta2)``), the rest becomes part of the graph. Owns no arithmetic of its
own: floats go to ``ieee``, arrays to MLX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from . import ieee


def _either(name: str, of_arrays: Callable[..., Any]) -> Callable[..., Any]:
    of_floats = getattr(ieee, name)

    def function(*args: Any) -> Any:
        if any(isinstance(arg, mx.array) for arg in args):
            return of_arrays(*args)
        return of_floats(*args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}, of floats in double or of arrays in the graph."
    return function


sqrt, exp, expm1 = _either("sqrt", mx.sqrt), _either("exp", mx.exp), _either("expm1", mx.expm1)
log, tanh, sign = _either("log", mx.log), _either("tanh", mx.tanh), _either("sign", mx.sign)
maximum, minimum = _either("maximum", mx.maximum), _either("minimum", mx.minimum)
power, where = _either("power", mx.power), _either("where", mx.where)
