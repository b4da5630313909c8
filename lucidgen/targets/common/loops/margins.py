"""What is done with margins between the loops of a rule, and with what is found in them.

Owns one function for each place between two loops: passes over rows, columns and matrices, and
reductions of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_

import sympy

from ....ir.guard import Guard
from ....ir.program import Let, Program, name_of, series_of, symbol
from ....spec.domains import OF_MATRICES, Domain
from ..c_like import c_block, c_condition
from ..canonical import canonical
from ..statements import code
from .data import Array, Between
from .known import Known, kind_of, read_by
from .passes import passes


def between(known: Known, lets: Sequence[Let], name: str) -> Between | None:
    """What is done with margins before a loop; None if that is nothing.

    Parameters
    ----------
    known : Known
        What the rule's loops know of each other.
    lets : sequence of Let
        What is made there (`ir.loops.Loop.before`).
    name : str
        The function's.
    """
    if not lets:
        return None
    new = {let.target: known.new[let.target] for let in lets if let.target in known.new}
    moved = [replace(let, target=new.get(let.target, let.target)) for let in lets]
    part = known.alone(moved, (), new)
    writer, read, own = _Writer(known, part), read_by(part.body), {let.target for let in part.body}
    numbers = tuple(
        Array(series_of(o.before), o.live, place)
        for place, o in enumerate(known.arrays)
        if o.domain is Domain.TENSOR and o.before in read
    )
    scalars = known.scalars_in(read)
    found = tuple((n, text) for n, text in known.found_in(read) if symbol(n) not in own)
    declared = {n for n, _ in (*scalars, *found)} | {number.name for number in numbers}
    lines = tuple(writer.lines(declared))
    makes = (let for let in lets if let.domain is not Domain.TENSOR or let in known.found)
    return Between(
        name=name,
        makes=tuple(dict.fromkeys(let.target.name for let in makes)),
        numbers=numbers,
        scalars=scalars,
        found=found,
        finds=writer.finds,
        arrays=tuple(writer.arrays.items()),
        lines=lines,
        canonical=canonical(part, known.choices),
    )


class _Writer:
    """Writes the body of one such function."""

    def __init__(self, known: Known, part: Program) -> None:
        self.known, self.part, self.language = known, part, known.language
        self.shape = f"{known.language.given}shape"
        #: The arrays of margins that are used, each with its text.
        self.arrays: dict[str, str] = {}
        self.finds = False

    def lines(self, declared: set[str]) -> Iterator[str]:
        """The lines of the body; numbers of some names are declared before."""
        groups: list[tuple[Guard, list[str]]] = []
        for domain, lets in passes(self.part.body, self.part.domains):
            guard = reduce(or_, (let.guard for let in lets))
            if domain is Domain.TENSOR:
                guard = self.part.always
            if not groups or groups[-1][0] != guard:
                groups.append((guard, []))
                here = declared if guard.is_always else set(declared)
            lines = groups[-1][1]
            lines.extend(self.found_before(lets, here))
            if domain is Domain.TENSOR:
                block = code(self.part, tuple(lets))
                lines.extend(
                    c_block(block.statements, self.language.printer(block.names), here, "")
                )
            elif domain is None:
                lines.extend(self.reduction(lets[0]))
            else:
                lines.extend(self.margins(domain, lets, guard, here))
        for guard, lines in groups:
            yield from lines if guard.is_always else self.under(guard, lines)

    def found_before(self, lets: Sequence[Let], declared: set[str]) -> Iterator[str]:
        """Names for what was found in margins and is read by a pass."""
        for name, text in self.known.found_in(read_by(lets)):
            if name not in declared:
                declared.add(name)
                yield f"const {self.language.printer.real} {name} = {text};"

    def array(self, of: sympy.Symbol) -> str:
        """The array of a margin, which is declared at the top."""
        name = f"{series_of(of)}_margin"
        self.arrays[name] = self.known.array_of(of)
        return name

    def margins(
        self, domain: Domain, lets: Sequence[Let], guard: Guard, above: set[str]
    ) -> Iterator[str]:
        """One pass over all rows, columns or matrices, where a guard holds."""
        lets = tuple(replace(let, guard=let.guard.within(guard)) for let in lets)
        block, declared = code(self.part, lets), set(above)
        yield self.language.walk.format(count=f"{self.shape}.count(Of::{domain.value})")
        read = sorted(read_by(lets) - {let.target for let in lets}, key=name_of)
        for s in read:
            of = self.part.domains[s]
            if of in OF_MATRICES:
                lines = {Domain.ROW: "rows", Domain.COLUMN: "columns"}.get(domain)
                at = "i" if of is domain else f"i / {self.shape}.{lines}"
                value = f"{self.array(s)}[{at}]"
                yield f"    {self.language.printer.real} {block.names[s]} = {value};"
                declared.add(block.names[s])
        yield from c_block(block.statements, self.language.printer(block.names), declared, "    ")
        for target in dict.fromkeys(let.target for let in lets if let.target in self.known.kept):
            made = reduce(or_, (let.guard for let in lets if let.target == target))
            stored = [f"{self.array(target)}[i] = {block.names[target]};"]
            for line in stored if made.is_always else self.under(made, stored):
                yield f"    {line}"
        yield "}"
        yield from self.language.walked

    def reduction(self, let: Let) -> Iterator[str]:
        """A reduction of a margin, to one number or to one for each matrix."""
        of = self.part.domains[let.value.args[0]]
        kind, array = kind_of(let.value), self.array(let.value.args[0])
        if let.domain is Domain.TENSOR:
            self.finds = True
            place = [(t.target, t.guard) for t in self.known.found].index((let.target, let.guard))
            count = f"{self.shape}.count(Of::{of.value})"
            found = f"{self.language.given}found[{place}]"
            made = self.language.reduced.format(kind=kind, of=array, size=count)
            yield f"{found} = {made};"
        else:
            each = f"{self.shape}.{'rows' if of is Domain.ROW else 'columns'}"
            count, to = f"{self.shape}.matrices", self.array(let.target)
            for line in self.language.each_matrix:
                yield line.format(kind=kind, of=array, size=each, count=count, to=to)

    def under(self, guard: Guard, lines: Sequence[str]) -> Iterator[str]:
        """Lines in a branch."""
        yield f"{self.language.printer.branch} ({c_condition(guard)}) {{"
        yield from (f"    {line}" for line in lines)
        yield "}"
