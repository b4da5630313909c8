"""The loops over elements of a rule, and all that stands beside them.

Owns what a loop takes, computes and leaves, terms of sums among it. What a language does with these
is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy

from ....ir import loops as ir_loops
from ....ir.program import Let, Names, Program, series_of, symbol
from ....operations import Group, Square
from ....spec.domains import OF_MATRICES, Domain
from ..c_like import c_block
from ..canonical import canonical
from ..statements import code
from .data import Array, Drawing, Loop, Loops, Sum, condition_of
from .known import Known, kind_of, read_by
from .language import Language
from .margins import between


def loops(program: Program, language: Language) -> Loops:
    """The loops of a program in a language.

    Raises
    ------
    Unserved
        If the program has too many choices: the NumPy step serves.
    """
    return _Writer(Known(program, language)).written()


class _Writer:
    """Writes the loops of one program."""

    def __init__(self, known: Known) -> None:
        self.known, self.language = known, known.language

    def written(self) -> Loops:
        *over_elements, last = self.known.loops
        numbers = None
        if over_elements and not any(o.domain is Domain.ELEMENT for o in last.stores):
            if any(o.domain is Domain.TENSOR for o in last.stores):
                numbers = self.loop(last, "numbers")
        else:
            over_elements.append(last)
        many = len(over_elements) > 1
        found = [
            self.loop(loop, f"loop_{number}" if many else "loop")
            for number, loop in enumerate(over_elements, start=1)
        ]
        margins = [
            between(self.known, loop.before, f"margins_{number}")
            for number, loop in enumerate(self.known.loops)
        ]
        margins += [None] * (len(found) + 1 - len(margins))
        counts = [len(loop.sums) for loop in found]
        margin_of = {let: i for i, (_, let, _) in enumerate(self.known.margins) if let is not None}
        return Loops(
            names=tuple(series_of(o.before) for o in self.known.arrays),
            kinds=tuple(o.domain.value for o in self.known.arrays),
            needed=tuple(condition_of(o.live) or "true" for o in self.known.arrays),
            scalars=self.known.scalars,
            choices=self.known.choices,
            loops=tuple(found),
            numbers=numbers,
            reductions=tuple(kind_of(let.value) for let in self.known.reductions),
            ends=tuple(sum(counts[: number + 1]) for number in range(len(counts))),
            margins=tuple(margin for *_, margin in self.known.margins),
            margin_of=tuple(margin_of.get(let, -1) for let in self.known.reductions),
            live=tuple(condition_of(let.guard) or "true" for let in self.known.reductions),
            between=tuple(margins),
            found=len(self.known.found),
        )

    def loop(self, of: ir_loops.Loop, name: str) -> Loop:
        part, sums = self.part(of)
        tensor = tuple(let for let in part.body if let.domain is Domain.TENSOR)
        element = tuple(let for let in part.body if let.domain is Domain.ELEMENT)
        above, inside = code(part, tensor), code(part, element)
        of_tensor = {s: n for s, n in above.names.items() if part.domains.get(s) is Domain.TENSOR}
        names = inside.names | of_tensor
        read = read_by(part.body)
        arrays, numbers = self.arrays_of(of, names, read)
        draws = tuple(Drawing(Array(str(d.symbol), d.live), d.kind, d.number) for d in part.drawn)
        scalars, found = self.known.scalars_in(read), self.known.found_in(read)
        margins = self.known.margins_in(read)

        declared = {name for name, _ in (*scalars, *found)}
        declared |= {array.name for array in (*arrays, *numbers)} | {m.name for m in margins}
        declared |= {draw.array.name for draw in draws}
        head = [*c_block(above.statements, self.language.printer(names), declared, "")]
        declared |= {"grad", *(made.name for made in sums), *(name for name, _ in inside.aliases)}
        real = self.language.printer.real
        lines = [f"{real} {name} = {source};" for name, source in inside.aliases]
        printer = self.language.terms(names, sums)
        lines += c_block(inside.statements, printer, declared, "")
        stored = [o for o in of.stores if o.domain not in OF_MATRICES]
        for store in stored:
            old, new = names[store.before], names[store.after]
            if old != new:
                (head if store.domain is Domain.TENSOR else lines).append(f"{old} = {new};")

        reads_grad = symbol("grad") in read
        made = [*(let.target.name for let in of.reductions), *(names[o.before] for o in stored)]
        return Loop(
            name=name,
            makes=tuple(made),
            arrays=arrays,
            draws=draws,
            reads_grad=reads_grad,
            numbers=numbers,
            scalars=scalars,
            found=found,
            margins=margins,
            head=tuple(head),
            lines=tuple(lines),
            sums=sums,
            canonical=canonical(part, self.known.choices),
        )

    def part(self, of: ir_loops.Loop) -> tuple[Program, tuple[Sum, ...]]:
        """A loop as a program of its own, that makes the terms of its sums; and these."""
        outputs = self.known.program.outputs
        # What an earlier loop has stored is what lies in memory.
        moved = {o.after: o.before for o in outputs if o.after in of.reads}
        names, terms, sums = Names(self.known.program), list[Let](), list[Sum]()
        for let in of.reductions:
            kind = kind_of(let.value)
            end = {"norm": "squared", "largest": "max"}.get(kind, "sum")
            target, value = names.free(f"{let.target}_{end}"), let.value.args[0]
            if kind == "norm":
                if not value.is_Symbol:
                    term = names.free(f"{let.target}_term")
                    terms.append(replace(let, target=term, value=value, domain=Domain.ELEMENT))
                    value = term
                value = Square(value)
            elif value.is_Symbol:
                value = Group(value)  # else the sum would be another name of what it adds
            array = names.free(f"{let.target}_sums").name
            sums.append(Sum(target.name, array, kind, let.domain, let.guard))
            terms.append(replace(let, target=target, value=value, domain=Domain.ELEMENT))
        lets = [*of.lets, *terms]
        lets.sort(key=lambda let: let.domain is Domain.ELEMENT)
        kept = [o for o in outputs if o.domain not in OF_MATRICES]
        return self.known.alone(lets, kept, moved), tuple(sums)

    def arrays_of(
        self, of: ir_loops.Loop, names: Mapping[sympy.Symbol, str], read: set[sympy.Symbol]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The arrays of elements that a loop reads or stores, and its numbers of the tensor."""
        found: dict[Domain, list[Array]] = {Domain.ELEMENT: [], Domain.TENSOR: []}
        for place, output in enumerate(self.known.arrays):
            stored = output in of.stores
            if output.domain in found and (stored or output.before in read):
                array = Array(names[output.before], output.live, place, stored)
                found[output.domain].append(array)
        return tuple(found[Domain.ELEMENT]), tuple(found[Domain.TENSOR])
