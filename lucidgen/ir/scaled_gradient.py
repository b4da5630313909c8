"""What happens to a gradient before the equations read it, as an expression of its own.

Owns that expression and the names in it. Where its numbers come from is the runtime's
(``clipping``, ``accumulation``).
"""

from __future__ import annotations

from functools import cache

import sympy

from .program import symbol

GRAD, SCALED_GRAD = symbol("grad"), symbol("scaled_grad")
FACTOR, BOUND = symbol("grad_factor"), symbol("grad_bound")

#: The static choice that gradients are changed before the equations read them.
SCALE_GRAD = "scale_grad"


@cache
def scaled_gradient() -> sympy.Expr:
    """The gradient that the equations read where `scale_grad` holds: scaled, then clipped.

    That is one multiplication and two comparisons for whatever is done to gradients before a step:
    maximizing (the factor -1), clipping by the global norm, the mean over several batches, clipping
    by value (else the bound is infinite).
    """
    return sympy.Max(-BOUND, sympy.Min(BOUND, FACTOR * GRAD))
