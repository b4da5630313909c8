"""The one front of generated code: the data that it is made of, and the functions that it calls.

Owns what rules, states and hyperparameters are, the functions (`ieee` of floats, `mlx_functions` of
MLX arrays, `captured` of both alike), and the generation of generated code. Does not own what is
done with any of it.
"""

from .generation import GENERATION
from .rule import Draw, Elsewhere, Flag, Hyper, Round, Rule, State

__all__ = ["GENERATION", "Draw", "Elsewhere", "Flag", "Hyper", "Round", "Rule", "State"]
