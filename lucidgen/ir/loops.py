"""A program's body as loops over the elements: what each needs to be a program of its own.

Owns what a loop does when an earlier one has computed what it needs: it computes it again, from
what lies in memory by then. New values of states do, once they are stored, and so do old ones
until then. To compute again costs reads; to keep would cost a write, a read and memory of the size
of a tensor, and moves less in none of the built-in optimizers. What there is one of for each row,
column or matrix, the margins of a tensor, is little: it is computed once, between two loops, and
kept. Does not own how a pass over all elements is counted where a library makes one for each
operation (`phases`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy

from ..operations import Reduction
from ..spec.domains import OF_MATRICES, Domain, domain_of
from .program import Let, Names, Output, Program, places_of, rebuilt

#: What is an array, and not one number.
ARRAYS = (*OF_MATRICES, Domain.ELEMENT)


@dataclass(frozen=True)
class Loop:
    """One loop over the elements of a tensor, and what it leaves behind.

    Attributes
    ----------
    before : tuple of Let
        What is made of margins before the loop begins, once: margins, and what reductions find in
        these. What that needs per tensor is among it, in the order of the program.
    lets : tuple of Let
        All that the loop needs and has neither in memory nor from reductions, in the order of the
        program. What is per tensor comes before the elements.
    reductions : tuple of Let
        Its last work: each names a reduction of elements, whose operand the loop computes.
    reads : tuple of Symbol
        The arrays of elements that it reads, and random numbers.
    stores : tuple of Output
        What has its new value when it ends: arrays of elements, or, where it is the last one and
        has no elements, margins and numbers of the tensor.
    """

    before: tuple[Let, ...]
    lets: tuple[Let, ...]
    reductions: tuple[Let, ...]
    reads: tuple[sympy.Symbol, ...]
    stores: tuple[Output, ...]


def loops(program: Program) -> tuple[Loop, ...]:
    """The body of a program as loops, in the order in which they run.

    Parameters
    ----------
    program : Program
        One whose reductions are lets of their own (`reductions_apart`).

    Returns
    -------
    As few loops as there can be. A state is stored as soon as a reduction needs its new value, or
    else by the last loop; and not before the last loop that reads its old value.

    Examples
    --------
    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.passes import optimize, resolve
    >>> from lucidgen.specs.lars import LARS
    >>> program = resolve(optimize(lower(LARS)), {"scale_grad": False})
    >>> for loop in loops(program):
    ...     print([str(let.target) for let in (*loop.lets, *loop.reductions)])
    ...     print("  reads", loop.reads, "and stores", [store.after for store in loop.stores])
    ['scaled_grad', 'w_norm', 'grad_norm']
      reads (w[t - 1], grad) and stores []
    ['scaled_grad', 'trust_ratio', 'scaled_lr', 'velocity', 'w']
      reads (w[t - 1], grad, velocity[t - 1]) and stores [w, velocity]
    """
    return _Loops(program).found()


def reductions_apart(program: Program) -> Program:
    """The program with a let for every reduction of an array; new ones have provisional names.

    What one of them gives is never an output, nor one of several cases: these have lets of their
    own, too. So has what is reduced of a margin.
    """
    names, lets, domains = Names(program), list[Let](), dict(program.domains)
    own = {output.after for output in program.outputs}
    cases = Counter(let.target for let in program.body)
    own |= {target for target, number in cases.items() if number > 1}

    def made(value: sympy.Expr, like: Let) -> sympy.Symbol:
        """A let for a part of another one's value."""
        target, domain = names.fresh(), domain_of(value, domains)
        domains[target] = domain
        lets.append(Let(target, value, domain, like.guard, like.note))
        return target

    def prepared(value: sympy.Expr, like: Let) -> sympy.Expr:
        """A reduction of a margin with a let for what it reduces; anything else as it is."""
        if not is_of_margins(value, domains) or value.args[0].is_Symbol:
            return value
        return rebuilt(value, [made(value.args[0], like)])

    for let in program.body:
        value = let.value
        while inner := _reduction_in(value, domains, whole=let.target in own):
            value = value.xreplace({inner: made(prepared(inner, let), let)})
        lets.append(let.with_value(prepared(value, let)))
    return program.with_lets((*program.host, *lets))


def _reduction_in(
    expr: sympy.Basic, domains: Mapping[sympy.Symbol, Domain], whole: bool
) -> sympy.Basic | None:
    """A reduction of an array in an expression, with none inside; `whole` counts all of it."""
    parts = (part for part in sympy.postorder_traversal(expr) if whole or part != expr)
    return next((part for part in parts if _is_of(ARRAYS, part, domains)), None)


def is_of_elements(expr: sympy.Basic, domains: Mapping[sympy.Symbol, Domain]) -> bool:
    """Whether this is a reduction of elements."""
    return _is_of((Domain.ELEMENT,), expr, domains)


def is_of_margins(expr: sympy.Basic, domains: Mapping[sympy.Symbol, Domain]) -> bool:
    """Whether this is a reduction of what there is for each row, column or matrix."""
    return _is_of(OF_MATRICES, expr, domains)


def _is_of(
    kinds: Collection[Domain], expr: sympy.Basic, domains: Mapping[sympy.Symbol, Domain]
) -> bool:
    return isinstance(expr, Reduction) and domain_of(expr.args[0], domains) in kinds


class _Loops:
    """The loops of a program. A let is known by its place in the body."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lets, self.domains = program.body, program.domains
        self.writing = places_of(self.lets)
        self.reduces = [is_of_elements(let.value, self.domains) for let in self.lets]
        #: What is computed once, between two loops.
        self.is_between = [
            not reduces and (let.domain in OF_MATRICES or is_of_margins(let.value, self.domains))
            for let, reduces in zip(self.lets, self.reduces, strict=True)
        ]
        #: The first loop that can compute each let, or read it if it is a reduction.
        self.first = [0] * len(self.lets)
        while (again := self.firsts()) != self.first:
            self.first = again
        #: The loop that stores each new value, by its symbol.
        self.stored = self.store()

    def firsts(self) -> list[int]:
        """The first loop of each let, by those that are known of the others so far.

        All cases of a margin are made at once: who reads it, reads one array.
        """
        found = list(self.first)
        last: dict[sympy.Symbol, int] = {}
        for place, let in enumerate(self.lets):
            ready = max((self.ready(s, place) for s in let.reads), default=0)
            found[place] = ready + self.reduces[place]
            if self.is_between[place]:
                last[let.target] = max(found[place], last.get(let.target, 0))
        return [
            last.get(let.target, at) if between else at
            for let, between, at in zip(self.lets, self.is_between, found, strict=True)
        ]

    def found(self) -> tuple[Loop, ...]:
        """All loops; the last one has no elements if something is done after these."""
        is_late = any(
            between and first == self.count
            for between, first in zip(self.is_between, self.first, strict=True)
        )
        after = is_late or any(map(self.of, (*OF_MATRICES, Domain.TENSOR)))
        return tuple(map(self.loop, range(self.count + after)))

    @cached_property
    def count(self) -> int:
        """How many loops over elements there are."""
        reducing = [at - 1 for at, reduces in zip(self.first, self.reduces, strict=True) if reduces]
        outputs = {o.after for o in self.of(Domain.ELEMENT)}
        storing = [self.first[i] for i, let in enumerate(self.lets) if let.target in outputs]
        return 1 + max([*reducing, *storing], default=0)

    def of(self, domain: Domain) -> list[Output]:
        """The outputs of a domain that change."""
        outputs = self.program.outputs
        return [o for o in outputs if o.domain is domain and not self.program.keeps(o)]

    def ready(self, symbol: sympy.Symbol, reader: int) -> int:
        """The first loop that can have what a let reads."""
        return max((self.first[case] for case in self.cases(symbol, reader)), default=0)

    def cases(self, symbol: sympy.Symbol, reader: int) -> list[int]:
        """The lets from which a let can have a symbol; none if it is given to the program."""
        guard = self.lets[reader].guard
        writing = self.writing.get(symbol, ())
        return [i for i in writing if i < reader and not self.lets[i].guard.excludes(guard)]

    def store(self) -> dict[sympy.Symbol, int]:
        """The loop that stores each output; see `loops`."""
        last = self.count - 1
        stored = dict.fromkeys((o.after for o in self.of(Domain.ELEMENT)), last)
        for domain in (*OF_MATRICES, Domain.TENSOR):
            stored |= dict.fromkeys((o.after for o in self.of(domain)), self.count)
        old = {o.before: o.after for o in self.of(Domain.ELEMENT)}
        for number in range(last):
            computed, _ = self.needed(number, self.operands(number), {})
            for after in {self.lets[place].target for place in computed} & set(old.values()):
                stored[after] = min(number, stored[after])
        while True:
            moved = False
            for number in range(self.count):
                _, reads = self.needed(number, self.roots(number, stored), stored)
                for before in reads & old.keys():
                    if stored[old[before]] < number:
                        stored[old[before]], moved = number, True
            if not moved:
                return stored

    def operands(self, number: int) -> list[int]:
        """The reductions at the end of a loop."""
        return [i for i, at in enumerate(self.first) if self.reduces[i] and at == number + 1]

    def roots(self, number: int, stored: Mapping[sympy.Symbol, int]) -> list[int]:
        """The lets for which a loop is there."""
        kept = [i for i, let in enumerate(self.lets) if stored.get(let.target) == number]
        kept = [i for i in kept if not self.is_between[i]]
        return sorted({*self.operands(number), *kept})

    def needed(
        self, number: int, roots: Iterable[int], stored: Mapping[sympy.Symbol, int]
    ) -> tuple[set[int], set[sympy.Symbol]]:
        """The lets that a loop computes for some of them, and the arrays that it reads."""
        places, reads = set[int](), set[sympy.Symbol]()
        todo = list(roots)
        while todo:
            place = todo.pop()
            if place in places:
                continue
            places.add(place)
            for symbol in self.lets[place].reads:
                cases = self.cases(symbol, place)
                if cases and not (stored.get(symbol, number) < number and self.is_kept(cases)):
                    todo += [i for i in cases if not (self.reduces[i] or self.is_between[i])]
                elif self.domains[symbol] is Domain.ELEMENT:
                    reads.add(symbol)
        return places, reads

    def is_kept(self, cases: Iterable[int]) -> bool:
        """Whether these lets of an output are made only where there is a state to store them in."""
        live = {output.after: output.live for output in self.program.outputs}
        return all(self.lets[i].guard.implies(live[self.lets[i].target]) for i in cases)

    def loop(self, number: int) -> Loop:
        """One of the loops."""
        places, reads = self.needed(number, self.roots(number, self.stored), self.stored)
        between = [i for i, at in enumerate(self.first) if self.is_between[i] and at == number]
        before, _ = self.needed(number, between, self.stored)
        lets = [self.lets[place] for place in sorted(places)]
        outputs = self.program.outputs
        return Loop(
            tuple(self.lets[place] for place in sorted(before)),
            tuple(let for let in lets if not is_of_elements(let.value, self.domains)),
            tuple(let for let in lets if is_of_elements(let.value, self.domains)),
            tuple(symbol for symbol in self.domains if symbol in reads),
            tuple(o for o in outputs if self.stored.get(o.after) == number),
        )
