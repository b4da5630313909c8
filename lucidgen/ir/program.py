"""The intermediate form: the only thing that passes hand to each other.

Owns `Guard`, `Let`, `Program` and their invariants. A program is straight-line and single
assignment: a let defines its target once, or several times under guards that exclude each other.
`host` runs once per step on scalars, `body` per tensor or element. It knows nothing of time, of
spec files or of targets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from operator import is_, or_
from typing import Literal

import sympy

from ..spec.domains import Domain, domain_of
from ..spec.expressions import made, symbols_in
from ..spec.quantities import Bounds
from .guard import Guard


@lru_cache(maxsize=4096)
def symbol(name: str) -> sympy.Symbol:
    """The symbol of that name; every symbol of a program comes from here."""
    return sympy.Symbol(name, real=True)


def name_of(of: sympy.Symbol) -> str:
    """The name of a symbol; to sort by it costs less than by `str`, which asks a printer."""
    return str(of.name)


def series_of(of: sympy.Symbol) -> str:
    """The name of a series by its symbol: of its new value, or of its last one.

    >>> series_of(symbol("m[t - 1]")), series_of(symbol("m"))
    ('m', 'm')
    """
    return name_of(of).removesuffix("[t - 1]")


class Names:
    """The names that a program has taken, and new ones.

    A name that starts with an underscore is provisional: the pass `name` replaces it.
    """

    def __init__(self, program: Program) -> None:
        symbols = [*(i.symbol for i in program.inputs), *(let.target for let in program.lets)]
        self.taken = {*map(series_of, symbols)}
        self.taken.update(program.choices)

    def free(self, wanted: str) -> sympy.Symbol:
        """A symbol of that name, or with a number behind it if the name is taken."""
        name, number = wanted, 2
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return symbol(name)

    def fresh(self) -> sympy.Symbol:
        """A symbol with a provisional name."""
        number = 1
        while f"_{number}" in self.taken:
            number += 1
        return self.free(f"_{number}")


def rebuilt(expr: sympy.Basic, args: Iterable[sympy.Basic]) -> sympy.Basic:
    """An expression with other arguments; with the same ones it is not made anew.

    SymPy compares and sorts arguments each time, which takes long for `Max` and `Min`.
    """
    args = tuple(args)
    return expr if args == expr.args else made(expr.func, *args)


UNBOUNDED = Bounds()

Kind = Literal[
    "step", "hyper", "given", "shape", "scaling", "weight", "grad", "state", "normal", "uniform"
]

#: The kinds of inputs that are random numbers, which depend on nothing else in a program.
DRAWN: tuple[Kind, ...] = ("normal", "uniform")


@dataclass(frozen=True)
class Input:
    """Something that a program is given: a hyperparameter, the gradient, a state's last value.

    A random number is given, too: targets and backends see to it that it is there. `number` is its
    place among all that the spec draws: what a choice or a pass removes changes no other. The
    bounds of a state are those of what it begins with.
    """

    symbol: sympy.Symbol
    kind: Kind
    domain: Domain
    bounds: Bounds = UNBOUNDED
    number: int = 0


@dataclass(frozen=True)
class Drawn:
    """A random number that a program reads: the input, its number, and where it is read."""

    symbol: sympy.Symbol
    kind: Kind
    number: int
    live: Guard


@dataclass(frozen=True)
class Output:
    """Something that a program leaves behind: the parameter or a state.

    `before` is its last value, `after` the let that gives the new one, `live` where it exists.
    """

    before: sympy.Symbol
    after: sympy.Symbol
    domain: Domain
    live: Guard


@dataclass(frozen=True)
class Let:
    """One definition. `note` holds the numbers of the equations that it comes from."""

    target: sympy.Symbol
    value: sympy.Expr
    domain: Domain
    guard: Guard
    note: tuple[int, ...] = ()

    @property
    def reads(self) -> frozenset[sympy.Symbol]:
        """The symbols that its value reads."""
        return symbols_in(self.value)

    def with_value(self, value: sympy.Basic) -> Let:
        """The same definition of another value."""
        return self if value is self.value else replace(self, value=value)

    def __str__(self) -> str:
        where = "" if self.guard.is_always else f"  if {self.guard}"
        notes = "".join(f"({n})" for n in self.note)
        return f"{self.target} = {self.value}{where}".ljust(72) + f"  # {self.domain.value} {notes}"


def places_of(lets: Iterable[Let]) -> dict[sympy.Symbol, list[int]]:
    """The places of the lets of each target."""
    found: dict[sympy.Symbol, list[int]] = {}
    for place, let in enumerate(lets):
        found.setdefault(let.target, []).append(place)
    return found


class InvalidProgram(AssertionError):
    """A pass broke an invariant of the intermediate form: a bug in the compiler, not in a spec."""


@dataclass(frozen=True)
class Program:
    """One optimizer step.

    Parameters
    ----------
    name : str
        What it computes, for messages.
    choices : tuple of str
        The static choices, in the order in which they nest: comparisons of the shape, flags,
        `use_*` for hyperparameters away from their special value, `scale_grad`, `first_*` for first
        updates, and conditions on host scalars.
    inputs, outputs : tuple of Input, tuple of Output
        What it is given and what it leaves behind.
    host, body : tuple of Let
        What runs once per step, and what runs per tensor or element.
    series : tuple of str
        The author's names, which code should keep; all others are the compiler's.
    shapes : tuple of (str, relation)
        The choices that a parameter's shape makes, each with its comparison, in the spec's symbols.
    """

    name: str
    choices: tuple[str, ...]
    inputs: tuple[Input, ...]
    host: tuple[Let, ...]
    body: tuple[Let, ...]
    outputs: tuple[Output, ...]
    series: tuple[str, ...] = ()
    shapes: tuple[tuple[str, sympy.Basic], ...] = ()

    @cached_property
    def domains(self) -> dict[sympy.Symbol, Domain]:
        """The domain of every symbol."""
        return {i.symbol: i.domain for i in self.inputs} | {
            let.target: let.domain for let in self.lets
        }

    @cached_property
    def lets(self) -> tuple[Let, ...]:
        """host and body, in the order in which they run."""
        return self.host + self.body

    @cached_property
    def always(self) -> Guard:
        """The guard that always holds, over this program's choices."""
        return Guard.always(self.choices)

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """The choices that the host computes, such as `rho_above_5`."""
        targets = {let.target.name for let in self.host}
        return tuple(name for name in self.choices if name in targets)

    def input(self, kind: Kind) -> tuple[Input, ...]:
        """The inputs of one kind."""
        return tuple(i for i in self.inputs if i.kind == kind)

    @cached_property
    def drawn(self) -> tuple[Drawn, ...]:
        """The random numbers that some let reads."""
        found = []
        for of in (i for i in self.inputs if i.kind in DRAWN):
            guards = [let.guard for let in self.body if of.symbol in let.reads]
            if guards:
                found.append(Drawn(of.symbol, of.kind, of.number, reduce(or_, guards)))
        return tuple(found)

    def with_lets(self, lets: Iterable[Let]) -> Program:
        """The program with other lets; each goes to host or body by its domain."""
        lets = tuple(lets)
        host = tuple(let for let in lets if let.domain is Domain.HOST)
        body = tuple(let for let in lets if let.domain is not Domain.HOST)
        # What a pass leaves as it is need not be checked again.
        if len(lets) == len(self.lets) and all(map(is_, host + body, self.lets)):
            return self
        return replace(self, host=host, body=body)

    def keeps(self, output: Output) -> bool:
        """Whether an output stays what it was, whatever the choices: nobody needs to write it."""
        return all(let.value == output.before for let in self.body if let.target == output.after)

    def check(self) -> Program:
        """This program, if it keeps the invariants; else InvalidProgram.

        Reads come after writes that cover them, definitions of one target exclude each other,
        domains are those of the values, the host reads only the host, and no output is an input.
        """
        written: dict[sympy.Symbol, Guard] = {i.symbol: self.always for i in self.inputs}
        names = [i.symbol.name for i in self.inputs]
        conditions, never = {*self.conditions}, ~self.always
        if len(set(names)) != len(names):
            raise InvalidProgram(f"{self.name}: two inputs of one name")
        for let in self.lets:
            bad = [s for s in let.reads if not (s in written and let.guard.implies(written[s]))]
            for read in sorted(bad, key=name_of):
                where = "where it is not defined" if read in written else "before its write"
                raise InvalidProgram(f"{self.name}: {let.target} reads {read} {where}")
            for name in let.guard.support if conditions else ():
                if name in conditions and symbol(name) not in written:
                    raise InvalidProgram(f"{self.name}: {let.target} waits for {name}")
            if self.domains[let.target] is not let.domain:
                raise InvalidProgram(f"{self.name}: {let.target} is of two domains")
            if not let.guard.excludes(written.get(let.target, never)):
                raise InvalidProgram(f"{self.name}: {let.target} is assigned twice")
            found = domain_of(let.value, self.domains)
            if found.join(let.domain) is not let.domain:
                raise InvalidProgram(f"{self.name}: {let.target} is {found}, not {let.domain}")
            written[let.target] = written.get(let.target, never) | let.guard
        for output in self.outputs:
            if output.after == output.before or output.after in {i.symbol for i in self.inputs}:
                raise InvalidProgram(f"{self.name}: the output {output.after} is an input")
            if not output.live.implies(written.get(output.after, never)):
                raise InvalidProgram(f"{self.name}: the output {output.after} is not defined")
        return self

    def __str__(self) -> str:
        inputs = ", ".join(str(i.symbol) for i in self.inputs)
        outputs = ", ".join(str(output.after) for output in self.outputs)
        lines = [f"{self.name}({inputs}) -> {outputs}"]
        for title, lets in (("host", self.host), ("body", self.body)):
            lines += [f"  {title}:", *(f"    {let}" for let in lets)] if lets else []
        return "\n".join(line.rstrip() for line in lines)
