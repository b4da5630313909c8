"""A program's body in phases: it is cut where an element needs what a reduction of elements gives.

Owns the cut, and which arrays each phase reads and writes. It moves nothing and knows no operation:
passes and targets decide what they make of the phases, and the cost model counts in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sympy

from ..operations import Reduction
from ..spec.domains import Domain, domain_of
from .program import Let, Program, places_of


@dataclass(frozen=True)
class Phase:
    """What one pass over the elements can do: its lets need nothing but inputs and earlier phases.

    What is per row, column or tensor comes first and is little; then the loop over the elements;
    then the reductions, whose results the next phase has.

    Attributes
    ----------
    lets : tuple of Let
        What is there when the phase ends, in the order of the program. A reduction of elements
        within a let is not part of it, but of the earlier phase that reduces.
    reductions : tuple of Reduction
        The reductions of elements at the end of the phase, whose operands its loop computes.
    reads : tuple of Symbol
        The arrays that are read from memory: inputs of any domain but the host's, and what earlier
        phases computed per element.
    writes : tuple of Symbol
        The arrays that are written to memory: new values of w and the states, and what later phases
        read per element.
    """

    lets: tuple[Let, ...]
    reductions: tuple[Reduction, ...]
    reads: tuple[sympy.Symbol, ...]
    writes: tuple[sympy.Symbol, ...]


def phases(program: Program) -> tuple[Phase, ...]:
    """The body of a program in as few phases as there can be.

    Everything is done as early as a reduction needs it, and else as late as its first reader, in
    whose loop it costs no memory. A let that is another name costs nothing, and who reads it reads
    what it names. Where static choices are open, a phase has what any of them asks for.

    Parameters
    ----------
    program : Program
        Any program; after the pass `resolve` the phases are those of one combination of choices.

    Returns
    -------
    The phases, in the order in which they run. The last ones may lack a loop over elements: what is
    left to do with rows, columns or one number.

    Examples
    --------
    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.passes import optimize, resolve
    >>> from lucidgen.specs.lars import LARS
    >>> program = resolve(optimize(lower(LARS)), {"scale_grad": False})
    >>> for phase in phases(program):
    ...     print([str(let.target) for let in phase.lets], phase.reductions)
    ...     print("  reads", phase.reads, "and writes", phase.writes)
    ['scaled_grad'] (norm(w[t - 1]), norm(scaled_grad))
      reads (w[t - 1], grad) and writes ()
    ['w_norm', 'grad_norm', 'trust_ratio', 'scaled_lr', 'velocity', 'w'] ()
      reads (w[t - 1], grad, velocity[t - 1]) and writes (w, velocity)
    """
    cut = _Cut(program)
    return tuple(cut.phase(number) for number in range(cut.number))


class _Cut:
    """The phase of every let, and what follows from it. A let is known by its place in the body."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lets = program.body
        self.writing = places_of(self.lets)
        self.domains = program.domains
        #: The first phase that can have each let, and the one in which it is computed.
        self.first: list[int] = []
        for place, let in enumerate(self.lets):
            self.first.append(self.ready(let.value, place))
        self.at = list(self.first)
        self.place_late()
        found = [phase for place in range(len(self.lets)) for _, phase in self.parts(place)]
        self.number = 1 + max([*self.at, *found], default=0)
        self.read, self.written = self.traffic()

    def phase(self, number: int) -> Phase:
        """One of the phases."""
        places = range(len(self.lets))
        parts = [part for place in places for part, phase in self.parts(place) if phase == number]
        return Phase(
            tuple(self.lets[place] for place in places if self.at[place] == number),
            tuple(part for part in parts if isinstance(part, Reduction)),
            self.ordered(self.read[number]),
            self.ordered(self.written[number]),
        )

    def ready(self, expr: sympy.Basic, reader: int) -> int:
        """The first phase that can have an expression which a let reads."""
        if isinstance(expr, sympy.Symbol):
            return max((self.first[case] for case in self.cases(expr, reader)), default=0)
        inside = max((self.ready(arg, reader) for arg in expr.args), default=0)
        return inside + self.ends_a_phase(expr)

    def ends_a_phase(self, expr: sympy.Basic) -> bool:
        """Whether this is a reduction of elements."""
        reduces = isinstance(expr, Reduction)
        return reduces and domain_of(expr.args[0], self.domains) is Domain.ELEMENT

    def cases(self, of: sympy.Symbol, reader: int) -> list[int]:
        """The lets from which a let can have a symbol; none if it is given to the program."""
        guard = self.lets[reader].guard
        writing = self.writing.get(of, ())
        return [i for i in writing if i < reader and not self.lets[i].guard.excludes(guard)]

    def sources(self, of: sympy.Symbol, reader: int) -> Iterator[tuple[sympy.Symbol, int | None]]:
        """What a symbol stands for once names are seen through, each with its let or None."""
        cases = self.cases(of, reader)
        if not cases:
            yield of, None
        for case in cases:
            value = self.lets[case].value
            if isinstance(value, sympy.Symbol):
                yield from self.sources(value, case)
            else:
                yield of, case

    def place_late(self) -> None:
        """Put each let where its first reader is, and each name where that is which it names."""
        latest: dict[int, int] = {}
        for place in reversed(range(len(self.lets))):
            if self.is_name(place):
                continue
            self.at[place] = latest.get(place, self.first[place])
            for _, source, phase in self.reads(place):
                if source is not None:
                    latest[source] = min(phase, latest.get(source, phase))
        for place in filter(self.is_name, range(len(self.lets))):
            named = [0 if source is None else self.at[source] for _, source, _ in self.reads(place)]
            self.at[place] = max(named)

    def is_name(self, place: int) -> bool:
        """Whether a let only gives another name to something."""
        return isinstance(self.lets[place].value, sympy.Symbol)

    def parts(self, place: int) -> Iterator[tuple[sympy.Basic, int]]:
        """The symbols and the reductions of elements in a let, each with the phase it is in."""
        todo = [(self.lets[place].value, self.at[place])]
        while todo:
            part, phase = todo.pop()
            if self.ends_a_phase(part):
                phase = self.ready(part.args[0], place)
                yield part, phase
            elif isinstance(part, sympy.Symbol):
                yield part, phase
            todo += [(arg, phase) for arg in reversed(part.args)]

    def reads(self, place: int) -> Iterator[tuple[sympy.Symbol, int | None, int]]:
        """What a let reads, with the let that computes it or None, and with the phase."""
        for part, phase in self.parts(place):
            if isinstance(part, sympy.Symbol):
                yield from ((symbol, let, phase) for symbol, let in self.sources(part, place))

    def traffic(self) -> tuple[list[set[sympy.Symbol]], list[set[sympy.Symbol]]]:
        """What each phase reads from memory and what it writes there."""
        read: list[set[sympy.Symbol]] = [set() for _ in range(self.number)]
        written: list[set[sympy.Symbol]] = [set() for _ in range(self.number)]
        kept = {o.after for o in self.program.outputs if self.program.keeps(o)}
        stored = {o.after for o in self.program.outputs} - kept
        drawn = {of.symbol for of in self.program.drawn}  # computed where they are read
        for place, let in enumerate(self.lets):
            if let.target in stored:
                written[self.at[place]].add(let.target)
            elif self.is_name(place):
                continue
            for symbol, source, phase in self.reads(place):
                if source is None:
                    read[phase] |= {symbol} - drawn
                elif self.lets[source].domain is Domain.ELEMENT and self.at[source] < phase:
                    read[phase].add(symbol)
                    written[self.at[source]].add(symbol)
        return read, written

    def ordered(self, symbols: Iterable[sympy.Symbol]) -> tuple[sympy.Symbol, ...]:
        """The arrays among some symbols: w and grad, then the states, then what is between."""
        inputs = (i.symbol for i in self.program.inputs)
        outputs = (output.after for output in self.program.outputs)
        places = {s: n for n, s in enumerate(dict.fromkeys([*inputs, *outputs, *self.domains]))}
        arrays = (s for s in symbols if self.domains[s] is not Domain.HOST)
        return tuple(sorted(arrays, key=places.__getitem__))
