"""One combination of what a user of an optimizer chooses, and what it makes of the equations.

Owns which equations hold and which states there are under it, read as their author wrote them,
before any lowering and any pass. What they give in a step is the oracle's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import sympy

from ..ir.program import rebuilt
from ..operations import When
from ..operations.reals import Value, maximum, minimum, multiply, real
from ..spec.draws import Draw
from ..spec.equation import Eq
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import At, Flag, Hyper, Series, Shape
from .random_numbers import numbers

#: The losses of steps, where nobody says which.
LOSSES = (0.75, 2.5, -0.125, 0.0, 1.0 / 3.0)


@dataclass(frozen=True)
class Setting:
    """What the user chose: hyperparameters by symbol, flags by name, what happens to gradients.

    What is not given has the spec's default. The equations read the gradient with its sign changed
    if `maximize`, and clipped to at most `grad_bound` in magnitude. `shape` is the parameter's; it
    must be known where equations ask for it. What is random depends on `seed` and on `parameter`,
    which says which one it is: 0 is the first one of an optimizer, without a name. `losses` are
    those of steps, over and over.
    """

    spec: OptimizerSpec
    hypers: Mapping[str, float] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)
    maximize: bool = False
    grad_bound: float = math.inf
    shape: tuple[int, ...] | None = None
    seed: int = 0
    parameter: int = 0
    losses: tuple[float, ...] = LOSSES

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that the equations see of the parameter."""
        shape = self.shape
        if shape is None:
            raise ValueError(f"{self.spec.name} asks for shapes: say Setting(..., shape=...)")
        if len(shape) > 2 and self.spec.matrices == "first":
            return shape[0], math.prod(shape[1:])
        if len(shape) > 2 and self.spec.matrices == "exact":
            return (math.prod(shape),)
        return shape

    def number(self, symbol: sympy.Symbol) -> int:
        """A number of the shape."""
        below, beside = self.axes[-2:] if len(self.axes) > 1 else (1, math.prod(self.axes))
        counts = {"rows": below, "columns": beside, "size": math.prod(self.axes)}
        return counts.get(symbol.name, len(self.axes))

    def loss(self, t: int) -> float:
        """The loss that step t is given."""
        return self.losses[(t - 1) % len(self.losses)]

    def given(self, name: str, t: int) -> Value:
        """What the equations read of a number that step t is given."""
        assert name == "loss", name
        return real(self.grad_factor * self.loss(t))

    def drawn(self, draw: Draw, t: int, shape: tuple[int, ...]) -> Value:
        """The random numbers of a draw in step t."""
        number, of = self.spec.draws.index(draw), (self.seed, t, self.parameter)
        found = numbers(draw.distribution, *of, number, math.prod(shape))
        return real(np.array(found).reshape(shape))

    def holds(self, condition: sympy.Basic) -> bool:
        """Whether a comparison of numbers of the shape and arguments holds."""
        found = condition.func(*map(self._decided, condition.args))
        values = {h: sympy.Rational(self.hyper(h)) for h in found.atoms(Hyper)}
        values |= {number: sympy.Integer(self.number(number)) for number in found.atoms(Shape)}
        return bool(found.xreplace(values))

    @property
    def grad_factor(self) -> float:
        """What gradients are multiplied by."""
        return -1.0 if self.maximize else 1.0

    @property
    def scales_grad(self) -> bool:
        """Whether the equations read anything but the gradient itself."""
        return self.maximize or self.grad_bound < math.inf

    def scaled(self, grad: Value) -> Value:
        """The gradient as the equations read it."""
        if not self.scales_grad:
            return grad
        bound = real(self.grad_bound)
        return maximum(minimum(multiply(real(self.grad_factor), grad), bound), -bound)

    def hyper(self, symbol: sympy.Symbol) -> float:
        """The value of a hyperparameter."""
        if symbol.name in self.hypers:
            return self.hypers[symbol.name]
        for argument in (*self.spec.parameters, *self.spec.ignores):
            if isinstance(argument, Flag):
                continue
            default = self.spec.default(argument)
            values = (default,) if isinstance(argument, Hyper) else default
            for own, value in zip(argument.symbols, values, strict=True):
                if own.name == symbol.name:
                    return float(value)
        raise KeyError(symbol.name)

    def flag(self, symbol: sympy.Symbol) -> bool:
        """The value of a flag."""
        default = next((f.default for f in self.spec.flags if f == symbol), False)
        return self.flags.get(symbol.name, self.spec.defaults.get(symbol.name, default))

    def is_away(self, hyper: Hyper) -> bool:
        """Whether a hyperparameter is away from its special value."""
        return bool(self.hyper(hyper) != hyper.special)

    def resolved(self, expr: sympy.Basic) -> sympy.Basic:
        """An expression with flags, special values and the shape put in.

        Comparisons of anything else stay open.
        """
        known: dict[sympy.Basic, sympy.Basic] = {
            symbol: sympy.nsimplify(symbol.special, rational=True)
            for symbol in expr.atoms(Hyper)
            if symbol.special is not None and not self.is_away(symbol)
        }
        known |= {symbol: sympy.Integer(self.number(symbol)) for symbol in expr.atoms(Shape)}
        return self._decided(expr).xreplace(known)

    def _decided(self, expr: sympy.Basic) -> sympy.Basic:
        if isinstance(expr, When):
            condition, *branches = expr.args
            return When(self._condition(condition), *map(self._decided, branches))
        return rebuilt(expr, map(self._decided, expr.args))

    def _condition(self, expr: sympy.Basic) -> sympy.Basic:
        if isinstance(expr, Flag):
            return sympy.sympify(self.flag(expr))
        if isinstance(expr, Hyper):
            return sympy.sympify(self.is_away(expr))
        if isinstance(expr, sympy.And | sympy.Or | sympy.Not):
            return expr.func(*map(self._condition, expr.args))
        if expr.atoms(Shape) and all(isinstance(s, Shape | Hyper) for s in expr.free_symbols):
            return sympy.sympify(self.holds(expr))
        return rebuilt(expr, map(self._decided, expr.args))

    def value(self, equation: Eq) -> sympy.Expr:
        """The right side of an equation that matters under this setting."""
        return self.resolved(equation.normalised())

    def states(self) -> tuple[Series, ...]:
        """The states that live equations read, in the spec's order; and those that are kept.

        A state is live when the new parameter, or a kept series, depends on its last value under
        the flags and special values. First updates and conditions on the host do not count: a
        state outlives the step in which it is not read.
        """
        _, live = self._needed
        return tuple(s for s in self.spec.states if s.name in live)

    def live_equations(self) -> dict[tuple[str, str], sympy.Expr]:
        """The right sides that the new parameter and the kept series depend on, by left side.

        Settings with the same ones (and the same maximize) compute the same.
        """
        needed, _ = self._needed
        return {e.key: self.value(e) for e in self.spec.equations if e.key[0] in needed}

    @cached_property
    def _needed(self) -> tuple[set[str], set[str]]:
        """The series that live equations define, and those of them whose last value is read."""
        equations = self.spec.by_moment("t")
        by_name = {series.name: series for series in equations}
        kept = {s.name for s in self.spec.states if s.keep}
        needed, live, work = {"w"} | kept, set(kept), ["w", *kept]
        while work:
            value = self.value(equations[by_name[work.pop()]])
            for at in value.atoms(At):
                name = at.series.name
                if at.shift == -1:
                    live.add(name)
                if name in by_name and name not in needed:
                    needed.add(name)
                    work.append(name)
        return needed, live
