"""The argument ``kernel``: which backends may update arrays, in which order.

Owns its values, what they mean for each kind of arrays, and the refusal of what cannot be had. The
one place that knows all backends. MLX is imported where there are MLX arrays, and to find out
whether a demand for a GPU can be met; what takes part in no step is not imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from typing import NamedTuple

import numpy as np

from ..checking import shown
from ..rules.rule import Rule
from .gpu import ANY
from .numpy import NumPy
from .protocol import Backend


class Loops(Enum):
    """Whether compiled C++ loops update arrays in the memory of the CPU."""

    NEVER = 0
    IF_THERE = 1
    DEMANDED = 2


class Choice(NamedTuple):
    """What a value of ``kernel`` means: for the arrays of NumPy, for those of MLX.

    ``gpu`` names the kernels for MLX's arrays: those of any GPU, of one language that is demanded,
    or None.
    """

    numpy_loops: Loops
    mlx_loops: Loops
    gpu: str | None


#: "auto" is the fastest that there is. A choice that does not speak of a kind of arrays is as under
#: "auto" there; but "numpy" compiles nothing for MLX's arrays either.
CHOICES = {
    "auto": Choice(Loops.IF_THERE, Loops.IF_THERE, ANY),
    "numpy": Choice(Loops.NEVER, Loops.NEVER, ANY),
    "cpp": Choice(Loops.DEMANDED, Loops.DEMANDED, ANY),
    "metal": Choice(Loops.IF_THERE, Loops.NEVER, "metal"),
    "cuda": Choice(Loops.IF_THERE, Loops.NEVER, "cuda"),
    "mlx": Choice(Loops.IF_THERE, Loops.NEVER, None),
}

#: What "auto" means where this variable is set.
VARIABLE = "LUCIDGEN_KERNEL"


def checked_kernel(kernel: str, label: str, rule: Rule | None) -> str:
    """The argument ``kernel``, refused if it is no choice or cannot be had."""
    named = kernel
    if kernel == "auto" and os.environ.get(VARIABLE):
        kernel, named = os.environ[VARIABLE], VARIABLE
    if kernel not in CHOICES:
        named = "kernel" if named == kernel else named
        raise ValueError(
            f"{label}: {named} must be one of {', '.join(CHOICES)}, got {shown(kernel)}"
        )
    if named == "cpp" and rule is not None and "cpp" not in rule.targets:
        why = "it reduces over tensors"
        if rule.elementwise:
            why = "the package was built without them"
        raise ValueError(
            f'{label}: kernel="cpp", but the dialect {rule.dialect!r} has no C++ loop: {why}; use '
            f'"auto" or "numpy"'
        )
    demand(kernel, label)
    return kernel


def demand(kernel: str, label: str) -> None:
    """Refuse a demand for a GPU that MLX does not run on."""
    language = gpu_kernels(kernel)
    if language is None or language == ANY:
        return
    try:
        from .gpu import trial
    except ImportError as error:
        raise RuntimeError(f'{label}: kernel="{kernel}" needs MLX: {error}') from error
    trial.demand(language, label)


def gpu_kernels(kernel: str) -> str | None:
    """Which kernels on a GPU are wanted: of `ANY`, of one language, or None at all."""
    return _choice(kernel).gpu


def backends(kernel: str, kind: type) -> Iterable[Backend]:
    """What may update arrays of a kind, in the order in which it is asked; the last takes all."""
    return _on_numpy(_choice(kernel)) if kind is np.ndarray else _on_mlx(_choice(kernel))


@cache
def _on_numpy(choice: Choice) -> tuple[Backend, ...]:
    if choice.numpy_loops is Loops.NEVER:
        return (NumPy(),)
    from .loops import numpy_memory

    return numpy_memory.Loops(choice.numpy_loops is Loops.DEMANDED), NumPy()


def _on_mlx(choice: Choice) -> Iterator[Backend]:
    """Each is imported when it is asked: where loops do everything, that is the first alone."""
    if choice.mlx_loops is not Loops.NEVER:
        yield _mlx_loops(choice.mlx_loops)
    yield _mlx(choice.gpu)


@cache
def _mlx_loops(wanted: Loops) -> Backend:
    from .loops import mlx_memory

    return mlx_memory.Loops(wanted is Loops.DEMANDED)


@cache
def _mlx(gpu: str | None) -> Backend:
    from . import mlx

    return mlx.MLX(gpu)


def _choice(kernel: str) -> Choice:
    return CHOICES.get(kernel, CHOICES["auto"])  # somebody may have set the attribute to anything
