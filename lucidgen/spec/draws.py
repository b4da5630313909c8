"""Random numbers in equations: what each call of `normal()` or `uniform()` stands for.

Owns the symbol. Which number it is in a step is a function of the seed, the step, the parameter and
the element (`lucidgen.runtime.rules.philox`), and none of the language's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any, Literal

import sympy

from .equation import Eq
from .quantities import Quantity

_serials = count(1)

Distribution = Literal["normal", "uniform"]


class Draw(Quantity):
    """A random number for each element of a parameter, another one in every step.

    Each call makes one of its own, that stands in one place: what is to be the same number in two
    is a series, `Eq(noise[t], normal())`. Draws are told apart and sorted by the order in which
    they were made.
    """

    distribution: Distribution
    serial: int

    def __new__(cls, distribution: Distribution, serial: int) -> Draw:
        self: Draw = sympy.Symbol.__xnew__(cls, f"{distribution}()", real=True)
        self.distribution, self.serial = distribution, serial
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[Distribution, int], dict[str, Any]]:
        return (self.distribution, self.serial), {}

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.serial)

    def sort_key(self, order: Any = None) -> Any:
        """As of any symbol; of two alike the first one comes first."""
        key, (number, names), *rest = super().sort_key(order)
        return key, (number + 1, (*names, f"{self.serial:09}")), *rest


def normal() -> Draw:
    """A standard normal number for each element, drawn anew in each step.

    It is the same on every backend, whatever the threads, the order of the parameters and their
    types, and also in a run that is resumed: see `seed` of the optimizers that draw.

    >>> noise = normal()
    >>> noise - noise, normal() - normal() == 0
    (0, False)
    """
    return Draw("normal", next(_serials))


def uniform() -> Draw:
    """A number of the uniform distribution on [0, 1) for each element, drawn anew in each step.

    It has 24 bits, and is the same as `normal` says. `when(uniform() < p, x, 0)` is x with
    probability p.
    """
    return Draw("uniform", next(_serials))


def anew(expr: sympy.Expr) -> sympy.Expr:
    """An expression with draws of its own, for another place."""
    old = sorted(expr.atoms(Draw), key=lambda draw: draw.serial)
    return expr.xreplace({draw: Draw(draw.distribution, next(_serials)) for draw in old})


def _in(equation: Eq) -> set[Draw]:
    return {symbol for symbol in equation.symbols if isinstance(symbol, Draw)}


def draws_of(equations: Iterable[Eq]) -> tuple[Draw, ...]:
    """The draws in some equations, in their order: the place of each is its number in the rule."""
    found = (sorted(_in(e), key=lambda draw: draw.serial) for e in equations)
    return tuple(dict.fromkeys(draw for draws in found for draw in draws))
