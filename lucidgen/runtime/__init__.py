"""What generated optimizers run on: groups, state, checkpoints, NumPy and MLX backends.

Knows no equations, and imports neither SymPy nor Jinja2 nor Lucid; MLX only when an MLX array is
met. All imports within are relative: the package may be copied into another. This module is the
front for people; that of generated code is ``rules``.
"""

from typing import TYPE_CHECKING, Any

from . import former
from .averaging import ExponentialMovingAverage
from .groups.constructor import constructor
from .groups.options import Options
from .groups.parameters import Parameter
from .optimizer import Optimizer
from .rules import GENERATION
from .trees.multi_optimizer import MultiOptimizer

__all__ = [
    "GENERATION",
    "ExponentialMovingAverage",
    "MultiOptimizer",
    "Optimizer",
    "Options",
    "Parameter",
    "constructor",
]

former.remember()


if not TYPE_CHECKING:  # a type checker shall know what is not here

    def __getattr__(name: str) -> Any:
        """Tell code of generation 2 what to do; nothing else comes here."""
        if name in former.NAMES:
            raise former.rebuild(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
