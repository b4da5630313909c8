"""A spec that reduces over groups, as several that do not: the parts of its step.

Owns the cut. Before the step of the parameters there are rounds. In each, every parameter of a
group gives its share of sums over the group; of these the host makes what is one number per group,
which the next round and the step are given as they are given hyperparameters. Lowering, passes and
targets see ordinary specs. Does not own what adds the shares up: the runtime.

    d[t] = Max(d[t - 1], over_group(total(x[t])))     x_total[t] = total(x[t])      the shares
    w[t] = w[t - 1] - d[t] * grad[t]                  d[t] = Max(d_before, x_total)
                                                      w[t] = w[t - 1] - d * grad[t] the step
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain, count
from typing import Any

import sympy

from ..operations import Largest, Mean, Norm, OverGroup, Total
from ..spec.domains import Domain, infer_domains, without_groups
from ..spec.equation import Eq
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import At, Series, symbols_of, t, values_in, w
from .program import symbol

#: How many elements the parameters have together of which a group's quantities are made.
GROUP_SIZE = "group_size"


@dataclass(frozen=True)
class Sum:
    """What is reduced over a group: the operand of each parameter, added up or the largest of all.

    `name` is that of the sum in the equations that read it, `number` that of the equation in which
    it stands.
    """

    name: str
    operand: sympy.Expr
    kind: str
    number: int

    @property
    def share(self) -> sympy.Expr:
        """What a parameter gives to it."""
        return (Total if self.kind == "total" else Largest)(self.operand)


@dataclass(eq=False)
class Part(OptimizerSpec):
    """Some equations of a spec, with what they need to stand by themselves.

    Parameters
    ----------
    whole : OptimizerSpec
        The spec, whose equations are numbered.
    numbers : mapping of Eq to int
        The numbers of these equations there.
    reads : tuple of str
        Numbers of the group that equations read, and what every step is given.
    domains : mapping of str to Domain
        The domains of series in the whole.
    begin : mapping of str to str
        What a series begins with, where that has another name.
    kept : tuple of Series, optional
        The states, where others than these equations need them.
    """

    whole: OptimizerSpec | None = None
    numbers: Mapping[Eq, int] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict)
    begin: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[Series, ...] | None = None

    @property
    def given(self) -> tuple[str, ...]:
        return self.reads

    @property
    def is_whole(self) -> bool:
        return False

    @property
    def known_domains(self) -> Mapping[str, Domain]:
        return self.domains

    @cached_property
    def states(self) -> tuple[Series, ...]:
        return super().states if self.kept is None else self.kept

    def begins_with(self, series: Series) -> str:
        return self.begin.get(series.name) or super().begins_with(series)

    def number(self, equation: Eq) -> int:
        return self.numbers.get(equation) or 1

    def numbered(self, number: int) -> Eq:
        assert self.whole is not None
        return self.whole.numbered(number)


@dataclass(frozen=True)
class Round:
    """What is known of a group at once: shares of sums, and numbers that are made of the sums.

    `shares` is None where nothing is summed, `values` where nothing is made of it.
    """

    sums: tuple[Sum, ...]
    shares: Part | None
    values: Part | None


@dataclass(frozen=True)
class Parts:
    """The rounds of a step, and its own equations.

    `names` are all numbers of a group, `before` what the last values of its series are called.
    """

    rounds: tuple[Round, ...]
    step: Part
    names: tuple[str, ...]
    before: Mapping[Series, str]


@lru_cache(maxsize=64)
def split(spec: OptimizerSpec) -> Parts | None:
    """The parts of a sound spec; None if it reduces over no group.

    >>> from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, norm, over_group, series
    >>> lr, n = hyper("lr", 0.1), series("n")
    >>> equations = (Eq(n[t], over_group(norm(grad[t]))), Eq(w[t], w[t - 1] - lr * grad[t] / n[t]))
    >>> parts = split(OptimizerSpec("Normalized", (lr,), equations))
    >>> for part in (parts.rounds[0].shares, parts.rounds[0].values, parts.step):
    ...     print(*part.equations, sep="; ")
    n_squares[t] = total(grad[t]**2); w[t] = w[t - 1]
    n[t] = sqrt(n_squares); w[t] = w[t - 1]
    w[t] = -grad[t]*lr/n + w[t - 1]
    """
    if not any(e.right.has(OverGroup) for e in spec.equations):
        return None
    return _Cut(spec).parts()


class _Cut:
    def __init__(self, spec: OptimizerSpec) -> None:
        self.spec = spec
        self.domains = infer_domains(spec)
        self.equations: dict[Series, list[Eq]] = {}
        self.levels: dict[Series, int] = {}
        for equation in spec.equations:
            if equation.series is not None:
                self.equations.setdefault(equation.series, []).append(equation)
        self.of_group = [s for s in self.equations if self.domains[s.name] is Domain.GROUP]
        taken = {symbol.name for a in spec.parameters for symbol in symbols_of(a)}
        self.taken = {*self.domains, *taken, *spec.given, GROUP_SIZE}
        self.sums = self.named_sums()
        self.before = {s: self.free(f"{s.name}_before") for s in self.of_group}
        self.now = {s: Series(self.free(f"{s.name}_now"), "") for s in (w, *spec.states)}

    def free(self, wanted: str) -> str:
        """A name that nothing in the spec has."""
        names = chain((wanted,), (f"{wanted}_{n}" for n in count(2)))
        found = next(name for name in names if name not in self.taken)
        self.taken.add(found)
        return found

    def named_sums(self) -> dict[OverGroup, Sum]:
        """The sums, named after the series in whose equations they stand."""
        found: dict[OverGroup, Sum] = {}
        for equation in self.spec.equations:
            for over in sorted(_written(equation).atoms(OverGroup), key=str):
                if over in found:
                    continue
                (reduction,) = over.args
                (operand,) = reduction.args
                kind, word = "total", "total"
                if isinstance(reduction, Norm):
                    operand, word = operand**2, "squares"
                elif isinstance(reduction, Largest):
                    kind = word = "largest"
                name = self.free(f"{equation.key[0]}_{word}")
                found[over] = Sum(name, operand, kind, self.spec.number(equation))
        return found

    def parts(self) -> Parts:
        last = max(self.level(s) for s in self.equations)
        rounds = [self.round(level) for level in range(last + 1)]
        own = [s for s in self.equations if s not in self.of_group]
        states = tuple(s for s in self.spec.states if s in self.of_group)
        equations = {
            e.rewritten(e.left, self.outside(_written(e))): self.spec.number(e)
            for s in own
            for e in self.equations[s]
        }
        step = self.part(
            dict(sorted(equations.items(), key=lambda pair: pair[1])),
            kept=tuple(s for s in self.spec.states if s not in states),
        )
        return Parts(tuple(r for r in rounds if r.sums or r.values), step, self.names, self.before)

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers of a group: its sums, its series and their last values."""
        names = (*(s.name for s in self.sums.values()), GROUP_SIZE)
        return (*names, *(s.name for s in self.of_group), *self.before.values())

    # What is known when

    def level(self, series: Series) -> int:
        """After how many rounds a series' value of this step can be computed."""
        if series not in self.levels:
            self.levels[series] = self.found_level(series)
        return self.levels[series]

    def found_level(self, series: Series) -> int:
        """The same, from the levels of what its equations read."""
        found = 0
        for equation in self.equations.get(series, ()):
            if equation.moment == "start":
                continue
            right = _written(equation)
            found = max([found, *map(self.level_of_sum, right.atoms(OverGroup))])
            read = values_in(without_groups(right))
            found = max([found, *(self.level(at.series) for at in read if at.shift == 0)])
        return found

    def level_of_sum(self, over: OverGroup) -> int:
        """The round in which a sum is made."""
        return 1 + max(
            (self.level(at.series) for at in values_in(over) if at.shift == 0), default=0
        )

    def round(self, level: int) -> Round:
        """The round of a number; the first one sums nothing."""
        sums = tuple(s for over, s in self.sums.items() if self.level_of_sum(over) == level)
        made = [s for s in self.of_group if self.level(s) == level]
        shares = self.shares(sums) if sums else None
        return Round(sums, shares, self.values(made) if made else None)

    # The equations of each part

    def outside(self, expr: sympy.Basic, made: tuple[Series, ...] = ()) -> sympy.Basic:
        """An expression that reads the numbers of a group as they are given; `made` are its own."""
        values: dict[sympy.Basic, sympy.Basic] = {}
        for over in expr.atoms(OverGroup):
            values[over] = self.given(over)
        for at in values_in(without_groups(expr)):
            if at.series in self.before and at.shift == -1:
                values[at] = symbol(self.before[at.series])
            elif at.series in self.before and at.series not in made:
                values[at] = symbol(at.series.name)
        return expr.xreplace(values)

    def given(self, over: OverGroup) -> sympy.Expr:
        """What a reduction over the group is, in terms of its sum."""
        name = symbol(self.sums[over].name)
        if isinstance(over.args[0], Norm):
            return sympy.sqrt(name)
        return name / symbol(GROUP_SIZE) if isinstance(over.args[0], Mean) else name

    def values(self, made: list[Series]) -> Part:
        """The numbers of a group that one round gives, and the numbers of the host in them."""
        equations: dict[Eq, int] = {}
        kept = {s: dataclasses.replace(s, keep=True) for s in made}
        for series in self.closure({e for s in made for e in self.equations[s]}, made):
            for equation in self.equations[series]:
                if equation.moment == "start" and series in made:
                    continue  # the runtime begins
                right = self.outside(_written(equation), tuple(made))
                left = equation.left if equation.moment == "first" else series[t]
                new = equation.rewritten(left, right).renamed(kept)
                equations[new] = self.spec.number(equation)
        begin = {s.name: s.name for s in made if s in self.spec.states}
        return self.part({**equations, Eq(w[t], w[t - 1]): 1}, begin=begin)

    def shares(self, sums: tuple[Sum, ...]) -> Part:
        """What each parameter gives to sums. States are read, and stay what they are."""
        wanted = {
            Eq(Series(s.name, s.name, keep=True)[t], self.outside(s.share)): s.number for s in sums
        }
        needed = self.closure(set(wanted), ())
        read = {at.series for e in wanted for at in values_in(e.right)}
        read |= {at.series for s in needed for e in self.equations[s] for at in values_in(e.right)}
        lasting = [s for s in self.spec.states if s in read and s not in self.of_group]
        staying = [s for s in lasting if self.stays(s)]
        needed = [s for s in needed if s not in staying]
        now = {s: self.now[s] for s in (w, *lasting) if s not in staying}
        equations: dict[Eq, int] = {}
        for series in needed:
            for equation in self.equations[series]:
                number = self.spec.number(equation)
                if equation.moment == "start":
                    continue
                right = _at_now(self.outside(_written(equation)), now)
                left = now.get(series, series)[t if equation.moment == "t" else 1]
                equations[equation.rewritten(left, right)] = number
        for series in lasting:
            for equation in self.equations[series]:
                at = equation.left if equation.moment != "t" else series[t]
                last = {"t": series[t - 1], "first": series[0]}.get(equation.moment, equation.right)
                equations[equation.rewritten(at, last)] = self.spec.number(equation)
        for equation, number in wanted.items():
            equations[equation.rewritten(equation.left, _at_now(equation.right, now))] = number
        begin = {new.name: s.name for s, new in now.items()}
        return self.part({**equations, Eq(w[t], w[t - 1]): 1}, begin=begin)

    def stays(self, series: Series) -> bool:
        """Whether a state stays as it has begun."""
        return all(
            e.moment == "start" or _written(e) == series[t - 1] for e in self.equations[series]
        )

    def closure(self, equations: set[Eq], made: Any) -> list[Series]:
        """The series that equations need at the same time, numbers of a group but `made` apart."""
        found: dict[Series, None] = dict.fromkeys(made)
        work = sorted(equations, key=str)
        while work:
            read = values_in(without_groups(_written(work.pop())))
            for at in sorted(read, key=str):
                series = at.series
                is_new = series in self.equations and series not in {*found, *self.of_group}
                if at.shift == 0 and is_new:
                    found[series] = None
                    work += self.equations[series]
        return sorted(found, key=list(self.equations).index)

    def part(
        self,
        equations: Mapping[Eq, int],
        begin: Mapping[str, str] | None = None,
        kept: tuple[Series, ...] | None = None,
    ) -> Part:
        """A spec of some equations, with their numbers."""
        spec = self.spec
        fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(OptimizerSpec)}
        fields |= {"requires": (), "ignores": (), "torch_keys": {}, "saved_elsewhere": {}}
        fields |= {"dialects": {}, "counts_steps": False, "also_called": ()}
        read = {s.name for e in equations for s in e.right.free_symbols if not isinstance(s, At)}
        domains = {n: self.domains[n] for n in self.domains if n not in self.names}
        domains |= {now.name: self.domains[s.name] for s, now in self.now.items()}
        return Part(
            **{**fields, "equations": tuple(equations)},
            whole=spec,
            numbers=dict(equations),
            reads=tuple(name for name in (*self.names, *spec.given) if name in read),
            domains=domains,
            begin=begin or {},
            kept=kept,
        )


def _written(equation: Eq) -> Any:
    """The right side with times relative to t."""
    return equation.normalised()


def _at_now(expr: sympy.Basic, now: Mapping[Series, Series]) -> sympy.Basic:
    """An expression with the names that series have for their values of this step."""
    values = {at: now[at.series][t] for at in values_in(expr) if at.series in now and at.shift == 0}
    return expr.xreplace(values)
