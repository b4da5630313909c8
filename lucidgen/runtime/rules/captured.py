"""Scalar functions of Python floats and of MLX arrays alike, for a training step captured whole.

There t and lr are arrays while the other hyperparameters are Python floats: what is known as a
float stays one (``log(beta2)``), the rest becomes part of the graph. Owns no arithmetic of its
own: floats go to ``ieee``, arrays to ``mlx_functions``.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from . import ieee, mlx_functions


def __getattr__(name: str) -> Any:
    """A function of ``ieee``, for arrays too; MLX calls it by the same name."""
    of_floats, of_arrays = getattr(ieee, name), getattr(mlx_functions, name)

    def function(*args: Any) -> Any:
        for arg in args:
            if isinstance(arg, mx.array):
                return of_arrays(*args)
        return of_floats(*args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}, of floats in double or of arrays in the graph."
    globals()[name] = function
    return function
