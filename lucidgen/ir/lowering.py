"""From the equations of one spec, that reduces over no groups, to a program.

Owns what the mathematics leaves open: which quantities are needed under which static choices, what
is read before and after the step, and in which order. It optimizes nothing; passes do. Does not own
which specs a step consists of (`lower`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count

import sympy
from sympy.core.relational import Relational

from ..operations import When
from ..spec.domains import Domain, domain_of, infer_domains
from ..spec.draws import Draw
from ..spec.errors import Problem, SpecError
from ..spec.expressions import made, replaced, symbols_in
from ..spec.functions import NO_NUMBERS
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import At, Bounds, Flag, Hyper, Series, Shape, t
from .choices import choice, in_words, is_of_shape, whole_numbers
from .guard import Guard
from .program import Input, Let, Output, Program, name_of, symbol
from .scaled_gradient import BOUND, FACTOR, GRAD, SCALE_GRAD, SCALED_GRAD, scaled_gradient

#: An expression that depends on more choices is not looked at in each of its cases, which double
#: with every choice. Its parts are, and what is needed in one of them is needed.
FEW_CHOICES = 3

#: A guard has a bit for every combination of choices; with more than these it would not end.
MAX_CHOICES = 18


def before(name: str) -> sympy.Symbol:
    """The symbol of a series' value before the step."""
    return symbol(f"{name}[t - 1]")


def draw_symbols(spec: OptimizerSpec) -> dict[Draw, sympy.Symbol]:
    """The symbols of the random numbers that a spec draws: normal, normal_2, uniform ..."""
    taken = {s.name for e in spec.equations for s in (e.left, *e.symbols) if s.is_Symbol}
    taken |= {name.partition("[")[0] for name in taken}
    found: dict[Draw, sympy.Symbol] = {}
    for draw in spec.draws:
        names = (f"{draw.distribution}_{n}" if n > 1 else str(draw.distribution) for n in count(1))
        found[draw] = symbol(next(name for name in names if name not in taken))
        taken.add(found[draw].name)
    return found


def _expression(guard: Guard) -> sympy.Basic:
    """A guard as a condition over the symbols of its choices."""
    if not guard or guard.is_always:
        return sympy.sympify(bool(guard))
    name = guard.support[0]
    yes, no = (_expression(guard.given(name, answer)) for answer in (True, False))
    return (choice(name) & yes) | (~choice(name) & no)


@dataclass
class Lowering:
    """The making of the program of a sound spec.

    `read_besides` says where states are read by others than this program.
    """

    spec: OptimizerSpec
    domains: dict[str, Domain] = field(init=False)
    draws: dict[Draw, sympy.Symbol] = field(init=False)
    choices: tuple[str, ...] = field(init=False)
    values: dict[sympy.Symbol, sympy.Basic] = field(init=False)
    notes: dict[sympy.Symbol, tuple[int, ...]] = field(default_factory=dict)
    specials: dict[str, tuple[sympy.Symbol, sympy.Expr]] = field(default_factory=dict)
    conditions: dict[str, Relational] = field(default_factory=dict)
    shapes: dict[str, Relational] = field(default_factory=dict)
    lets: dict[sympy.Symbol, list[Let]] = field(default_factory=dict)
    replacing: dict[str, frozenset[sympy.Symbol]] = field(default_factory=dict)
    fresh: int = 0
    read_besides: dict[sympy.Symbol, Guard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec = self.spec
        self.domains, self.draws = infer_domains(spec), draw_symbols(spec)
        choices = []
        for argument in spec.parameters:
            for part in (argument,) if isinstance(argument, Flag) else argument.symbols:
                if isinstance(part, Flag):
                    choices.append(part.name)
                elif part.special is not None:
                    choices.append(f"use_{part.name}")
                    value = sympy.nsimplify(part.special, rational=True)
                    self.specials[choices[-1]] = (symbol(part.name), value)
        choices.append(SCALE_GRAD)
        self.values = {SCALED_GRAD: When(choice(SCALE_GRAD), scaled_gradient(), GRAD)}
        firsts = {
            series: choice(f"first_{spec.begins_with(series)}")
            for series in spec.by_moment("first")
        }
        self.set_values(tuple(choices), firsts)
        if len(self.choices) > MAX_CHOICES:
            raise SpecError(
                [
                    Problem(
                        spec.location,
                        f"{spec.name} has {len(self.choices)} choices, more than {MAX_CHOICES}: "
                        "its flags, special values, conditions and first updates, and one of "
                        "lucidgen's",
                        "Make two optimizers of it, or numbers of flags: x * strength for "
                        "when(flag, x, 0).",
                    )
                ]
            )
        again = self.without_state(firsts)
        if again != firsts:
            self.set_values(tuple(choices), again)

    def set_values(self, choices: tuple[str, ...], firsts: Mapping[Series, sympy.Basic]) -> None:
        """Set what every series is, with the conditions under which it is its first update's."""
        spec = self.spec
        for series, equation in spec.by_moment("t").items():
            value = self.translate(equation.normalised())
            notes = [spec.number(equation)]
            first = spec.by_moment("first").get(series)
            if first is not None:
                start = self.translate(first.normalised())
                value = When(firsts[series], start, value)
                notes.insert(0, spec.number(first))
            self.values[symbol(series.name)] = value
            self.notes[symbol(series.name)] = tuple(sorted(notes))
        named = dict.fromkeys(
            name for where in firsts.values() for name in sorted(map(name_of, where.free_symbols))
        )
        known = {*choices, *self.conditions, *self.shapes}
        own = [name for name in named if name not in known]
        self.choices = (*self.shapes, *choices, *own, *self.conditions)
        self.values |= {symbol(name): value for name, value in self.conditions.items()}

    def without_state(self, firsts: Mapping[Series, sympy.Basic]) -> dict[Series, sympy.Basic]:
        """The conditions of first updates: the parameter's where there is no state to ask.

        A series whose last value only dead equations read, maybe under some choices only, is needed
        and has no state.
        """
        after, previous = self.needs()
        never = ~Guard.always(self.choices)
        found = dict(firsts)
        for series in firsts:
            name = symbol(series.name)
            live = after.get(name, never) if series.keep else previous.get(name, never)
            if series in self.spec.states and not after.get(name, never).implies(live):
                live = _expression(live)
                found[series] = (live & firsts[series]) | (~live & choice("first_w"))
        return found

    # Expressions

    def translate(self, expr: sympy.Basic) -> sympy.Basic:
        """An expression of the spec in the program's symbols."""
        if isinstance(expr, At):
            name = expr.series.name
            now = SCALED_GRAD if name == "grad" else symbol(name)
            return now if expr.shift == 0 else before(name)
        if expr == t:
            return symbol("t")
        if isinstance(expr, Draw):
            return self.draws[expr]
        if isinstance(expr, sympy.Symbol):
            return symbol(expr.name)
        if isinstance(expr, When):
            condition, *branches = expr.args
            return When(self.condition(condition), *map(self.translate, branches))
        return made(expr.func, *map(self.translate, expr.args)) if expr.args else expr

    def condition(self, expr: sympy.Basic) -> sympy.Basic:
        """A condition; what the host can decide becomes a choice."""
        if isinstance(expr, Flag):
            return choice(expr.name)
        if isinstance(expr, Hyper):
            return choice(f"use_{expr.name}")
        if not isinstance(expr, Relational):
            return expr.func(*map(self.condition, expr.args)) if expr.args else expr
        if is_of_shape(expr):
            relation, means_it = whole_numbers(expr)
            name = self.condition_name(relation, self.shapes, "shape")
            self.shapes[name] = relation
            return choice(name) if means_it else ~choice(name)
        translated = expr.func(*map(self.translate, expr.args))
        if not isinstance(translated, Relational):
            return translated
        if self.domain(translated) is not Domain.HOST:
            return translated
        if translated.lhs.is_Number:
            translated = translated.reversed
        name = self.condition_name(translated, self.conditions, "condition")
        self.conditions[name] = translated
        return choice(name)

    def condition_name(
        self, relation: Relational, named: Mapping[str, Relational], kind: str
    ) -> str:
        """`rho > 5` is rho_above_5, whenever rho is of; what has no such name is counted."""
        known = next((n for n, r in named.items() if r == relation), None)
        words = in_words(relation)
        taken = {*self.conditions, *self.shapes, *self.domains}
        taken |= {h.name for h in self.spec.hypers}
        taken |= {flag.name for flag in self.spec.flags}
        counted = (f"{kind}_{n}" for n in count(len(named) + 1))
        wanted = (words,) if words.isidentifier() else ()
        return known or next(name for name in chain(wanted, counted) if name not in taken)

    def domain(self, expr: sympy.Basic) -> Domain:
        """The domain of an expression in the program's symbols."""
        known = {GRAD: Domain.ELEMENT, SCALED_GRAD: Domain.ELEMENT}
        known |= {FACTOR: Domain.HOST, BOUND: Domain.HOST}
        known |= dict.fromkeys(self.draws.values(), Domain.ELEMENT)
        for name, domain in self.domains.items():
            known |= {symbol(name): domain, before(name): domain}
        for target, lets in self.lets.items():
            known[target] = lets[0].domain
        return domain_of(expr, known)

    def depends(self, expr: sympy.Basic, name: str) -> bool:
        """Whether a choice changes an expression."""
        return not self.changing(name).isdisjoint(symbols_in(expr))

    def changing(self, name: str) -> frozenset[sympy.Symbol]:
        """The symbols that a choice replaces: its own, and that which has a special value."""
        if name not in self.replacing:
            special = self.specials.get(name)
            self.replacing[name] = frozenset((choice(name), *(special[:1] if special else ())))
        return self.replacing[name]

    def literal(self, name: str) -> Guard:
        """The guard that a choice holds."""
        return Guard.of(name, self.choices)

    def choices_of(self, expr: sympy.Basic) -> list[str]:
        """The choices that change an expression."""
        read = symbols_in(expr)
        return [name for name in self.choices if not self.changing(name).isdisjoint(read)]

    def has_few_cases(self, expr: sympy.Basic) -> bool:
        """Whether so few choices change an expression that all its cases can be looked at."""
        return len(self.choices_of(expr)) <= FEW_CHOICES

    def assume(self, expr: sympy.Basic, name: str, value: bool) -> sympy.Basic:
        """The expression once a choice is made."""
        # First what goes with the choice: it may divide by what is 0 then.
        found = replaced(expr, {choice(name): sympy.sympify(value)})
        if name in self.specials and not value:
            try:
                return replaced(found, dict([self.specials[name]]))
            except ValueError:  # SymPy compares no infinities
                return sympy.nan
        return found

    def cases(
        self, expr: sympy.Basic, guard: Guard, done: int = 0
    ) -> Iterator[tuple[Guard, sympy.Basic]]:
        """The expression under every choice that changes it, where the guard holds."""
        for i, name in enumerate(self.choices[done:], start=done):
            if self.depends(expr, name):
                literal = self.literal(name)
                for value, part in ((True, guard & literal), (False, guard & ~literal)):
                    if part:
                        yield from self.cases(self.assume(expr, name, value), part, i + 1)
                return
        yield guard, expr

    def parts(self, expr: sympy.Basic, guard: Guard) -> Iterator[tuple[Guard, sympy.Basic]]:
        """The cases of an expression, or those of its parts if it has more than a few."""
        if self.has_few_cases(expr):
            yield from self.cases(expr, guard)
        elif isinstance(expr, When) and expr.args[0] in map(choice, self.choices):
            literal = self.literal(name_of(expr.args[0]))
            yield from self.parts(expr.args[1], guard & literal)
            yield from self.parts(expr.args[2], guard & ~literal)
        else:
            for part in expr.args:
                yield from self.parts(part, guard)

    # What is needed where

    def needs(self) -> tuple[dict[sympy.Symbol, Guard], dict[sympy.Symbol, Guard]]:
        """Where each quantity is needed after the step, and where each is read before it."""
        always = Guard.always(self.choices)
        after: dict[sympy.Symbol, Guard] = {symbol("w"): always}
        after |= {symbol(s.name): always for s in self.spec.states if s.keep}
        previous: dict[sympy.Symbol, Guard] = dict(self.read_besides)
        for name, where in self.read_besides.items():
            after[name] = after.get(name, ~always) | where
        series_of = {before(name): symbol(name) for name in self.domains}
        work = list(after)
        while work:
            target = work.pop()
            for guard, value in self.parts(self.values[target], after[target]):
                whole = self.condition_reads(self.values[target])
                for read in symbols_in(value) | whole:
                    now = series_of.get(read, read)
                    where = self.without_first(guard)
                    if now is not read:
                        where = self.lasting(guard)
                        previous[now] = previous.get(now, ~always) | where
                    if now in self.values:
                        grown = after.get(now, ~always) | where
                        if grown != after.get(now):
                            after[now] = grown
                            work.append(now)
        return after, previous

    def without_first(self, guard: Guard) -> Guard:
        """The guard without first updates: no code is worth leaving out of one step only."""
        for name in self.choices:
            if name.startswith("first_"):
                guard = guard.given(name, True) | guard.given(name, False)
        return guard

    def lasting(self, guard: Guard) -> Guard:
        """The guard without what changes from step to step by itself: a state outlives that."""
        for name in self.conditions:
            guard = guard.given(name, True) | guard.given(name, False)
        return self.without_first(guard)

    def condition_reads(self, expr: sympy.Basic) -> set[sympy.Symbol]:
        """The host conditions on which an expression depends."""
        return {symbol(name) for name in self.conditions if choice(name) in symbols_in(expr)}

    # Lets

    def program(self) -> Program:
        """The whole program."""
        after, previous = self.needs()
        for target in self.values:
            if target in after:
                value = self.values[target]
                self.define(target, value, after[target], self.notes.get(target, ()))
        lets = self.ordered()
        states = [(s, previous.get(symbol(s.name))) for s in self.spec.states]
        outputs = [Output(before("w"), symbol("w"), Domain.ELEMENT, Guard.always(self.choices))]
        for series, read in states:
            live = after[symbol(series.name)] if series.keep else read
            if live:
                domain = self.domains[series.name]
                outputs.append(Output(before(series.name), symbol(series.name), domain, live))
        return Program(
            name=f"{self.spec.name} ({self.spec.reading})",
            choices=self.choices,
            inputs=self.inputs(),
            host=tuple(let for let in lets if let.domain is Domain.HOST),
            body=tuple(let for let in lets if let.domain is not Domain.HOST),
            outputs=tuple(outputs),
            series=tuple(s.name for s in self.spec.by_moment("t")),
            shapes=tuple(self.shapes.items()),
        )

    def inputs(self) -> tuple[Input, ...]:
        """What the step is given: t, arguments, numbers of the shape, w, gradient, states ..."""
        element = Domain.ELEMENT
        return (
            Input(symbol("t"), "step", Domain.HOST),
            *(
                Input(symbol(h.name), "hyper", Domain.HOST, self.spec.legal(argument))
                for argument in self.spec.parameters
                if not isinstance(argument, Flag)
                for h in argument.symbols
            ),
            *(Input(symbol(name), "given", Domain.HOST) for name in self.spec.given),
            *(Input(symbol(s.name), "shape", Domain.HOST, Bounds(at_least=0)) for s in self.read()),
            Input(FACTOR, "scaling", Domain.HOST),
            Input(BOUND, "scaling", Domain.HOST, Bounds(at_least=0)),
            Input(before("w"), "weight", element),
            Input(GRAD, "grad", element),
            *(
                Input(before(s.name), "state", self.domains[s.name], self.begun(s))
                for s in self.spec.states
            ),
            *(
                Input(drawn, draw.distribution, element, number=number)
                for number, (draw, drawn) in enumerate(self.draws.items())
            ),
        )

    def begun(self, series: Series) -> Bounds:
        """The bounds of what a state begins with, if nothing but this program changes it."""
        start = self.spec.by_moment("start").get(series)
        is_zero = start is None or start.right.is_zero
        return Bounds(at_least=0) if is_zero and self.spec.is_whole else Bounds()

    def read(self) -> list[Shape]:
        """The numbers of the shape that are read as numbers, not only compared."""
        shapes = {s for e in self.spec.equations for s in e.symbols if isinstance(s, Shape)}
        read = set().union(*map(symbols_in, self.values.values()))
        return sorted((s for s in shapes if symbol(s.name) in read), key=name_of)

    def define(
        self,
        target: sympy.Symbol,
        value: sympy.Basic,
        guard: Guard,
        note: tuple[int, ...],
        domain: Domain | None = None,
    ) -> None:
        """Add the lets of one target, split as little as the static choices allow.

        All cases of a target are of one domain, that of the whole value.
        """
        domain = domain or self.domains.get(target.name) or self.domain(value)
        name = self.next_choice(value, guard)
        if name is None:
            value = self.settle(value, guard)
            self.check_number(value, guard, note)
            same = [let for let in self.lets.get(target, ()) if let.value == value]
            if same:
                merged = Let(target, value, same[0].domain, same[0].guard | guard, note)
                self.lets[target][self.lets[target].index(same[0])] = merged
            else:
                let = Let(target, value, domain, guard, note)
                self.lets.setdefault(target, []).append(let)
            return
        value = self.settle(value, guard)
        part, rebuild = self.smallest(value, name)
        if part == value or self.cancels(part, value, guard):
            literal = self.literal(name)
            for answer, branch in ((True, guard & literal), (False, guard & ~literal)):
                self.define(target, self.assume(value, name, answer), branch, note, domain)
        else:
            self.fresh += 1
            temporary = symbol(f"_{self.fresh}")
            self.define(temporary, part, guard, note)
            self.define(target, rebuild(temporary), guard, note, domain)

    def next_choice(self, value: sympy.Basic, guard: Guard) -> str | None:
        """The choice to split on first: one of a leading `when`, else the outermost in nesting."""
        leading = value.args[0] if isinstance(value, When) else value
        for expr in (leading, value):
            for name in self.choices:
                literal = self.literal(name)
                open_ = guard & literal and guard & ~literal
                if open_ and self.depends(expr, name):
                    yes, no = (self.assume(value, name, answer) for answer in (True, False))
                    if yes != no:
                        return name
        return None

    def settle(self, value: sympy.Basic, guard: Guard) -> sympy.Basic:
        """The value with every choice made that the guard decides or that changes nothing."""
        for name in self.choices:
            if self.depends(value, name):
                literal = self.literal(name)
                yes, no = (self.assume(value, name, answer) for answer in (True, False))
                if not guard & literal:
                    value = no
                elif not guard & ~literal or yes == no:
                    value = yes
        return value

    def check_number(self, value: sympy.Basic, guard: Guard, note: tuple[int, ...]) -> None:
        """Refuse what a special value, or any other choice, makes infinite or undefined."""
        if not value.has(*NO_NUMBERS):
            return
        off = [pair for name, pair in self.specials.items() if guard.implies(~self.literal(name))]
        hyper = off[0][0] if off else None
        read = map(self.spec.numbered, note)
        equation = next((e for e in read if hyper in e.symbols), self.spec.numbered(note[-1]))
        if off:
            said = ", ".join(f"{name} = {special}" for name, special in off)
            what = f"with {said}, its special value"
            remedy = (
                f"Write when({hyper}, a, b), with b for that value, or declare {hyper} without "
                f"special=."
            )
        else:
            what = f"where {self.said(guard)}"
            remedy = "Write when(..., a, b), with a number for that case."
        raise SpecError(
            [
                Problem(
                    equation.location,
                    f"the right side is infinite or undefined {what}",
                    remedy,
                    str(equation),
                )
            ]
        )

    def said(self, guard: Guard) -> str:
        """A guard in the words of the spec."""
        if not guard.literals:
            return str(guard)
        asked = {**self.shapes, **self.conditions}
        parts = ((asked.get(name, name), holds) for name, holds in guard.literals)
        return " and ".join(str(part) if holds else f"not {part}" for part, holds in parts)

    def smallest(
        self, expr: sympy.Expr, name: str
    ) -> tuple[sympy.Expr, Callable[[sympy.Expr], sympy.Expr]]:
        """The smallest part of an expression that a choice changes, and how to put it back.

        A part that becomes a mere number (`weight_decay * w`, `1 - lr * weight_decay`) is not
        worth a name: what it is added to or multiplied with disappears with it. Of many such parts
        each is added to or multiplied with what no choice changes, one after the other.
        """
        if isinstance(expr, When) or not expr.args:
            return expr, lambda new: new
        changed = [arg for arg in expr.args if self.depends(arg, name)]
        fixed = [arg for arg in expr.args if not self.depends(arg, name)]
        is_few = self.has_few_cases(expr)
        if isinstance(expr, sympy.Add | sympy.Mul):
            part = expr.func(*changed)
        elif len(changed) == 1 or not is_few:
            changed = changed[:1]
            part = changed[0]
        else:
            return expr, lambda new: new
        if self.vanishes(part):
            if not is_few:
                still = [arg for arg in fixed if not self.choices_of(arg)]
                rest = [arg for arg in fixed if self.choices_of(arg)]
                return expr.func(*changed, *still), lambda new: expr.func(*rest, new)
            negative = isinstance(expr, sympy.Mul) and expr.could_extract_minus_sign()
            return (-expr, lambda new: -new) if negative else (expr, lambda new: new)
        if len(changed) > 1:
            return (part, lambda new: expr.func(*fixed, new)) if fixed else (expr, lambda new: new)
        inner, rebuild = self.smallest(changed[0], name)
        if isinstance(expr, sympy.Add | sympy.Mul):
            return inner, lambda new: expr.func(*fixed, rebuild(new))
        return inner, lambda new: expr.xreplace({changed[0]: rebuild(new)})

    def vanishes(self, part: sympy.Basic) -> bool:
        """Whether some choices leave a mere number of a part."""
        always = Guard.always(self.choices)
        return self.has_few_cases(part) and any(v.is_Number for _, v in self.cases(part, always))

    def cancels(self, part: sympy.Basic, whole: sympy.Basic, guard: Guard) -> bool:
        """Whether a part reads what the whole, in which it cancels, does not: it needs more."""
        return self.has_few_cases(whole) and any(
            not symbols_in(self.settle(part, where)) <= symbols_in(value)
            for where, value in self.cases(whole, guard)
        )

    def ordered(self) -> list[Let]:
        """All lets, each after what it reads, else in the order of the equations."""
        done: list[Let] = []
        seen: set[sympy.Symbol] = set()

        def visit(target: sympy.Symbol) -> None:
            if target in seen or target not in self.lets:
                return
            seen.add(target)
            for let in self.lets[target]:
                for read in sorted(let.reads, key=name_of):
                    visit(read)
                for name in let.guard.support:
                    visit(symbol(name))
            done.extend(self.lets[target])

        for target in self.values:
            visit(target)
        return done
