"""What generated code says of its GPU kernels: text, and what goes into which buffer.

Owns the data, and the meaning of the argument ``kernel``. ``gpu_backend`` makes kernels of the
data; MLX is imported only to find out whether a demand for a GPU can be met.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .rule import Rule


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


#: What may update arrays. "cpp": only compiled C++ loops, wherever arrays are in the memory of the
#: CPU. About NumPy's: NumPy itself; about MLX's: only kernels on Metal or CUDA, or MLX's own
#: functions. What a choice does not speak of is as under "auto", the fastest that there is; but
#: "numpy" compiles nothing for MLX's arrays either.
CHOICES = ("auto", "numpy", "cpp", "metal", "cuda", "mlx")

#: What "auto" means where this variable is set.
VARIABLE = "LUCIDGEN_KERNEL"


def checked_kernel(kernel: str, label: str, rule: Rule | None) -> str:
    """The argument ``kernel``, refused if it is no choice or cannot be had."""
    named = kernel
    if kernel == "auto" and os.environ.get(VARIABLE):
        kernel, named = os.environ[VARIABLE], VARIABLE
    if kernel not in CHOICES:
        named = "kernel" if named == kernel else named
        raise ValueError(f"{label}: {named} must be one of {', '.join(CHOICES)}, got {kernel!r}")
    if kernel == "cpp" and named == "cpp" and rule is not None and rule.cpp is None:
        raise ValueError(
            f'{label}: kernel="cpp", but the dialect {rule.dialect!r} has no C++ loop: it reduces '
            f'over tensors; use "auto" or "numpy"'
        )
    if kernel in ("metal", "cuda"):
        try:
            backend: Any = importlib.import_module(".gpu_backend", __package__)
        except ImportError as error:
            raise RuntimeError(f'{label}: kernel="{kernel}" needs MLX: {error}') from error
        backend.demand(kernel, label)
    return kernel


def on_numpy(kernel: str) -> str:
    """What the choice means for NumPy arrays."""
    return kernel if kernel in ("numpy", "cpp") else "auto"
