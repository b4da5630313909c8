"""What generated code says of its Metal kernels: text, and what goes into which buffer.

Owns the data, and the meaning of the argument ``kernel``. ``metal_backend`` makes kernels of the
data; MLX is imported only to find out whether a demand for Metal can be met.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Body:
    """A kernel's body for one set of live states: it loads, calls the function and stores.

    ``live`` are the states by their names in the rule; ``inputs`` and ``outputs`` name the buffers,
    in the order in which MLX is given them: w, grad, the live states, scalars, conditions and the
    number of elements; and the new w and live states.
    """

    live: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A rule's kernel for ``mx.fast.metal_kernel``: one thread updates one element.

    ``header`` holds the function for one element. ``scalars`` and ``conditions`` are what it reads
    of the host's values, as float and as bool; ``choices`` are its template arguments besides the
    type ``T``, by their names in the rule, and ``template`` their names in the text. ``tensors``
    (MLX code) computes what is one number per tensor and comes as a scalar: ``tensor_scalars``, and
    the new values of states that are 0-d arrays.
    """

    name: str
    header: str
    bodies: tuple[Body, ...]
    scalars: tuple[str, ...] = ()
    tensor_scalars: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    template: tuple[str, ...] = ()
    tensors: Callable[..., dict[str, Any]] | None = None

    def body(self, live: tuple[str, ...]) -> Body | None:
        """The body for these live element states."""
        return next((body for body in self.bodies if body.live == live), None)


#: What may update MLX arrays: kernels where MLX runs on Metal, only these, or MLX's own functions.
CHOICES = ("auto", "metal", "mlx")


def checked_kernel(kernel: str, label: str) -> str:
    """The argument ``kernel``, refused if it is no choice or cannot be had."""
    if kernel not in CHOICES:
        raise ValueError(f"{label}: kernel must be one of {', '.join(CHOICES)}, got {kernel!r}")
    if kernel == "metal":
        try:
            backend: Any = importlib.import_module(".metal_backend", __package__)
        except ImportError as error:
            raise RuntimeError(f'{label}: kernel="metal" needs MLX: {error}') from error
        backend.demand(kernel, label)
    return kernel
