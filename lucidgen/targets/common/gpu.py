"""What the GPU targets share: a function for one element, which kernels load for, call and store.

Owns what the function takes and in which order. A target adds its language (a printer, how
parameters are declared, which names are free, functions of its own) and its complete kernels; the
runtime adds what MLX needs. Reductions over a tensor are no part of a kernel: MLX code computes
them first, and their results arrive as scalars.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from itertools import product
from operator import or_

import sympy

from ...ir.guard import Guard
from ...ir.program import Let, Names, Output, Program
from ...operations import Reduction
from ...spec.domains import OF_MATRICES, Domain, domain_of
from .c_like import CPrinter, c_block, c_choice
from .mlx_printer import MLXPrinter
from .names import renamed
from .python import aliases, block
from .statements import Assign, Code, Statement, code
from .target import Unserved
from .trees import Op


@dataclass(frozen=True)
class Language:
    """A language of kernels.

    `reference` declares a parameter of the function that it may change, and `helpers` are functions
    of ours by the operations that they compute. `safe` gives a name that is free there: the one it
    is given or one like it, and none of those taken. `random` are the functions that draw random
    numbers, `draw_normal` and `draw_uniform` (`random_text`), and `element` is the type in which
    they are told which element it is; without them, what draws is not served.
    """

    printer: type[CPrinter]
    reference: str
    helpers: Mapping[str, str]
    safe: Callable[[str, Iterable[str]], str]
    random: str = ""
    element: str = ""


@dataclass(frozen=True)
class Parameter:
    """A parameter of the function: its declaration, and its name in the equations if that is taken.

    The runtime reads both from the text.
    """

    declaration: str
    own_name: str = ""


@dataclass(frozen=True)
class Tensors:
    """MLX code for what is one number per tensor."""

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    results: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Kernel:
    """The function, ready for a template.

    `parameters` and `lines` are those of the function for one element, which takes w, grad, the
    `states`, the `scalars`, if it draws random numbers their stream and the number of the element,
    the `conditions` and the `choices`, here named as in the text.
    `program` has the names of the text, `live` tells when a state is needed, and `helpers` are the
    functions of ours that are called.
    """

    name: str
    program: Program
    parameters: tuple[Parameter, ...]
    lines: tuple[str, ...]
    states: tuple[str, ...]
    live: Mapping[str, Guard]
    helpers: tuple[str, ...]
    scalars: tuple[str, ...]
    conditions: tuple[str, ...]
    choices: tuple[str, ...]
    tensors: Tensors | None

    def most_live(self) -> int:
        """How many states there are at most under any static choices."""
        guards = self.live.values()
        support = sorted({name for guard in guards for name in guard.support})
        off = dict.fromkeys(self.program.choices, False)
        combinations = (
            off | dict(zip(support, values, strict=True))
            for values in product((False, True), repeat=len(support))
        )
        return max(sum(guard.holds(on) for guard in guards) for on in combinations)


def kernel(program: Program, name: str, language: Language) -> Kernel:
    """The element part of a program.

    Raises
    ------
    Unserved
        If the program has rows or columns, or elements that read the last value of a per-tensor
        state: the compiled MLX function serves those.
    """
    reason = _refusal(program)
    if program.drawn and not language.random:
        reason = reason or "it draws random numbers"
    if reason is not None:
        raise Unserved(reason)
    plain, names = renamed(_split(program), language.safe)
    own_names = {new: old for old, new in names.items() if new != old}
    parts = _Parts(plain, name, language)
    return Kernel(
        name=name,
        program=plain,
        parameters=parts.parameters(own_names),
        lines=parts.lines,
        states=parts.states,
        live=parts.live,
        helpers=(
            *(language.helpers[name] for name in parts.helpers),
            *([language.random] if plain.drawn else []),
        ),
        scalars=tuple(s.name for s in parts.scalars),
        conditions=parts.conditions,
        choices=parts.choices,
        tensors=tensors(program),
    )


def _refusal(program: Program) -> str | None:
    """Why a program has no kernel in any language; None if it has."""
    if set(OF_MATRICES) & set(program.domains.values()):
        return "it works on rows or columns"
    written = (output for output in program.outputs if output.domain is Domain.ELEMENT)
    if all(map(program.keeps, written)):
        return "it writes no elements"
    read = set().union(*(let.reads for let in _elements(program)))
    if any(i.domain is Domain.TENSOR and i.symbol in read for i in program.input("state")):
        return "its elements read the last value of what is one number per tensor"
    return None


def _elements(program: Program) -> tuple[Let, ...]:
    return tuple(let for let in program.body if let.domain is Domain.ELEMENT)


@lru_cache(maxsize=2)  # each target asks for those of the same program
def tensors(program: Program) -> Tensors | None:
    """What the kernels of a program read that is one number per tensor, if they read any."""
    if _refusal(program) is not None:
        return None
    split = _split(program)
    elements = _elements(split)
    reads = {s for let in elements for s in let.reads}
    reduced = reads - {let.target for let in elements}
    scalars = (s for s in reduced if split.domains[s] is Domain.TENSOR)
    return _tensors(split, [s.name for s in sorted(scalars, key=_first_read(elements))])


def helpers(called: Iterable[Iterable[str]]) -> list[str]:
    """The functions of ours that some kernels call."""
    return list(dict.fromkeys(text for own in called for text in own))


def call(name: str, *kinds: Sequence[str]) -> list[str]:
    """The lines of a call of the function, the arguments of each kind in lines of their own."""
    text = ",\n".join(textwrap.fill(", ".join(kind), 77) for kind in kinds if kind)
    return [f"lucidgen::{name}_step(", *(f"    {line}" for line in f"{text});".splitlines())]


def _first_read(body: Sequence[Let]) -> Callable[[sympy.Symbol], tuple[int, str]]:
    """A sorting key: where a symbol is first read."""
    return lambda s: (next(i for i, let in enumerate(body) if s in let.reads), str(s))


class _Parts:
    """The texts of a kernel, of a program whose names the language can have."""

    def __init__(self, program: Program, name: str, language: Language) -> None:
        self.name, self.language = name, language
        self.program = program
        self.body_lets = tuple(let for let in program.body if let.domain is Domain.ELEMENT)
        self.outputs = [o for o in program.outputs if o.domain is Domain.ELEMENT]
        code_of = code(replace(program, body=self.body_lets), self.body_lets)
        names, made = code_of.names, {let.target for let in self.body_lets}
        reads = {s for let in self.body_lets for s in let.reads} - made
        constant = (s for s in reads if program.domains[s] is not Domain.ELEMENT)
        self.scalars = sorted(constant, key=_first_read(self.body_lets))
        self.states = tuple(names[o.before] for o in self.outputs[1:])
        self.live = dict(zip(self.states, (o.live for o in self.outputs[1:]), strict=True))
        guards = [*(let.guard for let in self.body_lets), *self.live.values()]
        guards += [drawn.live for drawn in program.drawn]
        asked = {name for guard in guards for name in guard.support}
        self.conditions = tuple(n for n in program.choices if n in asked & set(program.conditions))
        self.choices = tuple(n for n in program.choices if n in asked and n not in self.conditions)
        self.lines = self._function(code_of)
        self.helpers = tuple(sorted(_called(code_of.statements) & set(language.helpers)))

    def parameters(self, own_names: Mapping[str, str]) -> tuple[Parameter, ...]:
        """The parameters of the function; `own_names` has the author's for those renamed."""
        reference, real = self.language.reference, f"{self.language.printer.real} {{}}"
        kinds = (
            (reference, ("w",)),
            (real, ("grad",)),
            (reference, self.states),
            (real, tuple(s.name for s in self.scalars)),
            ("uint4 {}", ("stream",) if self.program.drawn else ()),
            (f"{self.language.element} {{}}", ("element",) if self.program.drawn else ()),
            ("bool {}", (*self.conditions, *self.choices)),
        )
        return tuple(
            Parameter(kind.format(name), own_names.get(name, ""))
            for kind, names in kinds
            for name in names
        )

    def _function(self, code_of: Code) -> tuple[str, ...]:
        names = code_of.names
        declared = {"w", "grad", *self.states, *(s.name for s in self.scalars)}
        printer = self.language.printer(names)
        lines = list(self._drawn(printer))
        declared |= {drawn.symbol.name for drawn in self.program.drawn}
        lines += [f"{printer.declaration(name)} = {source};" for name, source in code_of.aliases]
        declared |= {name for name, _ in code_of.aliases}
        lines += c_block(code_of.statements, printer, declared, "")
        lines += [
            f"{names[o.before]} = {names[o.after]};"
            for o in self.outputs
            if names[o.before] != names[o.after]
        ]
        return tuple(lines)

    def _drawn(self, printer: CPrinter) -> Iterator[str]:
        """The random numbers, where they are read."""
        for drawn in self.program.drawn:
            value = f"draw_{drawn.kind}(stream, {drawn.number}u, element)"
            value = c_choice(drawn.live, value, printer.print(sympy.S.Zero))
            yield f"{printer.declaration(drawn.symbol.name)} = {value};"


def _called(statements: Sequence[Statement]) -> set[str]:
    """The operations that statements use."""
    found: set[str] = set()
    for statement in statements:
        if isinstance(statement, Assign):
            work = [statement.value]
            while work:
                node = work.pop()
                if isinstance(node, Op):
                    found.add(node.name)
                    work += node.args
        else:
            found |= _called((*statement.then, *statement.otherwise))
    return found


# What is one number per tensor


@lru_cache(maxsize=2)
def _split(program: Program) -> Program:
    """The program with every reduction in a let of its own, outside the element lets."""
    names = Names(program)
    lets: list[Let] = []
    for let in program.lets:
        value = let.value
        if let.domain is Domain.ELEMENT and value.has(Reduction):
            for part in _reduced(value, program):
                target = names.free(f"{let.target.name}_scalar")
                lets.append(Let(target, part, Domain.TENSOR, let.guard, let.note))
                value = value.xreplace({part: target})
        lets.append(let.with_value(value))
    return program.with_lets(lets).check()


def _reduced(value: sympy.Basic, program: Program) -> list[sympy.Basic]:
    """The largest parts of an expression that are one number per tensor and reduce something."""
    if not value.has(Reduction):
        return []
    if domain_of(value, program.domains) is Domain.TENSOR and isinstance(value, sympy.Expr):
        return [value]
    parts = (part for arg in value.args for part in _reduced(arg, program))
    return list(dict.fromkeys(parts))


def _tensors(program: Program, scalars: Sequence[str]) -> Tensors | None:
    """MLX code for tensor scalars and for states that are 0-d arrays."""
    states = [o for o in program.outputs if o.domain is Domain.TENSOR]
    wanted = {s for s in program.domains if s.name in scalars} | {o.after for o in states}
    if not wanted:
        return None
    body = _needed(program, wanted)
    part = replace(program, body=body, outputs=_outputs_of(program, body))
    code_of = code(part, body)
    kept = {code_of.names[o.after]: code_of.names[o.before] for o in states}
    lines = [
        *_unneeded(part, [name for name in scalars if name not in kept]),
        *aliases(code_of),
        *block(code_of.statements, MLXPrinter(code_of.names)),
    ]
    reads = {s for let in body for s in let.reads}
    asked = {name for let in body for name in let.guard.support}
    inputs = [code_of.names[i.symbol] for i in program.inputs if i.symbol in reads]
    hosts = [let.target.name for let in program.host if let.target in reads]
    choices = [name for name in program.choices if name in asked and name not in hosts]
    given = tuple(dict.fromkeys([*inputs, *hosts, *choices]))
    results = [(name, code_of.names.get(s, name)) for name in scalars for s in wanted
               if s.name == name]  # fmt: skip
    results += [(before, after) for after, before in kept.items()]
    return Tensors(given, tuple(lines), tuple(dict.fromkeys(results)))


def _unneeded(program: Program, scalars: Sequence[str]) -> Iterator[str]:
    """Numbers for what some choices leave undefined: kernels are given it, and do not read it."""
    for name in scalars:
        cases = [let.guard for let in program.body if let.target.name == name]
        if not reduce(or_, cases).is_always:
            yield f"{name} = mx.array(0.0)"


def _needed(program: Program, wanted: set[sympy.Symbol]) -> tuple[Let, ...]:
    """The lets of the body that some symbols depend on."""
    needed = set(wanted)
    kept: list[Let] = []
    for let in reversed(program.body):
        if let.target in needed:
            needed |= let.reads
            kept.append(let)
    return tuple(reversed(kept))


def _outputs_of(program: Program, body: Sequence[Let]) -> tuple[Output, ...]:
    made = {let.target for let in body}
    return tuple(o for o in program.outputs if o.after in made)
