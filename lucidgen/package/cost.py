"""What a step costs: reads, writes and operations per element, and what is per row or per tensor.

Owns the count. It counts the same trees that the targets print, phase by phase: the work on a
reduction's operand is done per element, wherever its result lives. Does not own the words in which
commands say it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from ..ir.loops import loops, reductions_apart
from ..ir.lower import lower, lower_rounds
from ..ir.phases import Phase, phases
from ..ir.program import Let, Program, series_of
from ..operations import OPERATIONS, Square
from ..passes import optimize, resolve
from ..passes.name import name
from ..spec.domains import Domain, domain_of, join
from ..spec.optimizer import OptimizerSpec
from ..targets.common.trees import Node, Op, tree_in
from ..targets.common.trees import reads as symbols


@dataclass(frozen=True)
class Reducing:
    """What a reduction does with each value that it takes, and with each that it gives."""

    taken: tuple[str, ...] = ("add",)
    given: tuple[str, ...] = ()


NORM, MEAN = Reducing(("mul", "add"), ("sqrt",)), Reducing(given=("div",))
TOTAL, LARGEST = Reducing(), Reducing(("maximum",))

REDUCTIONS = {
    **dict.fromkeys(("norm", "row_norm", "column_norm"), NORM),
    **dict.fromkeys(("mean", "row_mean", "column_mean"), MEAN),
    **dict.fromkeys(("total", "row_total", "column_total"), TOTAL),
    **dict.fromkeys(("largest", "row_max", "column_max"), LARGEST),
}


@dataclass(frozen=True)
class Work:
    """What is done for each value of one domain: arrays read, arrays written, operations by name.

    Of rows, columns and tensors only the inputs and the states are read and written: the few values
    between can stay in registers.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    operations: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.reads or self.writes or self.operations)

    def __str__(self) -> str:
        reads = f"reads {', '.join(self.reads)}" if self.reads else ""
        writes = f"writes {', '.join(self.writes)}" if self.writes else ""
        counts = ", ".join(f"{number} {name}" for name, number in sorted(self.operations.items()))
        return "; ".join(filter(None, (reads, writes, counts)))


@dataclass(frozen=True)
class PhaseCost:
    """The cost of one phase.

    Attributes
    ----------
    work : mapping from Domain to Work
        All that is done, by the domain of the values that it is done for. What a reduction does
        with each element is in it; its one root or division per result is in the next phase's.
    reductions : tuple of str
        The reductions of elements at the end of the phase, as expressions.
    calls : int
        The operations and reductions of elements: how often an array library goes over them.
    """

    work: Mapping[Domain, Work]
    reductions: tuple[str, ...]
    calls: int


@dataclass(frozen=True)
class Cost:
    """The cost of a step, phase by phase (`lucidgen.ir.phases`).

    `once` are operations that stand in a loop but have no array among their operands: compilers
    take them out of it.
    """

    phases: tuple[PhaseCost, ...]
    once: Mapping[str, int]

    @property
    def reads(self) -> tuple[str, ...]:
        """The arrays of elements that are read; one that several phases read counts in each."""
        return tuple(name for work in self._loops for name in work.reads)

    @property
    def writes(self) -> tuple[str, ...]:
        """The arrays of elements that are written, also those for a later phase."""
        return tuple(name for work in self._loops for name in work.writes)

    @property
    def operations(self) -> Mapping[str, int]:
        """The operations per element in all phases, by name."""
        return sum((Counter(work.operations) for work in self._loops), Counter[str]())

    @property
    def passes(self) -> int:
        """How often a step goes over the elements if each phase is one loop, as in C++."""
        return sum(map(bool, self._loops))

    @property
    def calls(self) -> int:
        """How often it does if each operation and each reduction is a call, as in NumPy."""
        return sum(phase.calls for phase in self.phases)

    @property
    def is_elementwise(self) -> bool:
        """Whether all is done per element, in one phase."""
        return [set(phase.work) for phase in self.phases] == [{Domain.ELEMENT}]

    @property
    def _loops(self) -> list[Work]:
        return [phase.work.get(Domain.ELEMENT, Work()) for phase in self.phases]

    def __str__(self) -> str:
        return str(Work(self.reads, self.writes, self.operations))


def cost(program: Program, on: Mapping[str, bool] | None = None) -> Cost:
    """The cost of a lowered program under static choices.

    Of those that are not given flags are off, and what the host or a shape decides (RAdam's
    rho > 5, Adafactor's ndim >= 2) holds.

    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.specs.adam import Adam
    >>> print(cost(lower(Adam)))
    reads w, grad, m, v; writes w, m, v; 3 add, 1 div, 6 mul, 1 sqrt, 1 sub
    >>> from lucidgen.specs.lars import LARS
    >>> for phase in cost(lower(LARS)).phases:
    ...     print(phase.work[Domain.ELEMENT], phase.reductions)
    reads w, grad; 2 add, 2 mul ('norm(w)', 'norm(grad)')
    reads w, grad, velocity; writes w, velocity; 2 add, 3 mul, 1 sub ()
    """
    program = _chosen(program, on)
    counter = _Counter(program)
    found = tuple(map(counter.phase, phases(program)))
    return Cost(found, dict(counter.once))


def cost_of(spec: OptimizerSpec, on: Mapping[str, bool] | None = None) -> Cost:
    """The cost of a step of a sound spec, with what it needs of whole groups before.

    >>> from lucidgen.specs.dog import DoG
    >>> cost_of(DoG).passes
    2
    """
    found = [cost(program, on) for program in _programs(spec)]
    phases = tuple(phase for part in found for phase in part.phases)
    return Cost(phases, sum((Counter(part.once) for part in found), Counter[str]()))


@dataclass(frozen=True)
class Traffic:
    """What one loop over the elements does with memory (`lucidgen.ir.loops`).

    The arrays that it reads and those that it stores, what an earlier loop has computed as well,
    and what its reductions find.
    """

    reads: tuple[str, ...]
    again: tuple[str, ...]
    finds: tuple[str, ...]
    stores: tuple[str, ...]


def traffic(program: Program, on: Mapping[str, bool] | None = None) -> tuple[Traffic, ...]:
    """The loops of a lowered program under static choices, as `cost` takes them.

    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.specs.lamb import LAMB
    >>> for loop in traffic(lower(LAMB)):
    ...     print(loop.reads, loop.again, loop.finds, loop.stores)
    ('w', 'grad', 'm', 'v') () ('w_norm', 'u_norm') ('m', 'v')
    ('w', 'm', 'v') ('u',) () ('w',)
    """
    program = name(reductions_apart(_chosen(program, on)))
    found, done, drawn = [], set[Let](), {draw.symbol for draw in program.drawn}
    for loop in filter(lambda loop: loop.reads, loops(program)):
        made = [let for let in loop.lets if let.domain is Domain.ELEMENT]
        again = [let.target for let in made if let in done and not let.value.is_Symbol]
        done.update(made)
        found.append(
            Traffic(
                tuple(series_of(s) for s in loop.reads if s not in drawn),
                tuple(target.name for target in again),
                tuple(let.target.name for let in loop.reductions),
                tuple(store.after.name for store in loop.stores),
            )
        )
    return tuple(found)


def traffic_of(spec: OptimizerSpec, on: Mapping[str, bool] | None = None) -> tuple[Traffic, ...]:
    """The loops of a step of a sound spec, with what it needs of whole groups before."""
    return tuple(loop for program in _programs(spec) for loop in traffic(program, on))


def _programs(spec: OptimizerSpec) -> list[Program]:
    """What goes over elements in a step: the shares of sums over groups, and the step itself."""
    shares = (found.shares for found in lower_rounds(spec))
    return [*(program for program in shares if program is not None), lower(spec)]


def _chosen(program: Program, on: Mapping[str, bool] | None) -> Program:
    """An optimized program with its static choices made."""
    choices = dict.fromkeys(program.choices, False)
    choices |= dict.fromkeys((*program.conditions, *dict(program.shapes)), True) | dict(on or {})
    return resolve(optimize(program), choices)


class _Counter:
    """Counts the phases of one program, whose static choices are made."""

    def __init__(self, program: Program) -> None:
        #: What is a number of the host under these choices is none of a tensor.
        self.domains: dict[sympy.Basic, Domain] = dict(program.domains)
        outputs = {output.after for output in program.outputs}
        for let in program.body:
            if let.target not in outputs:
                self.domains[let.target] = domain_of(let.value, self.domains)
        #: What the compiler gave names to.
        self.made = {
            let.target: let.value for let in program.body if let.target.name not in program.series
        }
        self.drawn = program.drawn
        self.once: Counter[str] = Counter()

    def phase(self, phase: Phase) -> PhaseCost:
        """The cost of one phase."""
        trees = [self.tree(let.value) for let in phase.lets]
        reductions = [self.tree(reduction) for reduction in phase.reductions]
        operands = [reduction.args[0] for reduction in reductions]
        done = Counter(work for tree in (*trees, *operands) for work in self.done(tree))
        calls = sum(number for (domain, _), number in done.items() if domain is Domain.ELEMENT)
        for reduction in reductions:
            done.update((Domain.ELEMENT, name) for name in REDUCTIONS[reduction.name].taken)
        read = {symbol for tree in (*trees, *operands) for symbol in symbols(tree)}
        done.update((Domain.ELEMENT, d.kind) for d in self.drawn if d.symbol in read)
        work = {}
        for of in Domain:
            counts = {name: number for (domain, name), number in done.items() if domain is of}
            work[of] = Work(self.arrays(phase.reads, of), self.arrays(phase.writes, of), counts)
        self.once.update(work.pop(Domain.HOST).operations)
        return PhaseCost(
            {domain: found for domain, found in work.items() if found},
            tuple(map(self.text, phase.reductions)),
            calls + len(reductions),
        )

    def tree(self, expr: sympy.Basic) -> Any:
        """The tree that the targets print."""
        return tree_in(expr, self.domains)

    def domain(self, node: Node) -> Domain:
        """The domain of a tree's value."""
        if not isinstance(node, Op):
            return self.domains.get(node, Domain.HOST)
        inside = join(map(self.domain, node.args))
        leaves = OPERATIONS[node.name].leaves
        return inside.reduced(leaves) if leaves else inside

    def done(self, node: Node) -> Iterator[tuple[Domain, str]]:
        """The operations of a tree, each with the domain of the values that it is done for.

        Of a reduction of elements these are what is done with its results.
        """
        if not isinstance(node, Op):
            return
        inside = join(map(self.domain, node.args))
        reducing = REDUCTIONS.get(node.name)
        if reducing is None or inside is not Domain.ELEMENT:
            for arg in node.args:
                yield from self.done(arg)
            names = (node.name,) if reducing is None else reducing.taken
            yield from ((inside, "mul" if name == "square" else name) for name in names)
        if reducing is not None:
            yield from ((self.domain(node), name) for name in reducing.given)

    def arrays(self, symbols: Iterable[sympy.Symbol], domain: Domain) -> tuple[str, ...]:
        """The names of those that are of a domain."""
        return tuple(series_of(s) for s in symbols if self.domains[s] is domain)

    def text(self, reduction: sympy.Basic) -> str:
        """A reduction in the author's names."""
        while reduction.free_symbols & set(self.made):
            reduction = reduction.xreplace(self.made)
        return str(reduction.replace(Square, lambda x: x**2)).replace("[t - 1]", "")
