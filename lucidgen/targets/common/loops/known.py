"""What the loops of a rule know of each other: scalars, what was found, and margins.

Owns by which names and from which arrays functions read what others have made, and how some lets
become a program of their own that is given all that. Does not own what the functions do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import sympy

from ....ir import loops as ir_loops
from ....ir.guard import Guard
from ....ir.program import Input, Let, Names, Output, Program, name_of, series_of, symbol
from ....operations import HEADS
from ....passes.name import name as named
from ....spec.domains import OF_MATRICES, Domain
from ....spec.expressions import replaced
from ..c_like import c_choice
from ..canonical import MAX_CHOICES
from ..names import renamed
from ..step_function import step_parameters
from ..target import Unserved
from .data import Margin, MarginRead
from .language import Language
from .passes import passes


class Known:
    """A program cut into loops, whose names a language can have, and what passes between them.

    Raises
    ------
    Unserved
        If the program has too many choices: the NumPy step serves.
    """

    def __init__(self, program: Program, language: Language) -> None:
        arrays = {series_of(i.symbol) for i in program.inputs if i.domain is not Domain.HOST}
        given = [name for name in step_parameters(program) if name not in arrays]
        self.language = language
        self.program, names = renamed(_apart(program), language.free)
        self.choices = tuple(names[name] for name in given if name in program.choices)
        if len(self.choices) > MAX_CHOICES:
            raise Unserved(
                f"it has {len(self.choices)} choices, more than {MAX_CHOICES}, and each "
                "combination of them would be a loop of its own"
            )
        self.scalars = tuple(names.get(name, name) for name in given if name not in program.choices)
        self.loops = _cut(self.program)
        outputs, domains = self.program.outputs, self.program.domains
        self.arrays = [o for o in outputs if o.domain is not Domain.HOST]
        self.reductions = [let for loop in self.loops for let in loop.reductions]
        #: What is one number once it is found: in elements by loops, and in margins.
        between = [let for let in self.program.body if ir_loops.is_of_margins(let.value, domains)]
        self.found = [*self.reductions, *(t for t in between if t.domain is Domain.TENSOR)]
        taken = Names(self.program)
        #: New values that are kept beside the old ones, by symbols of their own.
        self.new = {
            o.after: taken.free(f"new_{series_of(o.before)}")
            for o in self.arrays
            if o.domain is not Domain.ELEMENT
        }
        self.kept = self.kept_margins()
        #: All margins, as functions read them; a reduction has one of its own in each case.
        self.margins = list(self.margins_found())

    def margins_found(self) -> Iterator[tuple[sympy.Symbol, Let | None, Margin]]:
        """All margins: the symbol that each has the values of, and the reduction that gives it."""
        places = {o.after: i for i, o in enumerate(self.arrays)}
        for place, output in enumerate(self.arrays):
            if output.domain in OF_MATRICES:
                name = series_of(output.before)
                yield output.before, None, Margin(name, output.domain, began=place)
        for let in self.reductions:
            if let.domain in OF_MATRICES:
                yield let.target, let, Margin(let.target.name, let.domain)
        reducing = {let.target for let in self.reductions}
        made = {let.target: let.domain for let in self.program.body if let.domain in OF_MATRICES}
        for target, domain in made.items():
            of = self.new.get(target, target)
            if of in self.kept and target not in reducing:
                yield of, None, Margin(of.name, domain, becomes=places.get(target, -1))

    def kept_margins(self) -> set[sympy.Symbol]:
        """What is made of margins and read elsewhere than in the pass that makes it."""
        kept = {output.after for output in self.arrays}
        for loop in self.loops:
            kept |= read_by((*loop.lets, *loop.reductions))
            for _, lets in passes(loop.before, self.program.domains):
                kept |= read_by(lets) - {let.target for let in lets}
        return {self.new.get(of, of) for of in kept}

    def alone(
        self,
        lets: Sequence[Let],
        outputs: Sequence[Output],
        moved: Mapping[sympy.Symbol, sympy.Symbol],
    ) -> Program:
        """Some lets as a program that is given what it has not computed, with some new names."""
        made = {let.target for let in lets}
        renames = {s: new for s, new in self.new.items() if s not in made} | dict(moved)
        body = tuple(let.with_value(replaced(let.value, renames)) for let in lets)
        old = self.program.domains
        domains = old | {new: old[s] for s, new in renames.items()}
        inputs = {given.symbol for given in self.program.inputs}
        others = sorted(read_by(body) - made - inputs, key=name_of)
        return replace(
            self.program,
            inputs=(
                *self.program.inputs,
                *(Input(s, "state", domains[s]) for s in others if domains[s] is not Domain.HOST),
            ),
            body=body,
            outputs=tuple(o for o in outputs if o.after in made),
        )

    def scalars_in(self, read: set[sympy.Symbol]) -> tuple[tuple[str, int], ...]:
        """The scalars among what is read, with their places."""
        numbered = enumerate(self.scalars)
        return tuple((name, i) for i, name in numbered if symbol(name) in read)

    def found_in(self, read: set[sympy.Symbol]) -> tuple[tuple[str, str], ...]:
        """What reductions have found among what is read, with its text."""
        numbers = (let.target for let in self.found if let.domain is Domain.TENSOR)
        return tuple((s.name, self.found_as(s)) for s in dict.fromkeys(numbers) if s in read)

    def found_as(self, target: sympy.Symbol) -> str:
        """What a reduction has found; of several of one name, the one that these choices make."""
        places = [(i, let) for i, let in enumerate(self.found) if let.target == target]
        return _chosen(
            [(let.guard, f"{self.language.given}found[{place}]") for place, let in places]
        )

    def margins_in(self, read: set[sympy.Symbol]) -> tuple[MarginRead, ...]:
        """The margins among what is read."""
        made = {of: margin for of, _, margin in self.margins if of in read}
        return tuple(
            MarginRead(margin.name, margin.domain, self.array_of(of)) for of, margin in made.items()
        )

    def array_of(self, margin: sympy.Symbol) -> str:
        """The array of a margin; of several of one name, the one that these choices make."""
        always = self.program.always
        return _chosen(
            [
                (let.guard if let else always, f"{self.language.given}margins[{place}]")
                for place, (of, let, _) in enumerate(self.margins)
                if of == margin
            ]
        )


@lru_cache(maxsize=2)  # each language asks for that of the same program
def _apart(program: Program) -> Program:
    """A program with a let of its own, and a name, for every reduction."""
    return named(ir_loops.reductions_apart(program))


@lru_cache(maxsize=2)  # where none of them has renamed anything, it is the same here, too
def _cut(program: Program) -> tuple[ir_loops.Loop, ...]:
    """The loops of a program."""
    return ir_loops.loops(program)


def read_by(lets: Iterable[Let]) -> set[sympy.Symbol]:
    """What lets read."""
    return {symbol for let in lets for symbol in let.reads}


def kind_of(of: sympy.Basic) -> str:
    """The kind of a reduction, whatever it leaves a value for."""
    name = HEADS[type(of)].removeprefix("row_").removeprefix("column_")
    return "largest" if name == "max" else name


def _chosen(cases: Sequence[tuple[Guard, str]]) -> str:
    """The text of the case that choices make; the last one where none is."""
    (_, text), *others = reversed(cases)
    for guard, other in others:
        text = c_choice(guard, other, text)
    return text
