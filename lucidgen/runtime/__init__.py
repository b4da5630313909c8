"""What generated optimizers run on: groups, state, checkpoints, NumPy and MLX backends.

Knows no equations, and imports neither SymPy nor Jinja2 nor Lucid; MLX only when an MLX array is
met. All imports within are relative: the package may be copied into another.
"""

from .averaging import ExponentialMovingAverage
from .constructor import constructor
from .generation import GENERATION
from .multi_optimizer import MultiOptimizer
from .optimizer import Optimizer
from .options import Options
from .parameters import Parameter
from .rule import Flag, Hyper, Rule, State

__all__ = [
    "GENERATION",
    "ExponentialMovingAverage",
    "Flag",
    "Hyper",
    "MultiOptimizer",
    "Optimizer",
    "Options",
    "Parameter",
    "Rule",
    "State",
    "constructor",
]
