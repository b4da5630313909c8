"""One step over parameters that hold gradients: check all, compute, store.

Owns the order of things, clipping, accumulated gradients, masters of half-precision weights and
hooks. Does not own arithmetic on arrays (`backends`), nor trees (`trees`).
"""

from .accumulation import Accumulation

__all__ = ["Accumulation"]
