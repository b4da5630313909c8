"""The truth that everything emitted is held against: a spec's own equations to 50 digits.

Owns the meaning of a spec: which equations hold in a step, when a state exists, how it begins. It
reads the equations as their author wrote them, before any lowering and any pass, and shares no code
with those. Hyperparameters count as the exact values of their doubles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from ..ir.program import rebuilt
from ..operations import HEADS, OPERATIONS, OverGroup, When
from ..operations.reals import Value, maximum, minimum, multiply, real
from ..spec.domains import Domain, infer_domains
from ..spec.draws import Draw
from ..spec.equation import Eq
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import At, Flag, Hyper, Series, Shape, t
from .exact import evaluate
from .random_numbers import numbers


@dataclass(frozen=True)
class Setting:
    """What the user chose: hyperparameters by symbol, flags by name, what happens to gradients.

    What is not given has the spec's default. The equations read the gradient with its sign changed
    if `maximize`, and clipped to at most `grad_bound` in magnitude. `shape` is the parameter's; it
    must be known where equations ask for it. What is random depends on `seed` and on `parameter`,
    which says which one it is: 0 is the first one of an optimizer, without a name.
    """

    spec: OptimizerSpec
    hypers: Mapping[str, float] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)
    maximize: bool = False
    grad_bound: float = math.inf
    shape: tuple[int, ...] | None = None
    seed: int = 0
    parameter: int = 0

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
        if expr.atoms(Shape) and not expr.atoms(At) and not expr.has(t):
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


@dataclass
class Trajectory:
    """A parameter under an optimizer: its value, its states, and what `step` makes of them.

    Parameters
    ----------
    setting : Setting
        The optimizer and its arguments; may be exchanged between steps.
    w : array
        The parameter, in the shape in which reductions see it.
    states : dict of arrays and numbers, optional
        What exists already, by the name of the series.
    t : int
        The steps done.

    >>> from lucidgen.specs.sgd import SGD
    >>> run = Trajectory(Setting(SGD, {"lr": 0.5, "momentum": 0.5}), np.array([1.0]))
    >>> for _ in range(2):
    ...     run.step(np.array([2.0]))
    >>> print(run.w[0], run.states["b"][0])
    -1.5 3.0
    """

    setting: Setting
    w: Value
    states: dict[str, Value] = field(default_factory=dict)
    t: int = 0

    def __post_init__(self) -> None:
        if self.setting.shape is None:
            self.setting = replace(self.setting, shape=np.shape(self.w))
        self.w = _real(self.w)
        self.states = {name: _real(value) for name, value in self.states.items()}

    def step(self, grad: Any) -> None:
        """Move the parameter and the live states by one step.

        What is per group is of a group that has no other parameters, and is among the states.
        """
        alone = self.alone()
        alone.step([grad])
        self.states |= alone.states

    def alone(self) -> Group:
        """The group of this parameter alone."""
        return Group([self], dict(self.states), self.t)

    def last(self, name: str) -> Value:
        """The value of a series before the next step: what the state holds, or how it starts."""
        return self.alone().moments([real(np.zeros(np.shape(self.w)))])[0].last(name)


@dataclass
class Group:
    """The parameters of a group under an optimizer, and what is kept once for all of them.

    Parameters
    ----------
    members : list of Trajectory
        The parameters, all under one optimizer and its arguments.
    states : dict, optional
        The numbers that the group has already, by the name of the series.
    t : int
        The steps in which any of its parameters took part.

    >>> from lucidgen.specs.dog import DoG
    >>> group = Group([Trajectory(Setting(DoG), np.array([1.0])) for _ in range(2)])
    >>> group.step([np.array([3.0]), None])
    >>> group.step([np.array([3.0]), np.array([4.0])])
    >>> print(group.states["squares"], group.t, [member.t for member in group.members])
    34.0 2 [2, 1]
    """

    members: list[Trajectory]
    states: dict[str, Value] = field(default_factory=dict)
    t: int = 0

    def __post_init__(self) -> None:
        names = infer_domains(self.members[0].setting.spec)
        self.names = [name for name, domain in names.items() if domain is Domain.GROUP]
        self.states = {n: _real(v) for n, v in self.states.items() if n in self.names}

    def moments(self, grads: Sequence[Any]) -> list[_Moment]:
        """A step, as each parameter sees it that has a gradient."""
        together = _Together(self)
        for member, grad in zip(self.members, grads, strict=True):
            if grad is not None:
                together.moments.append(_Moment(member, _real(grad), together))
        return together.moments

    def step(self, grads: Sequence[Any]) -> None:
        """Move the parameters that have a gradient, and what the group keeps, by one step."""
        found: list[tuple[Trajectory, Value, dict[str, Value]]] = []
        for moment in self.moments(grads):
            live = [series.name for series in moment.setting.states()]
            new = {name: moment.now(name) for name in live}
            found.append((moment.before, moment.now("w"), new))
        for member, w, new in found:
            self.states |= {name: new.pop(name) for name in self.names if name in new}
            member.w, member.t = w, member.t + 1
            member.states |= new
        self.t += bool(found)


def spread(value: Value, domain: Domain, shape: tuple[int, ...]) -> Value:
    """A value with as many entries as its domain has in a parameter of some shape.

    Rows and columns are those of matrices: of fewer axes, a value is what its case makes of it.
    """
    shapes = {
        Domain.ELEMENT: shape,
        Domain.MATRIX: (*shape[:-2], 1, 1),
        Domain.ROW: (*shape[:-1], 1),
        Domain.COLUMN: (*shape[:-2], 1, *shape[-1:]),
    }
    if domain not in shapes or (domain is not Domain.ELEMENT and len(shape) < 2):
        return value
    return np.broadcast_to(np.asarray(value, dtype=object), shapes[domain])


def _real(value: Any) -> Value:
    is_exact = isinstance(value, np.ndarray) and value.dtype == object
    return value if is_exact else real(value)


class _Equations:
    """The equations of a step under a setting, and what they give."""

    def __init__(self, setting: Setting) -> None:
        spec, self.setting = setting.spec, setting
        self.domains = infer_domains(spec)
        self.live = {series.name for series in setting.states()}
        self.equations = {s.name: e for s, e in spec.by_moment("t").items()}
        self.firsts = {s.name: e for s, e in spec.by_moment("first").items()}
        self.starts = {s.name: e for s, e in spec.by_moment("start").items()}
        self.done: dict[str, Value] = {}

    def defined(self, name: str, states: Mapping[str, Value], t: int) -> Eq:
        """The equation that holds of a series in this step."""
        created = name not in states if name in self.live else t == 0
        first = self.firsts.get(name) if created else None
        return first or self.equations[name]

    def evaluated(self, expr: sympy.Basic, together: _Together) -> Value:
        """The value of an expression; what it reduces over the group is asked of the group."""
        sums = {over: sympy.Dummy() for over in expr.atoms(OverGroup)}
        of = {symbol: over for over, symbol in sums.items()}
        expr = expr.xreplace(sums)
        return evaluate(expr, lambda s: together.reduced(of[s]) if s in of else self.leaf(s))

    def leaf(self, symbol: sympy.Symbol) -> Value:
        """The value of a symbol of an equation."""
        raise NotImplementedError


class _Moment(_Equations):
    """One step of a trajectory: every series' value before and after it, when asked for."""

    def __init__(self, before: Trajectory, grad: Value, together: _Together) -> None:
        super().__init__(before.setting)
        self.before, self.together = before, together
        self.done["grad"] = self.setting.scaled(grad)

    def now(self, name: str) -> Value:
        """The value of a series after the step."""
        if self.domains[name] is Domain.GROUP:
            return self.together.now(name)
        if name not in self.done:
            equation = self.defined(name, self.before.states, self.before.t)
            value = self.evaluated(self.setting.value(equation), self.together)
            self.done[name] = self.shaped(name, value)
        return self.done[name]

    def shaped(self, name: str, value: Value) -> Value:
        """The value with as many entries as the series has."""
        return spread(value, self.domains[name], np.shape(self.before.w))

    def last(self, name: str) -> Value:
        """The value of a series before the step: what the state holds, or its start."""
        if name == "w":
            return self.before.w
        if self.domains[name] is Domain.GROUP:
            return self.together.last(name)
        if name in self.before.states:
            return self.before.states[name]
        start = self.starts.get(name)
        return self.shaped(
            name, evaluate(self.setting.value(start), self.leaf) if start else real(0)
        )

    def leaf(self, symbol: sympy.Symbol) -> Value:
        if isinstance(symbol, At):
            name = symbol.series.name
            if symbol.index == 0:
                return self.before.w
            return self.now(name) if symbol.shift == 0 else self.last(name)
        if symbol == t:
            return real(self.before.t + 1)
        if isinstance(symbol, Draw):
            return self.setting.drawn(symbol, self.before.t + 1, np.shape(self.before.w))
        return real(self.setting.hyper(symbol))


class _Together(_Equations):
    """One step of a group: what is one number for all of its parameters that take part."""

    def __init__(self, before: Group) -> None:
        super().__init__(before.members[0].setting)
        self.before = before
        self.moments: list[_Moment] = []

    def now(self, name: str) -> Value:
        """The value of a series of the group, or of the host as the group counts, after it."""
        if name not in self.done:
            equation = self.defined(name, self.before.states, self.before.t)
            self.done[name] = self.evaluated(self.setting.value(equation), self)
        return self.done[name]

    def last(self, name: str) -> Value:
        """The value of a series of the group before the step."""
        if name in self.before.states:
            return self.before.states[name]
        start = self.starts.get(name)
        return evaluate(self.setting.value(start), self.leaf) if start else real(0)

    def reduced(self, over: OverGroup) -> Value:
        """A reduction over the elements of all parameters that take part."""
        (reduction,) = over.args
        (operand,) = reduction.args
        parts = [np.ravel(moment.evaluated(operand, self)) for moment in self.moments]
        every = np.concatenate(parts).astype(object)
        return OPERATIONS[HEADS[type(reduction)]].meaning(every)

    def leaf(self, symbol: sympy.Symbol) -> Value:
        if isinstance(symbol, At):
            name = symbol.series.name
            return self.now(name) if symbol.shift == 0 else self.last(name)
        return real(self.before.t + 1 if symbol == t else self.setting.hyper(symbol))
