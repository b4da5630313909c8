"""The C++ target: for each rule loops over elements, in place.

Owns how numbers are written in C++ and what a loop takes. Static choices are template parameters,
so that a loop asks nothing about them. A rule that reduces over tensors has a loop for each time
that its elements wait for a reduction (`ir.loops`), and sums are taken where their terms are made.
Rules that reduce over rows or columns have none; NumPy runs those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import sympy

from ..ir import loops as ir_loops
from ..ir.guard import Guard
from ..ir.program import Input, Let, Names, Program, series_of, symbol
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
drawn_at_most
    """,
    r"\w+_(array|rule|loop)",
)


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
class Sum:
    """What a loop adds up for a reduction: its variable, and the kind of the reduction."""

    name: str
    kind: str


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
    head: tuple[str, ...]
    lines: tuple[str, ...]
    sums: tuple[Sum, ...]
    canonical: tuple[str, ...]

    @property
    def pragma(self) -> str:
        """What the compiler is told of the loop: its sums may be taken in several lanes."""
        signs = {made.name: "largest" if made.kind == "largest" else "+" for made in self.sums}
        clauses = [f"reduction({sign} : {name})" for name, sign in signs.items()]
        line = " ".join(("#pragma omp simd", *clauses))
        return (
            line if len(line) <= LINE_LENGTH else line.replace(" reduction", " \\\n    reduction")
        )


@dataclass(frozen=True)
class Loops:
    """The loops of a rule, ready for a template.

    Their arguments are those of the NumPy step, in the same order: w and the states, the scalars,
    the choices. `reductions` are the kinds of all, in the order in which loops find them; `ends`
    says how many are known after each loop. `is_number` says of w and each state whether it is one
    number per tensor. If there are such states, `numbers` stores them after the loops.
    """

    is_number: tuple[bool, ...]
    scalars: tuple[str, ...]
    choices: tuple[str, ...]
    loops: tuple[Loop, ...]
    numbers: Loop | None
    reductions: tuple[str, ...]
    ends: tuple[int, ...]

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
        return len(self.is_number) - 1

    def stores(self, loop: Loop) -> tuple[bool, ...]:
        """Whether a loop changes w and each state."""
        changed = {array.place for array in (*loop.arrays, *loop.numbers) if array.stored}
        return tuple(place in changed for place in range(len(self.is_number)))


class _LoopPrinter(CppPrinter):
    """Statements of a loop: a sum is added to."""

    def __init__(self, names: Mapping[sympy.Symbol, str], sums: Mapping[str, str]) -> None:
        super().__init__(names)
        self.sums = sums

    def assigned(self, name: str, value: Node) -> str:
        """What a statement does to a variable."""
        if name not in self.sums:
            return super().assigned(name, value)
        if self.sums[name] == "largest":
            return f"{name} = lucidgen::maximum({name}, double({self.print(value)}))"
        return f"{name} += double({self.print(value)})"


def loops(program: Program) -> Loops:
    """The loops of a program.

    Raises
    ------
    Unserved
        If the program has rows or columns, reduces and draws random numbers, or has too many
        choices: the NumPy step serves.
    """
    return _Writer(program).written()


class _Writer:
    """Writes the loops of one program, whose names C++ can have."""

    def __init__(self, program: Program) -> None:
        arrays = {series_of(i.symbol) for i in program.inputs if i.domain is not Domain.HOST}
        given = [name for name in step_parameters(program) if name not in arrays]
        apart = named(ir_loops.reductions_apart(program))
        if set(OF_MATRICES) & set(apart.domains.values()):
            raise Unserved("it works on rows or columns")
        self.program, names = renamed(apart, WORDS.free)
        self.choices = tuple(names[name] for name in given if name in program.choices)
        if len(self.choices) > MAX_CHOICES:
            raise Unserved(
                f"it has {len(self.choices)} choices, more than {MAX_CHOICES}, and each "
                "combination of them would be a loop of its own"
            )
        self.scalars = tuple(names.get(name, name) for name in given if name not in program.choices)
        self.loops = ir_loops.loops(self.program)
        if self.program.drawn and len(self.loops) > 1:
            raise Unserved("it reduces over tensors and draws random numbers")
        outputs = self.program.outputs
        self.arrays = [o for o in outputs if o.domain is not Domain.HOST]
        self.reductions = [let for loop in self.loops for let in loop.reductions]

    def written(self) -> Loops:
        *over_elements, last = self.loops
        numbers = None
        if over_elements and not any(o.domain is Domain.ELEMENT for o in last.stores):
            numbers = self.loop(last, "numbers")
        else:
            over_elements.append(last)
        many = len(over_elements) > 1
        found = [
            self.loop(loop, f"loop_{number}" if many else "loop")
            for number, loop in enumerate(over_elements, start=1)
        ]
        counts = [len(loop.sums) for loop in found]
        return Loops(
            is_number=tuple(o.domain is Domain.TENSOR for o in self.arrays),
            scalars=self.scalars,
            choices=self.choices,
            loops=tuple(found),
            numbers=numbers,
            reductions=tuple(HEADS[type(let.value)] for let in self.reductions),
            ends=tuple(sum(counts[: number + 1]) for number in range(len(counts))),
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
        scalars = [(name, i) for i, name in enumerate(self.scalars) if symbol(name) in read]
        targets = dict.fromkeys(let.target for let in self.reductions)
        found = [(target.name, self.found(target)) for target in targets if target in read]

        known = {name for name, _ in (*scalars, *found)} | {a.name for a in (*arrays, *numbers)}
        known |= {draw.array.name for draw in draws}
        head = [*c_block(above.statements, CppPrinter(names), known, "")]
        known |= {"grad", *(made.name for made in sums), *(name for name, _ in inside.aliases)}
        lines = [f"real {name} = {source};" for name, source in inside.aliases]
        printer = _LoopPrinter(names, {made.name: made.kind for made in sums})
        lines += c_block(inside.statements, printer, known, "")
        for store in of.stores:
            old, new = names[store.before], names[store.after]
            if old != new:
                (head if store.domain is Domain.TENSOR else lines).append(f"{old} = {new};")

        reads_grad = symbol("grad") in read
        parameters = [
            _parameter("Index", "size", lines),
            _parameter("Index", "at", arrays),
            _parameter("void* const*", "arrays", (*arrays, *numbers, *draws)),
            _parameter("const T*", "grad_array", reads_grad),
            _parameter("const double*", "scalars", scalars),
        ]
        if self.reductions:
            parameters.append(_parameter("const Computed<T>*", "found", found))
            parameters.append(_parameter("double*", "sums", sums))
        made = [*(let.target.name for let in of.reductions), *(names[o.before] for o in of.stores)]
        return Loop(
            name=name,
            parameters=tuple(parameters),
            makes=tuple(made),
            arrays=arrays,
            draws=draws,
            reads_grad=reads_grad,
            numbers=numbers,
            scalars=tuple(scalars),
            found=tuple(found),
            head=tuple(head),
            lines=tuple(lines),
            sums=sums,
            canonical=canonical(part, self.choices),
        )

    def part(self, of: ir_loops.Loop) -> tuple[Program, tuple[Sum, ...]]:
        """A loop as a program of its own, that makes the terms of its sums; and these."""
        program, outputs = self.program, self.program.outputs
        # What an earlier loop has stored is what lies in memory.
        moved = {o.after: o.before for o in outputs if o.after in of.reads}
        names, terms, sums = Names(program), list[Let](), list[Sum]()
        for let in of.reductions:
            kind = HEADS[type(let.value)]
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
            sums.append(Sum(target.name, kind))
            terms.append(replace(let, target=target, value=value, domain=Domain.ELEMENT))
        lets = [replace(let, value=let.value.xreplace(moved)) for let in (*of.lets, *terms)]
        lets.sort(key=lambda let: let.domain is Domain.ELEMENT)
        found = dict.fromkeys(let.target for let in self.reductions)
        targets = {let.target for let in lets}
        part = replace(
            program,
            inputs=(*program.inputs, *(Input(s, "state", Domain.TENSOR) for s in found)),
            body=tuple(lets),
            outputs=tuple(o for o in outputs if o.after in targets),
        )
        return part, tuple(sums)

    def arrays_of(
        self, of: ir_loops.Loop, names: Mapping[sympy.Symbol, str], read: set[sympy.Symbol]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The arrays of elements that a loop reads or stores, and its numbers of the tensor."""
        found: dict[Domain, list[Array]] = {Domain.ELEMENT: [], Domain.TENSOR: []}
        for place, output in enumerate(self.arrays):
            stored = output in of.stores
            if stored or output.before in read:
                array = Array(names[output.before], output.live, place, stored)
                found[output.domain].append(array)
        return tuple(found[Domain.ELEMENT]), tuple(found[Domain.TENSOR])

    def found(self, target: sympy.Symbol) -> str:
        """What a reduction has found; of several of one name, the one that these choices make."""
        places = [(i, let) for i, let in enumerate(self.reductions) if let.target == target]
        text = f"found[{places.pop()[0]}]"
        for place, let in reversed(places):
            text = c_choice(let.guard, f"found[{place}]", text)
        return text


def _parameter(kind: str, name: str, used: object) -> str:
    """A parameter, whose name is left out where nothing uses it."""
    return f"{kind} {name}" if used else kind


def _of_module(found: Sequence[Loops]) -> Mapping[str, Any]:
    return {
        "draws": any(loops.draws for loops in found),
        "has_phases": any(loops.reductions for loops in found),
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
