"""What generated code says of its GPU kernels: text, and what goes into which buffer.

Owns the data, and the meaning of the argument ``kernel``. ``gpu_backend`` makes kernels of the
data; MLX is imported only to find out whether a demand for a GPU can be met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Body:
    """A kernel's body for one set of live states: for element i it loads, calls and stores.

    ``live`` are the states by their names in the rule; ``inputs`` and ``outputs`` name the buffers,
    in the order in which MLX is given them: w, grad, the live states, scalars and conditions; and
    the new w and live states. The runtime puts the lines before it that find i.
    """

    live: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A rule's kernel for MLX: one thread updates one element.

    ``dialect`` is the language of its text (``dialects``). ``header`` holds the function for one
    element. ``scalars`` and ``conditions`` are what it reads of the host's values, as float and as
    bool; ``choices`` are its template arguments besides the type ``T``, by their names in the rule,
    and ``template`` their names in the text. ``tensors`` (MLX code) computes what is one number per
    tensor and comes as a scalar: ``tensor_scalars``, and the new values of states that are 0-d
    arrays.
    """

    name: str
    dialect: str
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
