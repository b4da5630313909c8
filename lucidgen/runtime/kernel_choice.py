"""The argument ``kernel``: which backends may update arrays, in which order.

Owns its values, what they mean for each kind of arrays, and the refusal of what cannot be had. The
one place that knows all backends. MLX is imported where there are MLX arrays, and to find out
whether a demand for a GPU can be met; what takes part in no step is not imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from .arrays import needed_mlx
from .backends.gpu import ANY
from .backends.protocol import Backend
from .checking import shown
from .rules.rule import Rule


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
        raise ValueError(
            f'{label}: kernel="cpp", but the dialect {rule.dialect!r} has no C++ loop: the package '
            f'was built without them, or it has too many static choices; use "auto" or "numpy"'
        )
    demand(kernel, label)
    return kernel


def demand(kernel: str, label: str) -> None:
    """Refuse a demand for a GPU that MLX does not run on."""
    language = gpu_kernels(kernel)
    if language is None or language == ANY:
        return
    try:
        needed_mlx(f'{label}: kernel="{kernel}"')
    except ImportError as error:
        raise RuntimeError(str(error)) from error
    from .backends.gpu import trial

    trial.demand(language, label)


def of_shares(kernel: str) -> str:
    """What computes sums over groups where a kernel is chosen for the step.

    A sum has no kernel on a GPU; loops are as much demanded for it as for the step, where they are.
    """
    return "mlx" if gpu_kernels(kernel) not in (None, ANY) else kernel


def gpu_kernels(kernel: str) -> str | None:
    """Which kernels on a GPU are wanted: of `ANY`, of one language, or None at all."""
    return _choice(kernel).gpu


@cache
def backends(kernel: str, kind: type) -> tuple[Callable[[], Backend], ...]:
    """What may update arrays of a kind, in the order in which it is asked; the last takes all.

    Each is imported, and made, when it is first called for: where loops do everything, that is the
    first alone.
    """
    choice = _choice(kernel)
    if kind is np.ndarray:
        return *_of_loops(choice.numpy_loops, _numpy_loops), _numpy
    return *_of_loops(choice.mlx_loops, _mlx_loops), partial(_mlx, choice.gpu)


def _of_loops(wanted: Loops, make: Callable[[bool], Backend]) -> list[Callable[[], Backend]]:
    return [] if wanted is Loops.NEVER else [partial(make, wanted is Loops.DEMANDED)]


@cache
def _numpy_loops(demanded: bool) -> Backend:
    from .backends.loops import numpy_memory

    return numpy_memory.Loops(demanded)


@cache
def _numpy() -> Backend:
    from .backends import numpy

    return numpy.NumPy()


@cache
def _mlx_loops(demanded: bool) -> Backend:
    from .backends.loops import mlx_memory

    return mlx_memory.Loops(demanded)


@cache
def _mlx(gpu: str | None) -> Backend:
    from .backends import mlx

    return mlx.MLX(gpu)


def _choice(kernel: str) -> Choice:
    return CHOICES.get(kernel, CHOICES["auto"])  # somebody may have set the attribute to anything
