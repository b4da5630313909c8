"""How far an emitted step may be from the equations because it computes with floats.

Owns the running error bound of a program and of a trajectory. It evaluates the operation trees that
the targets print, in the arithmetic of `operations.bounds`, whose docstring has the derivation:
host lets in double, body lets in the array's own type, and every scalar that a body let reads
rounded to that type on its way (both targets pass scalars as arrays of it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np
import sympy
from sympy.logic.boolalg import BooleanAtom

from ..ir.groups import GROUP_SIZE, split
from ..ir.lower import lower_rounds
from ..ir.lowering import draw_symbols
from ..ir.program import Input, Let, Program, series_of
from ..operations import OPERATIONS
from ..operations.bounds import FLOAT64, Approximation, Format, Truth
from ..operations.reals import INFINITY, REALS, Value, real
from ..passes import optimize
from ..spec.domains import Domain, domain_of, infer_domains
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import At, Hyper
from ..targets.common.trees import Node, Op, tree_of
from .oracle import spread
from .setting import Setting


class Undecided(ArithmeticError):
    """A condition on the host lies within its own rounding error: either branch may be taken."""


def approximations(values: Any) -> Any:
    """Exact numbers or arrays of them as what a machine has without error."""
    if isinstance(values, np.ndarray):
        return np.frompyfunc(Approximation, 1, 1)(values)
    return Approximation(values)


def bounded(name: str, kind: Format, *operands: Any) -> Any:
    """What an operation makes of approximations, or of arrays of them."""
    row = OPERATIONS[name]
    if row.leaves or not any(isinstance(x, np.ndarray) for x in operands):
        return row.bound(kind, *operands)
    return np.frompyfunc(partial(row.bound, kind), len(operands), 1)(*operands)


@cache
def _trees(program: Program) -> dict[Let, Node]:
    known = program.domains
    return {let: tree_of(let.value, lambda e: domain_of(e, known)) for let in program.lets}


def run(
    program: Program, inputs: Mapping[str, Any], on: Mapping[str, bool], kind: Format
) -> dict[str, Any]:
    """What a machine leaves behind that runs a program on arrays of one format.

    Parameters
    ----------
    program : Program
        As the targets print it.
    inputs : mapping
        Approximations, or arrays of them, by the names of the inputs.
    on : mapping
        The static choices; those of the host are computed.
    kind : Format
        The arrays' format.

    Raises
    ------
    Undecided
        If rounding may decide which branch the host takes.
    """
    known = {i.symbol: inputs[i.symbol.name] for i in program.inputs if i.symbol.name in inputs}
    choices = {name: on.get(name, False) for name in program.choices}
    for let in program.lets:
        if let.guard.holds(choices):
            value = _value(_trees(program)[let], known, program, let.domain, kind)
            known[let.target] = value
            if isinstance(value, Truth) and let.target.name in choices:
                if not value.sure:
                    raise Undecided(f"{program.name}: {let.target}")
                choices[let.target.name] = value.answer
    return {
        series_of(output.before): known[output.after]
        for output in program.outputs
        if output.live.holds(choices)
    }


def _value(
    node: Node,
    known: Mapping[sympy.Symbol, Any],
    program: Program,
    domain: Domain,
    kind: Format,
) -> Any:
    own = FLOAT64 if domain is Domain.HOST else kind
    if isinstance(node, Op):
        operands = [_value(arg, known, program, domain, kind) for arg in node.args]
        return bounded(node.name, own, *operands)
    if isinstance(node, sympy.Symbol):
        value = known[node]
        is_host = program.domains[node] is Domain.HOST and isinstance(value, Approximation)
        return own.stored(value) if is_host else value
    if isinstance(node, BooleanAtom):
        return Truth(bool(node), sure=True)
    return own.constant(node)


@dataclass
class Enclosure:
    """A trajectory of floats: at every step the exact values and how far a machine may be off.

    Errors are carried from step to step in the states and in w, so that the bound holds for the
    whole trajectory from exact inputs on. Its arguments are those of `oracle.Trajectory`, whose
    steps it accompanies, with the optimized program and the format of the arrays.
    """

    setting: Setting
    program: Program
    kind: Format
    w: Any
    states: dict[str, Any] = field(default_factory=dict)
    t: int = 0

    def __post_init__(self) -> None:
        if self.setting.shape is None:
            self.setting = replace(self.setting, shape=np.shape(self.w))
        self.w = approximations(real(self.w))
        self.states = {n: approximations(real(value)) for n, value in self.states.items()}

    def step(self, grad: Any) -> None:
        """The next step, with an exact gradient.

        What is per group is of a group that has no other parameters, and is among the states.
        """
        alone = GroupEnclosure([self], dict(self.states), self.t)
        alone.step([grad])
        self.states |= alone.states

    def moved(self, program: Program, grad: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a program of a step leaves behind, which is given numbers of a group."""
        on = self.choices(program)
        inputs = {
            "t": approximations(real(self.t + 1)),
            "w[t - 1]": self.w,
            "grad": approximations(real(grad)),
            "grad_factor": Approximation(real(self.setting.grad_factor)),
            "grad_bound": Approximation(real(self.setting.grad_bound)),
            **{h.name: self.hyper(h) for h in self.setting.spec.hypers},
            **given,
        }
        for number in program.input("shape"):
            inputs[number.symbol.name] = Approximation(real(self.setting.number(number.symbol)))
        for draw, drawn in draw_symbols(self.setting.spec).items():
            exact = self.setting.drawn(draw, self.t + 1, np.shape(self.w))
            inputs[drawn.name] = approximations(exact)
        kept = {series.name for series in self.setting.spec.states}
        for output in program.outputs[1:]:
            name = output.after.name
            if name in kept and output.live.holds(on):
                made = self.states[name] if name in self.states else self.start(name, output.domain)
                inputs[output.before.name] = made
        found = run(program, inputs, on, self.kind)
        shape = np.shape(self.w)
        for output in program.outputs:
            name = output.after.name
            if name in found:
                found[name] = spread(found[name], output.domain, shape)
        return found

    def hyper(self, symbol: sympy.Symbol) -> Approximation:
        """A hyperparameter: the double that it is."""
        return Approximation(real(self.setting.hyper(symbol)))

    def choices(self, program: Program) -> dict[str, bool]:
        """The static choices of the coming step in a program."""
        on = dict.fromkeys(program.choices, False)
        on |= {"scale_grad": self.setting.scales_grad, "first_w": self.t == 0}
        on |= {flag.name: self.setting.flag(flag) for flag in self.setting.spec.flags}
        for hyper in self.setting.spec.hypers:
            if hyper.special is not None:
                on[f"use_{hyper.name}"] = self.setting.is_away(hyper)
        on |= {name: self.setting.holds(asked) for name, asked in program.shapes}
        live = self.setting.states()
        for series in self.setting.spec.by_moment("first"):
            if series in self.setting.spec.states:
                on[f"first_{series.name}"] = series in live and series.name not in self.states
        return on

    def start(self, name: str, domain: Domain) -> Any:
        """A state's first value, computed in double from hyperparameters, in its own type."""
        series = next(s for s in self.setting.spec.states if s.name == name)
        equation = self.setting.spec.by_moment("start").get(series)
        value = approximations(real(0))
        if equation is not None:
            right = self.setting.value(equation)
            tree = tree_of(right)
            where = Domain.ELEMENT if right.atoms(At) else Domain.HOST
            known = dict.fromkeys(right.atoms(At), self.w)
            known |= {h: self.hyper(h) for h in right.atoms(Hyper)}
            program = _domains_of(self.program, known, where)
            value = _value(tree, known, program, where, self.kind)
        if domain is Domain.HOST:
            return value
        stored = np.frompyfunc(self.kind.stored, 1, 1)(value)
        return spread(stored, domain, np.shape(self.w))


@dataclass
class GroupEnclosure:
    """The trajectories of the parameters of a group, and the numbers that it keeps.

    Its arguments are those of `oracle.Group`.
    """

    members: list[Enclosure]
    states: dict[str, Any] = field(default_factory=dict)
    t: int = 0

    def __post_init__(self) -> None:
        spec = self.members[0].setting.spec
        domains = infer_domains(spec)
        self.names = [s.name for s in spec.states if domains[s.name] is Domain.GROUP]
        self.states = {n: self.states[n] for n in self.names if n in self.states}

    def step(self, grads: Sequence[Any]) -> None:
        """The next step, with exact gradients of those that take part."""
        pairs = zip(self.members, grads, strict=True)
        present = [(member, grad) for member, grad in pairs if grad is not None]
        if not present:
            return
        given = self.given(present)
        found = [member.moved(member.program, grad, given) for member, grad in present]
        for (member, _), new in zip(present, found, strict=True):
            member.w, member.t = new.pop("w"), member.t + 1
            member.states |= new
        self.states |= {name: given[name] for name in self.names}
        self.t += 1

    def given(self, present: Sequence[tuple[Enclosure, Any]]) -> dict[str, Any]:
        """The numbers that the parameters are given: the caller's, and those of the group."""
        one, setting = present[0][0], self.members[0].setting
        given: dict[str, Any] = {
            name: Approximation(setting.given(name, self.t + 1)) for name in setting.spec.given
        }
        parts = _rounds(setting.spec)
        if parts is None:
            return given
        before, rounds = parts
        size = sum(np.size(member.w) for member, _ in present)
        given[GROUP_SIZE] = Approximation(real(size))
        for name in self.names:
            made = self.states[name] if name in self.states else one.start(name, Domain.HOST)
            given[before[name]] = made
        for sums, shares, values in rounds:
            if shares is not None:
                every = [member.moved(shares, grad, given) for member, grad in present]
                for name, kind in sums.items():
                    row = OPERATIONS[kind]
                    given[name] = row.bound(FLOAT64, np.array([own[name] for own in every]))
            if values is not None:
                on = one.choices(values) | {"first_w": self.t == 0}
                on |= {f"first_{name}": name not in self.states for name in self.names}
                hypers = {h.name: one.hyper(h) for h in one.setting.spec.hypers}
                inputs = {"t": approximations(real(self.t + 1)), "w[t - 1]": one.w, **hypers}
                made = run(values, {**inputs, **given}, on, one.kind)
                given |= {name: value for name, value in made.items() if name != "w"}
        return given


@cache
def _rounds(
    spec: OptimizerSpec,
) -> tuple[Mapping[str, str], list[tuple[dict[str, str], Program | None, Program | None]]] | None:
    """The names of last values, and the programs of each round, of a spec that has groups."""
    parts = split(spec)
    if parts is None:
        return None
    rounds = [
        (
            {found.name: found.kind for found in lowered.round.sums},
            lowered.shares and optimize(lowered.shares),
            lowered.values and optimize(lowered.values),
        )
        for lowered in lower_rounds(spec)
    ]
    return {series.name: name for series, name in parts.before.items()}, rounds


def _domains_of(program: Program, known: Mapping[sympy.Symbol, Any], array: Domain) -> Program:
    """A program whose domains cover the symbols of a start."""
    inputs = tuple(Input(s, "hyper", array if isinstance(s, At) else Domain.HOST) for s in known)
    return Program(program.name, (), inputs, (), (), ())


@dataclass(frozen=True)
class Comparison:
    """Computed numbers against the truth: how many bounds each is away, where there is a bound."""

    ratios: tuple[float, ...]
    excluded: int

    @property
    def worst(self) -> float:
        """The largest ratio; up to 1 everything is as it should be."""
        return max(self.ratios, default=0.0)


def compare(computed: Any, truth: Value, enclosure: Any) -> Comparison:
    """The distances of computed numbers from the truth, in units of their bounds.

    Numbers without a bound (an intermediate result may overflow, or a divisor vanish) are excluded
    and counted. A computed nan or infinity where there is a bound is infinitely far away.
    """
    ratios, excluded = [], 0
    numbers = np.ravel(np.asarray(computed, dtype=np.float64))
    truths = np.ravel(np.asarray(truth, dtype=object))
    bounds = np.ravel(np.asarray(enclosure, dtype=object))
    for number, value, bound in zip(numbers, truths, bounds, strict=True):
        if not bound.error < INFINITY or not REALS.isfinite(value):
            excluded += 1
        elif not np.isfinite(number):
            ratios.append(float("inf"))
        else:
            distance = abs(real(float(number)) - value)
            ratios.append(float(distance / bound.error) if bound.error else
                          float("inf") if distance else 0.0)  # fmt: skip
    return Comparison(tuple(ratios), excluded)
