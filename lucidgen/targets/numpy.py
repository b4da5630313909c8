"""The NumPy target: calls that write into arrays that exist already.

Owns the choice of the array that each intermediate result goes to. States and w are updated in
place, everything else lives in a few work arrays; the gradient is never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..ir.program import Program
from ..operations import OPERATIONS, Where
from ..spec.domains import Domain
from .common.fitting import fitted
from .common.names import PYTHON, Words, words
from .common.printer import INFIX, Printer
from .common.python import called, condition, tag
from .common.statements import Assign, If, Statement, code
from .common.step_function import StepFunction, step_parameters
from .common.target import Target
from .common.trees import Node, Op, reads

#: What a step's own text uses.
WORDS = PYTHON | words("np scratch", r"(work|mask)\d*") | Words(languages=("numpy",))

#: What stands before a comment: the function's indent and the mark.
BEFORE_COMMENT = 6


class NumPyPrinter(Printer):
    """NumPy expressions, for what is smaller than a tensor and for conditions."""

    language: ClassVar[str] = "numpy"
    places: ClassVar[Where] = Where.ELEMENTS | Where.ARRAYS
    infix: ClassVar[Mapping[str, tuple[str, int]]] = {
        **{name: sign for name, sign in INFIX.items() if name not in ("and", "or")},
        "and": ("&", 5),
        "or": ("|", 5),
    }


def step_function(program: Program) -> StepFunction:
    """The body of a program as a function that updates w and the states in place."""
    writer = _Writer(program)
    lines = writer.function()
    return StepFunction(
        parameters=step_parameters(program, ("scratch",) if writer.work else ()),
        lines=tuple(lines),
        outputs=(),
        scratch=len(writer.work),
    )


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.code = code(program, program.body)
        self.printer = NumPyPrinter(self.code.names)
        self.in_place = {
            self.code.names[o.before]: o.domain
            for o in program.outputs
            if o.domain is not Domain.HOST
        }
        self.stored = {self.code.names[o.after] for o in program.outputs} - set(self.in_place)
        self.work: list[str] = []
        self.busy: set[str] = set()
        self.masks = 0
        # The arrays that a name can stand for, in whatever branch it got its value.
        drawn = (self.code.names[drawn.symbol] for drawn in program.drawn)
        self.bound: dict[str, set[str]] = {
            name: {name} for name in (*self.in_place, "grad", *drawn)
        }
        for name, source in self.code.aliases:
            self.bound[name] = {source}

    def function(self) -> list[str]:
        body = [*(f"{name} = {source}" for name, source in self.code.aliases)]
        body += self.block(self.code.statements, "")
        for output in self.program.outputs:
            old, new = self.code.names[output.before], self.code.names[output.after]
            if output.domain is not Domain.HOST and old != new:
                # A state that these choices do not need is None.
                where = "" if output.live.is_always else f"if {old} is not None:\n    "
                body += f"{where}{self.copy(old, new)}".splitlines()
        if self.work:
            comma = "," if len(self.work) == 1 else ""
            body.insert(0, f"{', '.join(self.work)}{comma} = scratch")
        return body

    def block(self, statements: tuple[Statement, ...], indent: str) -> Iterator[str]:
        for statement in statements:
            if isinstance(statement, Assign):
                yield from self.comment(statement, indent)
                yield from (indent + line for line in self.assign(statement))
            else:
                yield from self.branch(statement, indent, "if")

    def branch(self, statement: If, indent: str, word: str) -> Iterator[str]:
        yield f"{indent}{word} {condition(statement.guard)}:"
        yield from self.block(statement.then, indent + "    ")
        rest = statement.otherwise
        if len(rest) == 1 and isinstance(rest[0], If):
            yield from self.branch(rest[0], indent, "elif")
        elif rest:
            yield f"{indent}else:"
            yield from self.block(rest, indent + "    ")

    def comment(self, statement: Assign, indent: str) -> Iterator[str]:
        """The equation, above the calls that compute it."""
        if isinstance(statement.value, Op) and statement.domain is Domain.ELEMENT:
            numbers = "".join(f"({n})" for n in statement.note)
            text = f"{statement.name} = {_Comment(self.code.names).print(statement.value)}"
            before = len(indent) + BEFORE_COMMENT
            lines = fitted(f"{numbers} {text}".lstrip(), before).split("\n" + " " * before)
            yield from (f"{indent}# {line}" for line in lines)

    def assign(self, statement: Assign) -> Iterator[str]:
        name, value = statement.name, statement.value
        if not isinstance(value, Op):
            yield from self.assign_name(statement, self.printer.print(value))
        elif statement.domain is not Domain.ELEMENT:
            place = f"{name}[...]" if name in self.in_place else name
            yield f"{place} = {self.printer.print(value)}{tag(statement.note)}"
        else:
            target = name if name in self.in_place else self.home(name)
            lines: list[str] = []
            self.compute(value, target, set(), lines)
            if target != name and lines[-1].startswith("np.copyto"):
                lines.append(f"{name} = {target}")
            elif target != name:
                lines[-1] = f"{name} = {lines[-1]}"
            yield from lines

    def assign_name(self, statement: Assign, text: str) -> Iterator[str]:
        """The assignment of what has a name or is a number: a copy where it lasts, else a name."""
        name, note = statement.name, tag(statement.note)
        is_element = statement.domain is Domain.ELEMENT
        arrays = self.arrays_in(statement.value)
        if name in self.in_place:
            yield self.copy(name, text) if is_element else f"{name}[...] = {text}{note}"
        elif name not in self.stored or arrays.isdisjoint(self.in_place):
            self.bound.setdefault(name, set()).update(arrays)
            yield f"{name} = {text}{'' if is_element else note}"
        # Another array that is updated in place, maybe before this one is stored.
        elif is_element:
            yield self.copy(self.home(name), text)
            yield f"{name} = {self.home(name)}"
        else:
            yield f"{name} = np.copy({text}){note}"

    def copy(self, target: str, source: str) -> str:
        return f"np.copyto({target}, {source})"

    def home(self, name: str) -> str:
        """A work array for a local name that no other name can stand for."""
        others = set().union(*(arrays for n, arrays in self.bound.items() if n != name))
        own = sorted((self.bound.get(name, set()) & set(self.work)) - others)
        array = own[0] if own else self.borrow()
        self.bound.setdefault(name, set()).add(array)
        return array

    def borrow(self) -> str:
        """A work array that holds nothing now."""
        for name in self.work:
            if name not in self.busy:
                break
        else:
            name = f"work{len(self.work) + 1}"
            self.work.append(name)
        self.busy.add(name)
        return name

    def is_array(self, node: Node) -> bool:
        """Whether the node varies over the elements."""
        if isinstance(node, Op) and OPERATIONS[node.name].leaves:
            return False
        if isinstance(node, Op):
            return any(map(self.is_array, node.args))
        return self.program.domains.get(node) is Domain.ELEMENT

    def arrays_in(self, node: Node) -> set[str]:
        """The arrays that the node can read."""
        names = (self.code.names.get(s, s.name) for s in reads(node))
        return set().union(*(self.bound.get(name, set()) for name in names))

    def compute(self, node: Op, target: str, later: set[str], lines: list[str]) -> None:
        """Append calls that leave the node's value in target.

        `later` are the arrays that are read after that, so that nothing may overwrite them; the
        last call alone may overwrite what the node itself reads.
        """
        if node.name == "where":
            self.select(node, target, later, lines)
            return
        operands: list[str] = []
        borrowed: list[str] = []
        held: set[str] = set()
        for i, arg in enumerate(node.args):
            rest = later.union(held, *(self.arrays_in(other) for other in node.args[i + 1 :]))
            operands.append(self.operand(arg, target, rest, borrowed, lines))
            held |= self.arrays_of(arg, operands[-1])
        lines.append(f"{self.printer.called(node.name)}({', '.join(operands)}, out={target})")
        self.busy.difference_update(borrowed)

    def operand(
        self, node: Node, target: str, later: set[str], borrowed: list[str], lines: list[str]
    ) -> str:
        """The text of an operand, after the calls that it needs."""
        if not isinstance(node, Op) or not self.is_array(node):
            return self.printer.print(node)
        place = target
        if target in later:
            place = self.borrow()
            borrowed.append(place)
        self.compute(node, place, later, lines)
        return place

    def arrays_of(self, node: Node, text: str) -> set[str]:
        """The arrays that an operand's text stands for."""
        computed = isinstance(node, Op) and self.is_array(node)
        return {text} if computed else self.arrays_in(node)

    def select(self, node: Op, target: str, later: set[str], lines: list[str]) -> None:
        """`where` without a new array: one case, then the other where the mask says so."""
        test, yes, no = node.args
        borrowed: list[str] = []
        self.masks += 1
        mask = "mask" if self.masks == 1 else f"mask{self.masks}"
        lines.append(f"{mask} = {self.printer.print(test)}")
        chosen = self.operand(yes, target, later | self.arrays_in(no), borrowed, lines)
        if chosen == target:
            other = self.operand(no, target, later | {target}, borrowed, lines)
            lines.append(f"np.copyto({target}, {other}, where=np.logical_not({mask}))")
        else:
            held = later | self.arrays_of(yes, chosen)
            other = self.operand(no, target, held, borrowed, lines)
            if other != target:
                lines.append(self.copy(target, other))
            lines.append(f"np.copyto({target}, {chosen}, where={mask})")
        self.masks -= 1
        self.busy.difference_update(borrowed)


class _Comment(Printer):
    """Mathematics in a comment: operations by their own names."""

    texts: ClassVar[Mapping[str, str]] = {"square": "{0}**2"}

    def listed(self, name: str) -> str:
        """The operation's own name."""
        return name


def _compile(program: Program, name: str) -> StepFunction:
    return step_function(program)


def _of_module(found: Sequence[StepFunction]) -> Mapping[str, Any]:
    """What a module imports."""
    return {"function_imports": called(found, "numpy")}


TARGET = Target(
    name="numpy",
    title="NumPy",
    compile=_compile,
    text="_numpy/rule.py",
    files={"_numpy/module.py": "_numpy/{name}.py"},
    fixed=("_numpy/__init__.py",),
    of_module=_of_module,
    words=WORDS,
    language="python",
    comment="#",
    backend="numpy",
    product="steps",
    verifier="lucidgen.verify.steps:numpy",
)
