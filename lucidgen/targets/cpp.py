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
from ..ir.program import Input, Let, Program, symbol
from ..operations import HEADS, Group, Square
from ..passes.name import name as named
from ..spec.domains import Domain
from .common.c_like import CPrinter, c_block, c_condition
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
    """An array of a loop.

    `place` is where it is among w and the states, `live` the condition under which it is used (""
    for always), and `stored` says whether the loop changes it.
    """

    name: str
    place: int
    live: str
    stored: bool


@dataclass(frozen=True)
class DrawOf:
    """Random numbers of a loop; `live` is the condition under which they are read."""

    name: str
    kind: str
    number: int
    live: str


@dataclass(frozen=True)
class Sum:
    """What a loop adds up for a reduction: its variable, and its place among all reductions."""

    name: str
    kind: str
    place: int


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
    draws: tuple[DrawOf, ...]
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
        If the program has rows or columns, or too many choices: the NumPy step serves.
    """
    return _Writer(program).written()


class _Writer:
    """Writes the loops of one program, whose names C++ can have."""

    def __init__(self, program: Program) -> None:
        arrays = {_plain(i.symbol) for i in program.inputs if i.domain is not Domain.HOST}
        given = [name for name in step_parameters(program) if name not in arrays]
        apart = named(ir_loops.reductions_apart(program))
        if set(apart.domains.values()) - {Domain.HOST, Domain.TENSOR, Domain.ELEMENT}:
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
        names = inside.names | {s: n for s, n in above.names.items() if self.is_number(s, part)}
        read = {s for let in part.body for s in let.value.free_symbols}
        loaded = [
            Array(names[o.before], place, "" if o.live.is_always else c_condition(o.live), stored)
            for place, o in enumerate(self.arrays)
            if (stored := o in of.stores) or o.before in read
        ]
        scalars = [(name, i) for i, name in enumerate(self.scalars) if symbol(name) in read]
        targets = dict.fromkeys(let.target for let in self.reductions)
        found = [(target.name, self.found(target)) for target in targets if target in read]
        numbers = tuple(a for a in loaded if self.arrays[a.place].domain is Domain.TENSOR)

        draws = tuple(
            DrawOf(d.symbol.name, d.kind, d.number, "" if d.live.is_always else c_condition(d.live))
            for d in part.drawn
        )
        known = {name for name, _ in (*scalars, *found)} | {array.name for array in loaded}
        known |= {draw.name for draw in draws}
        head = [*c_block(above.statements, CppPrinter(names), known, "")]
        known |= {"grad", *(made.name for made in sums)}
        lines = [f"real {name} = {source};" for name, source in inside.aliases]
        known |= {name for name, _ in inside.aliases}
        printer = _LoopPrinter(names, {made.name: made.kind for made in sums})
        lines += c_block(inside.statements, printer, known, "")
        for store in of.stores:
            old, new = names[store.before], names[store.after]
            if old != new:
                (head if store.domain is Domain.TENSOR else lines).append(f"{old} = {new};")
        reads_grad = symbol("grad") in read
        of_elements = any(array not in numbers for array in loaded)
        parameters = [
            _parameter("Index", "size", lines),
            _parameter("Index", "at", of_elements),
            _parameter("void* const*", "arrays", loaded),
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
            arrays=tuple(array for array in loaded if array not in numbers),
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
        taken = {let.target.name for let in program.lets} | {i.symbol.name for i in program.inputs}
        terms, sums = list[Let](), list[Sum]()
        for let in of.reductions:
            kind = HEADS[type(let.value)]
            end = {"norm": "squared", "largest": "max"}.get(kind, "sum")
            made = Sum(_free(f"{let.target}_{end}", taken), kind, self.reductions.index(let))
            value = let.value.args[0]
            if kind == "norm":
                if not value.is_Symbol:
                    term = symbol(_free(f"{let.target}_term", taken))
                    terms.append(replace(let, target=term, value=value, domain=Domain.ELEMENT))
                    value = term
                value = Square(value)
            elif value.is_Symbol:
                value = Group(value)  # no other name of what it adds
            sums.append(made)
            terms.append(replace(let, target=symbol(made.name), value=value, domain=Domain.ELEMENT))
        lets = [replace(let, value=let.value.xreplace(moved)) for let in (*of.lets, *terms)]
        lets.sort(key=lambda let: let.domain is Domain.ELEMENT)
        found = dict.fromkeys(let.target for let in self.reductions)
        known = tuple(Input(target, "state", Domain.TENSOR) for target in found)
        targets = {let.target for let in lets}
        part = replace(
            program,
            inputs=(*program.inputs, *known),
            body=tuple(lets),
            outputs=tuple(o for o in outputs if o.after in targets),
        )
        return part, tuple(sums)

    def found(self, target: sympy.Symbol) -> str:
        """What a reduction has found; of several of one name, the one that these choices make."""
        places = [(i, let) for i, let in enumerate(self.reductions) if let.target == target]
        *cases, (last, _) = places
        tests = (f"({c_condition(let.guard)}) ? found[{place}] : " for place, let in cases)
        return f"{''.join(tests)}found[{last}]"

    def is_number(self, of: sympy.Symbol, part: Program) -> bool:
        """Whether a symbol of a loop is one number per tensor."""
        return part.domains.get(of) is Domain.TENSOR


def _parameter(kind: str, name: str, used: object) -> str:
    """A parameter, whose name is left out where nothing uses it."""
    return f"{kind} {name}" if used else kind


def _free(wanted: str, taken: set[str]) -> str:
    """The name, or one like it; from then on it is taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    taken.add(name)
    return name


def _plain(of: sympy.Symbol) -> str:
    return str(of.name).removesuffix("[t - 1]")


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
