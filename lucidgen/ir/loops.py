"""A program's body as loops over the elements: what each needs to be a program of its own.

Owns what a loop does when an earlier one has computed what it needs: it computes it again, from
what lies in memory by then. New values of states do, once they are stored, and so do old ones
until then. To compute again costs reads; to keep would cost a write, a read and memory of the size
of a tensor, and moves less in none of the built-in optimizers. Does not own how a pass over all
elements is counted where a library makes one for each operation (`phases`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import sympy

from ..operations import Reduction
from ..spec.domains import Domain, domain_of
from .program import Let, Names, Output, Program


@dataclass(frozen=True)
class Loop:
    """One loop over the elements of a tensor, and what it leaves behind.

    Attributes
    ----------
    lets : tuple of Let
        All that the loop needs and has neither in memory nor from reductions, in the order of the
        program. What is per tensor comes before the elements.
    reductions : tuple of Let
        Its last work: each names a reduction of elements, whose operand the loop computes.
    reads : tuple of Symbol
        The arrays of elements that it reads, and random numbers.
    stores : tuple of Output
        What has its new value when it ends: arrays of elements, or, where it is the last one and
        has no elements, numbers of the tensor.
    """

    lets: tuple[Let, ...]
    reductions: tuple[Let, ...]
    reads: tuple[sympy.Symbol, ...]
    stores: tuple[Output, ...]


def loops(program: Program) -> tuple[Loop, ...]:
    """The body of a program as loops, in the order in which they run.

    Parameters
    ----------
    program : Program
        One whose reductions of elements are lets of their own (`reductions_apart`), and that has
        no rows or columns.

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
    """The program with a let for every reduction of elements; new ones have provisional names.

    What one of them gives is never an output, nor one of several cases: these have lets of their
    own, too.
    """
    names, lets, domains = Names(program), list[Let](), dict(program.domains)
    own = {output.after for output in program.outputs}
    cases = Counter(let.target for let in program.body)
    own |= {target for target, number in cases.items() if number > 1}
    for let in program.body:
        value = let.value
        while inner := _reduction_in(value, domains, whole=let.target in own):
            target, domain = names.fresh(), domain_of(inner, domains)
            domains[target] = domain
            lets.append(Let(target, inner, domain, let.guard, let.note))
            value = value.xreplace({inner: target})
        lets.append(replace(let, value=value))
    return program.with_lets((*program.host, *lets))


def _reduction_in(
    expr: sympy.Basic, domains: Mapping[sympy.Symbol, Domain], whole: bool
) -> sympy.Basic | None:
    """A reduction of elements in an expression, with none inside; `whole` counts all of it."""
    parts = (part for part in sympy.postorder_traversal(expr) if whole or part != expr)
    return next((part for part in parts if is_of_elements(part, domains)), None)


def is_of_elements(expr: sympy.Basic, domains: Mapping[sympy.Symbol, Domain]) -> bool:
    """Whether this is a reduction of elements."""
    reduces = isinstance(expr, Reduction)
    return reduces and domain_of(expr.args[0], domains) is Domain.ELEMENT


class _Loops:
    """The loops of a program. A let is known by its place in the body."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lets, self.domains = program.body, program.domains
        self.reduces = [is_of_elements(let.value, self.domains) for let in self.lets]
        #: The first loop that can compute each let, or read it if it is a reduction.
        self.first: list[int] = []
        for place, let in enumerate(self.lets):
            ready = max((self.ready(s, place) for s in let.value.free_symbols), default=0)
            self.first.append(ready + self.reduces[place])
        #: The loop that stores each new value, by its symbol.
        self.stored = self.store()

    def found(self) -> tuple[Loop, ...]:
        """All loops; if there are states of tensors, the last one stores these alone."""
        return tuple(map(self.loop, range(self.count + any(self.of(Domain.TENSOR)))))

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
        before = enumerate(self.lets[:reader])
        return [i for i, let in before if let.target == symbol and not let.guard.excludes(guard)]

    def store(self) -> dict[sympy.Symbol, int]:
        """The loop that stores each output; see `loops`."""
        last = self.count - 1
        stored = dict.fromkeys((o.after for o in self.of(Domain.ELEMENT)), last)
        stored |= dict.fromkeys((o.after for o in self.of(Domain.TENSOR)), self.count)
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
            for symbol in self.lets[place].value.free_symbols:
                cases = self.cases(symbol, place)
                if cases and not (stored.get(symbol, number) < number and self.is_kept(cases)):
                    todo += [case for case in cases if not self.reduces[case]]
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
        lets = [self.lets[place] for place in sorted(places)]
        outputs = self.program.outputs
        return Loop(
            tuple(let for let in lets if not is_of_elements(let.value, self.domains)),
            tuple(let for let in lets if is_of_elements(let.value, self.domains)),
            tuple(symbol for symbol in self.domains if symbol in reads),
            tuple(o for o in outputs if self.stored.get(o.after) == number),
        )
