"""The truth that everything emitted is held against: a spec's own equations to 50 digits.

Owns the meaning of a spec in a step: what its equations give, how states begin. It reads the
equations as their author wrote them, before any lowering and any pass, and shares no code with
those. Hyperparameters count as the exact values of their doubles. Which equations hold under a
user's choices is `setting`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy

from ..operations import HEADS, OPERATIONS, OverGroup
from ..operations.reals import Value, real
from ..spec.domains import Domain, infer_domains
from ..spec.draws import Draw
from ..spec.equation import Eq
from ..spec.quantities import At, Given, t
from .exact import evaluate
from .setting import Setting


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
        if isinstance(symbol, Given):
            return self.setting.given(symbol.name, self.together.before.t + 1)
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
        if isinstance(symbol, Given):
            return self.setting.given(symbol.name, self.before.t + 1)
        return real(self.before.t + 1 if symbol == t else self.setting.hyper(symbol))
