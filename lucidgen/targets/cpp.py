"""The C++ target: for each rule loops over elements, in place.

Owns how numbers are written in C++ and what a loop takes. Static choices are template parameters,
so that a loop asks nothing about them. A rule that reduces has a loop for each time that its
elements wait for a reduction (`ir.loops`), and sums are taken where their terms are made. What
there is for each row, column or matrix, a margin, is computed between the loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any, ClassVar

import sympy

from ..ir import loops as ir_loops
from ..ir.guard import Guard
from ..ir.program import Input, Let, Names, Output, Program, name_of, series_of, symbol
from ..operations import HEADS, Group, Square
from ..passes.name import name as named
from ..spec.domains import OF_MATRICES, Domain
from .common.c_like import CPrinter, c_block, c_choice, c_condition
from .common.canonical import MAX_CHOICES, canonical
from .common.fitting import LINE_LENGTH
from .common.names import CPP, renamed, words
from .common.statements import code
from .common.step_function import step_parameters
from .common.target import Target, Unserved
from .common.trees import Node

#: What a loop's own text uses.
WORDS = CPP | words(
    """
std lucidgen real T i size at arrays scalars found sums part Index Table Layout Loop Share
Arithmetic Computed float16 float32 float64 bfloat16 states choices loop largest elements
drawn_at_most piece row column matrix shape margins Of Shape Piece Margin Reduction reduced
    """,
    r"\w+_(array|rule|loop|margin|sums)",
)

#: What a margin has one value for, and the index of the first that a loop or a row needs.
OF = {Domain.ROW: "row", Domain.COLUMN: "column", Domain.MATRIX: "matrix"}


class CppPrinter(CPrinter):
    """C++ expressions in the type `real`."""

    language: ClassVar[str] = "cpp"
    real: ClassVar[str] = "real"
    branch: ClassVar[str] = "if constexpr"

    def number(self, number: sympy.Number) -> str:
        """A literal of the computing type."""
        return f"real({int(number) if number.is_Integer else repr(float(number))})"


@dataclass(frozen=True)
class Array:
    """An array of a loop: one of w and the states, or random numbers.

    `place` is where it is among w and the states, and `stored` says whether the loop changes it.
    """

    name: str
    live: Guard
    place: int = 0
    stored: bool = False

    @property
    def condition(self) -> str:
        """When it is used; empty for always."""
        return "" if self.live.is_always else c_condition(self.live)

    def value(self, at: str) -> str:
        """What it has in a place."""
        return c_choice(self.live, f"real({self.name}_array[{at}])", "real(0)")


@dataclass(frozen=True)
class Drawing:
    """Random numbers that a loop draws: the array that has them, and which they are."""

    array: Array
    kind: str
    number: int


@dataclass(frozen=True)
class Margin:
    """An array with a value for each row, column or matrix of a tensor.

    `began` is the place of the state that it begins as, `becomes` of the one that it is in the end:
    -1 for none.
    """

    name: str
    domain: Domain
    began: int = -1
    becomes: int = -1


@dataclass(frozen=True)
class MarginRead:
    """A margin that a function reads: as what variable, from which array, under any choices."""

    name: str
    domain: Domain
    array: str

    def array_from(self, first: str) -> str:
        """The array from an index on."""
        array = f"({self.array})" if " " in self.array else self.array
        return f"{array} + {first}" if first else array


@dataclass(frozen=True)
class Sum:
    """What a loop adds up for a reduction.

    Its variable, the array for sums of rows or columns, the kind of the reduction, and for what it
    leaves a value under which choices.
    """

    name: str
    array: str
    kind: str
    leaves: Domain
    live: Guard

    @property
    def nothing(self) -> str:
        """What it begins as."""
        return "real(-HUGE_VAL)" if self.kind == "largest" else "real(0)"

    @property
    def condition(self) -> str:
        """When it is made; empty for always."""
        return "" if self.live.is_always else c_condition(self.live)


@dataclass(frozen=True)
class Loop:
    """A loop, ready for a template.

    Of the scalars and of the reductions that are known when it begins it has those that it reads,
    each with its place or its text. `numbers` are the states that are one number per tensor, `head`
    is what is computed once, `lines` for each element. Of the choices, `canonical` are those that
    are on, each switched off where it makes no difference, so that equal loops are compiled once.
    `makes` names what it leaves behind.
    """

    name: str
    parameters: tuple[str, ...]
    makes: tuple[str, ...]
    arrays: tuple[Array, ...]
    draws: tuple[Drawing, ...]
    reads_grad: bool
    numbers: tuple[Array, ...]
    scalars: tuple[tuple[str, int], ...]
    found: tuple[tuple[str, str], ...]
    margins: tuple[MarginRead, ...]
    head: tuple[str, ...]
    lines: tuple[str, ...]
    sums: tuple[Sum, ...]
    canonical: tuple[str, ...]

    def margins_of(self, name: str) -> tuple[MarginRead, ...]:
        """The margins with a value for each "row", "column" or "matrix"."""
        return tuple(margin for margin in self.margins if OF[margin.domain] == name)

    def sums_of(self, name: str) -> tuple[tuple[int, Sum], ...]:
        """The sums that leave a value for each "tensor", "row" or "column", with their places."""
        numbered = enumerate(self.sums)
        return tuple((i, made) for i, made in numbered if made.leaves.value == name)

    @property
    def pragma(self) -> str:
        """What the compiler is told of the loop: its sums may be taken in several lanes."""
        within = [made for made in self.sums if made.leaves is not Domain.COLUMN]
        signs = {made.name: "largest" if made.kind == "largest" else "+" for made in within}
        clauses = [f"reduction({sign} : {name})" for name, sign in signs.items()]
        line = " ".join(("#pragma omp simd", *clauses))
        return (
            line if len(line) <= LINE_LENGTH else line.replace(" reduction", " \\\n    reduction")
        )


@dataclass(frozen=True)
class Between:
    """What is done with margins before a loop, ready for a template; its fields are a loop's."""

    name: str
    parameters: tuple[str, ...]
    makes: tuple[str, ...]
    numbers: tuple[Array, ...]
    scalars: tuple[tuple[str, int], ...]
    found: tuple[tuple[str, str], ...]
    arrays: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    canonical: tuple[str, ...]


@dataclass(frozen=True)
class Loops:
    """The loops of a rule, ready for a template.

    Their arguments are those of the NumPy step, in the same order: w and the states, the scalars,
    the choices. `reductions` are the kinds of all, in the order in which loops find them; `ends`
    says how many are known after each loop. `kinds` says what w and each state has a value for. If
    there are states with one number per tensor, `numbers` stores them after the loops.

    `margins` are those of a rule that works on rows or columns, `margin_of` says which one each
    reduction gives, or -1, and `live` when it does; `between` has what is done before each loop and
    after the last one, or None. `found` counts the reductions that give one number.
    """

    kinds: tuple[str, ...]
    scalars: tuple[str, ...]
    choices: tuple[str, ...]
    loops: tuple[Loop, ...]
    numbers: Loop | None
    reductions: tuple[str, ...]
    ends: tuple[int, ...]
    margins: tuple[Margin, ...]
    margin_of: tuple[int, ...]
    live: tuple[str, ...]
    between: tuple[Between | None, ...]
    found: int

    @property
    def has_phases(self) -> bool:
        """Whether loops wait for each other, or for margins."""
        return bool(self.reductions or self.margins)

    @property
    def draws(self) -> bool:
        """Whether random numbers are drawn."""
        return any(loop.draws for loop in self.loops)

    @property
    def all(self) -> tuple[Loop, ...]:
        """The loops, and what is done after them."""
        return self.loops if self.numbers is None else (*self.loops, self.numbers)

    @property
    def states(self) -> int:
        """How many states are arrays."""
        return len(self.kinds) - 1

    def stores(self, loop: Loop) -> tuple[bool, ...]:
        """Whether a loop changes w and each state."""
        changed = {array.place for array in (*loop.arrays, *loop.numbers) if array.stored}
        return tuple(place in changed for place in range(len(self.kinds)))


class _LoopPrinter(CppPrinter):
    """Statements of a loop: a sum is added to."""

    def __init__(self, names: Mapping[sympy.Symbol, str], sums: Mapping[str, Sum]) -> None:
        super().__init__(names)
        self.sums = sums

    def assigned(self, name: str, value: Node) -> str:
        """What a statement does to a variable."""
        if name not in self.sums:
            return super().assigned(name, value)
        made, term = self.sums[name], self.print(value)
        if made.leaves is Domain.COLUMN:
            name, term = f"{made.array}[column]", f"double({term})"
        if made.kind == "largest":
            return f"{name} = lucidgen::maximum({name}, {term})"
        return f"{name} += {term}"


def loops(program: Program) -> Loops:
    """The loops of a program.

    Raises
    ------
    Unserved
        If the program has too many choices: the NumPy step serves.
    """
    return _Writer(program).written()


def _kind(of: sympy.Basic) -> str:
    """The kind of a reduction, whatever it leaves a value for."""
    name = HEADS[type(of)].removeprefix("row_").removeprefix("column_")
    return "largest" if name == "max" else name


class _Writer:
    """Writes the loops of one program, whose names C++ can have."""

    def __init__(self, program: Program) -> None:
        arrays = {series_of(i.symbol) for i in program.inputs if i.domain is not Domain.HOST}
        given = [name for name in step_parameters(program) if name not in arrays]
        self.program, names = renamed(named(ir_loops.reductions_apart(program)), WORDS.free)
        self.choices = tuple(names[name] for name in given if name in program.choices)
        if len(self.choices) > MAX_CHOICES:
            raise Unserved(
                f"it has {len(self.choices)} choices, more than {MAX_CHOICES}, and each "
                "combination of them would be a loop of its own"
            )
        self.scalars = tuple(names.get(name, name) for name in given if name not in program.choices)
        self.loops = ir_loops.loops(self.program)
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
            if target in self.kept - reducing:
                name = self.new.get(target, target).name
                yield target, None, Margin(name, domain, becomes=places.get(target, -1))

    def kept_margins(self) -> set[sympy.Symbol]:
        """What is made of margins and read elsewhere than in the pass that makes it."""
        kept = {output.after for output in self.arrays}
        for loop in self.loops:
            read = [let.value.free_symbols for let in (*loop.lets, *loop.reductions)]
            kept |= set[sympy.Symbol]().union(*read)
            for _, lets in _passes(loop.before, self.program.domains):
                own = {let.target for let in lets}
                kept |= set().union(*(let.value.free_symbols for let in lets)) - own
        return kept

    def written(self) -> Loops:
        *over_elements, last = self.loops
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
        between = [
            self.between(loop.before, f"margins_{number}") for number, loop in enumerate(self.loops)
        ]
        between += [None] * (len(found) + 1 - len(between))
        counts = [len(loop.sums) for loop in found]
        margin_of = {let: i for i, (_, let, _) in enumerate(self.margins) if let is not None}
        return Loops(
            kinds=tuple(o.domain.value for o in self.arrays),
            scalars=self.scalars,
            choices=self.choices,
            loops=tuple(found),
            numbers=numbers,
            reductions=tuple(_kind(let.value) for let in self.reductions),
            ends=tuple(sum(counts[: number + 1]) for number in range(len(counts))),
            margins=tuple(margin for *_, margin in self.margins),
            margin_of=tuple(margin_of.get(let, -1) for let in self.reductions),
            live=tuple(
                "true" if let.guard.is_always else c_condition(let.guard) for let in self.reductions
            ),
            between=tuple(between),
            found=len(self.found),
        )

    def loop(self, of: ir_loops.Loop, name: str) -> Loop:
        part, sums = self.part(of)
        tensor = tuple(let for let in part.body if let.domain is Domain.TENSOR)
        element = tuple(let for let in part.body if let.domain is Domain.ELEMENT)
        above, inside = code(part, tensor), code(part, element)
        of_tensor = {s: n for s, n in above.names.items() if part.domains.get(s) is Domain.TENSOR}
        names = inside.names | of_tensor
        read = {s for let in part.body for s in let.value.free_symbols}
        arrays, numbers = self.arrays_of(of, names, read)
        draws = tuple(Drawing(Array(str(d.symbol), d.live), d.kind, d.number) for d in part.drawn)
        scalars, found, margins = self.scalars_in(read), self.found_in(read), self.margins_in(read)

        known = {name for name, _ in (*scalars, *found)}
        known |= {array.name for array in (*arrays, *numbers)} | {m.name for m in margins}
        known |= {draw.array.name for draw in draws}
        head = [*c_block(above.statements, CppPrinter(names), known, "")]
        known |= {"grad", *(made.name for made in sums), *(name for name, _ in inside.aliases)}
        lines = [f"real {name} = {source};" for name, source in inside.aliases]
        printer = _LoopPrinter(names, {made.name: made for made in sums})
        lines += c_block(inside.statements, printer, known, "")
        stored = [o for o in of.stores if o.domain not in OF_MATRICES]
        for store in stored:
            old, new = names[store.before], names[store.after]
            if old != new:
                (head if store.domain is Domain.TENSOR else lines).append(f"{old} = {new};")

        reads_grad = symbol("grad") in read
        made = [*(let.target.name for let in of.reductions), *(names[o.before] for o in stored)]
        return Loop(
            name=name,
            parameters=self.parameters(
                lines, arrays, (*numbers, *draws), reads_grad, scalars, found, margins, sums
            ),
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
            canonical=canonical(part, self.choices),
        )

    def parameters(
        self,
        lines: object,
        arrays: Sequence[Array],
        others: Sequence[object],
        reads_grad: bool,
        scalars: object,
        found: object,
        margins: object,
        sums: object,
    ) -> tuple[str, ...]:
        """The parameters of a loop; what it does not use has no name."""
        shared = [
            _parameter("void* const*", "arrays", (*arrays, *others)),
            _parameter("const T*", "grad_array", reads_grad),
            _parameter("const double*", "scalars", scalars),
        ]
        if self.margins:
            return (
                _parameter("const Piece&", "piece", lines),
                *shared,
                _parameter("const Computed<T>*", "found", found),
                _parameter("Computed<T>* const*", "margins", margins),
                _parameter("double* const*", "sums", sums),
            )
        own = [_parameter("Index", "size", lines), _parameter("Index", "at", arrays)]
        if self.reductions:
            shared.append(_parameter("const Computed<T>*", "found", found))
            shared.append(_parameter("double*", "sums", sums))
        return (*own, *shared)

    def part(self, of: ir_loops.Loop) -> tuple[Program, tuple[Sum, ...]]:
        """A loop as a program of its own, that makes the terms of its sums; and these."""
        outputs = self.program.outputs
        # What an earlier loop has stored is what lies in memory.
        moved = {o.after: o.before for o in outputs if o.after in of.reads}
        names, terms, sums = Names(self.program), list[Let](), list[Sum]()
        for let in of.reductions:
            kind = _kind(let.value)
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
        return self.alone(lets, kept, moved), tuple(sums)

    def alone(
        self,
        lets: Sequence[Let],
        outputs: Sequence[Output],
        moved: Mapping[sympy.Symbol, sympy.Symbol],
    ) -> Program:
        """Some lets as a program that is given what it has not computed, with some new names."""
        made = {let.target for let in lets}
        renames = {s: new for s, new in self.new.items() if s not in made} | dict(moved)
        body = tuple(replace(let, value=let.value.xreplace(renames)) for let in lets)
        old = self.program.domains
        domains = old | {new: old[s] for s, new in renames.items()}
        inputs = {i.symbol for i in self.program.inputs}
        given = {s for let in body for s in let.value.free_symbols} - made - inputs
        return replace(
            self.program,
            inputs=(
                *self.program.inputs,
                *(
                    Input(s, "state", domains[s])
                    for s in sorted(given, key=name_of)
                    if domains[s] is not Domain.HOST
                ),
            ),
            body=body,
            outputs=tuple(o for o in outputs if o.after in made),
        )

    def arrays_of(
        self, of: ir_loops.Loop, names: Mapping[sympy.Symbol, str], read: set[sympy.Symbol]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The arrays of elements that a loop reads or stores, and its numbers of the tensor."""
        found: dict[Domain, list[Array]] = {Domain.ELEMENT: [], Domain.TENSOR: []}
        for place, output in enumerate(self.arrays):
            stored = output in of.stores
            if output.domain in found and (stored or output.before in read):
                array = Array(names[output.before], output.live, place, stored)
                found[output.domain].append(array)
        return tuple(found[Domain.ELEMENT]), tuple(found[Domain.TENSOR])

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
        return _chosen([(let.guard, f"found[{place}]") for place, let in places])

    def margins_in(self, read: set[sympy.Symbol]) -> tuple[MarginRead, ...]:
        """The margins among what is read."""
        made = {self.new.get(s, s): s for s, *_ in self.margins}
        return tuple(
            MarginRead(new.name if new in self.new.values() else series_of(new), domain, array)
            for new, s in made.items()
            if new in read
            for domain, array in [self.margin(s)]
        )

    def margin(self, of: sympy.Symbol) -> tuple[Domain, str]:
        """The array of a margin; of several of one name, the one that these choices make."""
        always, cases, domain = self.program.always, [], Domain.ROW
        for place, (s, let, margin) in enumerate(self.margins):
            if s == of:
                cases.append((let.guard if let else always, f"margins[{place}]"))
                domain = margin.domain
        return domain, _chosen(cases)

    def between(self, lets: Sequence[Let], name: str) -> Between | None:
        """What is done with margins before a loop: passes over margins, each as soon as it can."""
        if not lets:
            return None
        new = {let.target: self.new[let.target] for let in lets if let.target in self.new}
        moved = [replace(let, target=new.get(let.target, let.target)) for let in lets]
        part = self.alone(moved, (), new)
        writer = _BetweenWriter(self, part)
        read = {s for let in part.body for s in let.value.free_symbols}
        arrays = tuple(
            Array(series_of(o.before), o.live, place)
            for place, o in enumerate(self.arrays)
            if o.domain is Domain.TENSOR and o.before in read
        )
        scalars = self.scalars_in(read)
        own = {let.target for let in part.body}
        found = tuple((n, text) for n, text in self.found_in(read) if symbol(n) not in own)
        lines = tuple(writer.lines({n for n, _ in (*scalars, *found)} | {a.name for a in arrays}))
        makes = dict.fromkeys(let.target.name for let in lets if let.domain is not Domain.TENSOR)
        makes |= dict.fromkeys(
            let.target.name for let in lets if let in self.found and let not in self.reductions
        )
        return Between(
            name=name,
            parameters=(
                _parameter("const Shape&", "shape", lines),
                _parameter("void* const*", "arrays", arrays),
                _parameter("const double*", "scalars", scalars),
                _parameter("Computed<T>*", "found", found or writer.finds),
                _parameter("Computed<T>* const*", "margins", writer.arrays),
            ),
            makes=tuple(makes),
            numbers=arrays,
            scalars=scalars,
            found=found,
            arrays=tuple(writer.arrays.items()),
            lines=lines,
            canonical=canonical(part, self.choices),
        )


class _BetweenWriter:
    """Writes what is done with margins between two loops.

    Lets of one domain that need nothing of each other's but the same place share a pass.
    """

    def __init__(self, of: _Writer, part: Program) -> None:
        self.of, self.part = of, part
        #: The arrays of margins that are used, each with its text.
        self.arrays: dict[str, str] = {}
        self.finds = False

    def lines(self, known: set[str]) -> Iterator[str]:
        """The lines of the body; `known` are the names of numbers that are declared before."""
        groups: list[tuple[Guard, list[str]]] = []
        for domain, lets in _passes(self.part.body, self.part.domains):
            guard = reduce(or_, (let.guard for let in lets))
            if domain is Domain.TENSOR:
                guard = self.part.always
            if not groups or groups[-1][0] != guard:
                groups.append((guard, []))
                here = known if guard.is_always else set(known)
            lines = groups[-1][1]
            lines.extend(self.found_before(lets, here))
            if domain is Domain.TENSOR:
                block = code(self.part, tuple(lets))
                lines.extend(c_block(block.statements, CppPrinter(block.names), here, ""))
            elif domain is None:
                lines.extend(self.reduction(lets[0]))
            else:
                lines.extend(self.margins(domain, lets, guard, here))
        for guard, lines in groups:
            yield from lines if guard.is_always else _under(guard, lines)

    def found_before(self, lets: Sequence[Let], known: set[str]) -> Iterator[str]:
        """Names for what was found in margins and is read by a pass."""
        read = {s for let in lets for s in let.value.free_symbols}
        for name, text in self.of.found_in(read):
            if name not in known:
                known.add(name)
                yield f"const real {name} = {text};"

    def array(self, of: sympy.Symbol) -> str:
        """The array of a margin, which is declared at the top."""
        old = next((old for old, new in self.of.new.items() if new == of), of)
        name = f"{series_of(of)}_margin"
        self.arrays[name] = self.of.margin(old)[1]
        return name

    def margins(
        self, domain: Domain, lets: Sequence[Let], guard: Guard, known: set[str]
    ) -> Iterator[str]:
        """One pass over all rows, columns or matrices, where a guard holds."""
        lets = tuple(replace(let, guard=let.guard.within(guard)) for let in lets)
        block, declared = code(self.part, lets), set(known)
        yield f"for (Index i = 0; i < shape.count(Of::{OF[domain]}); ++i) {{"
        read = {s for let in lets for s in let.value.free_symbols} - {let.target for let in lets}
        for s in sorted(read, key=name_of):
            of = self.part.domains[s]
            if of in OF_MATRICES:
                lines = {Domain.ROW: "rows", Domain.COLUMN: "columns"}.get(domain)
                at = "i" if of is domain else f"i / shape.{lines}"
                yield f"    real {block.names[s]} = {self.array(s)}[{at}];"
                declared.add(block.names[s])
        yield from c_block(block.statements, CppPrinter(block.names), declared, "    ")
        kept = {self.of.new.get(s, s) for s in self.of.kept}
        for target in dict.fromkeys(let.target for let in lets if let.target in kept):
            made = reduce(or_, (let.guard for let in lets if let.target == target))
            stored = [f"{self.array(target)}[i] = {block.names[target]};"]
            for line in stored if made.is_always else _under(made, stored):
                yield f"    {line}"
        yield "}"

    def reduction(self, let: Let) -> Iterator[str]:
        """A reduction of a margin, to one number or to one for each matrix."""
        of = self.part.domains[let.value.args[0]]
        kind, array = _kind(let.value), self.array(let.value.args[0])
        if let.domain is Domain.TENSOR:
            self.finds = True
            place = [(t.target, t.guard) for t in self.of.found].index((let.target, let.guard))
            count = f"shape.count(Of::{OF[of]})"
            yield f"found[{place}] = reduced(Reduction::{kind}, {array}, {count});"
        else:
            each = "shape.rows" if of is Domain.ROW else "shape.columns"
            value = f"reduced(Reduction::{kind}, {array} + i * {each}, {each})"
            yield "for (Index i = 0; i < shape.matrices; ++i) {"
            yield f"    {self.array(let.target)}[i] = {value};"
            yield "}"


def _passes(
    lets: Sequence[Let], domains: Mapping[sympy.Symbol, Domain]
) -> list[tuple[Domain | None, list[Let]]]:
    """Lets in passes over margins, in the order in which they can be made; None is a reduction.

    Lets of one domain that need nothing of each other's but the same place share a pass, and all
    cases of a target do.
    """
    kinds = {
        let.target: None if ir_loops.is_of_margins(let.value, domains) else let.domain
        for let in lets
    }
    level = dict.fromkeys(kinds, 0)
    while True:
        old = dict(level)
        for let in lets:
            own = kinds[let.target]
            behind = [
                level[s] + (kinds[s] is not own or own is None)
                for s in let.value.free_symbols
                if s in level
            ]
            level[let.target] = max([level[let.target], *behind])
        if level == old:
            break
    passes = dict[tuple[int, int, int], list[Let]]()
    order = list(Domain)
    for place, let in enumerate(lets):
        reduces = kinds[let.target] is None
        key = level[let.target], order.index(let.domain), 1 + place if reduces else 0
        passes.setdefault(key, []).append(let)
    return [(kinds[passes[key][0].target], passes[key]) for key in sorted(passes)]


def _under(guard: Guard, lines: Sequence[str]) -> Iterator[str]:
    """Lines in a branch."""
    yield f"if constexpr ({c_condition(guard)}) {{"
    yield from (f"    {line}" for line in lines)
    yield "}"


def _chosen(cases: Sequence[tuple[Guard, str]]) -> str:
    """The text of the case that choices make; the last one where none is."""
    (_, text), *others = reversed(cases)
    for guard, other in others:
        text = c_choice(guard, other, text)
    return text


def _parameter(kind: str, name: str, used: object) -> str:
    """A parameter, whose name is left out where nothing uses it."""
    return f"{kind} {name}" if used else kind


def _of_module(found: Sequence[Loops]) -> Mapping[str, Any]:
    return {
        "draws": any(loops.draws for loops in found),
        "has_phases": any(loops.has_phases for loops in found),
    }


def _compile(program: Program, name: str) -> Loops:
    return loops(program)


TARGET = Target(
    name="cpp",
    title="C++",
    compile=_compile,
    text="_cpp/rule.cpp",
    files={"_cpp/module.cpp": "_cpp/{name}.cpp"},
    fixed=("_cpp/__init__.py", "_cpp/multi_tensor.h", "_cpp/phases.h", "_cpp/random.h"),
    of_module=_of_module,
    needs=("numpy",),
    backend="cpp",
    product="loops",
    verifier="lucidgen.verify.steps:cpp",
)
