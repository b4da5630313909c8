"""What the documentation of a generated class says, gathered from its spec.

Owns the words and their order; a template owns the layout. Nothing here is code.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sympy

from ..ir.guard import Guard
from ..ir.program import Program
from ..spec.domains import OF_MATRICES, Domain, domain_of, infer_domains
from ..spec.equation import Eq
from ..spec.names import SEED
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import Argument, Bounds, Flag, HyperTuple, Shape, roles_of, values_in
from ..spec.schedule import Schedule
from ..targets.common.cases import Case, cases
from ..targets.common.plain import text_of
from ..targets.common.trees import Node, Op, tree_of, with_pi
from ..targets.latex import LETTERS, LatexPrinter, typeset

#: How long a line of LaTeX may be: what is left beside the indent of a docstring's block.
WIDTH = 92


@dataclass(frozen=True)
class ArgumentDoc:
    """An argument of the constructor, for its signature and its documentation."""

    name: str
    type: str
    annotation: str
    default: str
    doc: str


@dataclass(frozen=True)
class DialectDoc:
    """A dialect: what it is, and the equations in which it differs from the default, in LaTeX."""

    name: str
    text: str
    equations: tuple[str, ...]


@dataclass(frozen=True)
class ClassDoc:
    """Everything that a class's documentation says.

    `equations` are lines of LaTeX, `rate` is the argument that is the learning rate, "" for none.
    """

    name: str
    summary: str
    notes: str
    paper: str
    symbols: str
    starts: str
    requirements: str
    states: tuple[str, ...]
    equations: tuple[str, ...]
    also_called: tuple[str, ...]
    arguments: tuple[ArgumentDoc, ...]
    positional: tuple[ArgumentDoc, ...]
    rate: str
    dialects: tuple[DialectDoc, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the class, its own first."""
        return (self.name, *self.also_called)

    @property
    def keyword_only(self) -> tuple[ArgumentDoc, ...]:
        """The arguments that can be given by keyword only."""
        return self.arguments[len(self.positional) :]

    @property
    def table(self) -> str:
        """The name of the table of its rules."""
        return f"{self.name.upper()}_RULES"


def class_doc(spec: OptimizerSpec, program: Program) -> ClassDoc:
    """The documentation of a class; `program` is that of its default reading."""
    own = tuple(_argument(spec, argument) for argument in spec.parameters)
    arguments = (*own, *_seed(spec))
    return ClassDoc(
        name=spec.name,
        summary=sentence(spec.summary or f"The optimizer {spec.name}."),
        notes=" ".join(filter(None, (sentence(spec.notes), seen_of_tensors(spec)))),
        paper=sentence(spec.paper),
        symbols=_symbols(spec),
        starts=_starts(spec),
        requirements="".join(f"; {quotable(message)}" for _, message in spec.requires),
        states=tuple(_state(spec, program)),
        equations=equation_block(spec, spec.equations),
        also_called=spec.also_called,
        arguments=arguments,
        positional=own[: spec.positional],
        rate=_rate(spec),
        dialects=tuple(_dialect(spec, other) for other in spec.readings.values()),
    )


def differing(spec: OptimizerSpec, other: OptimizerSpec) -> list[Eq]:
    """The equations of other that spec does not have."""
    same = {(e.key, e.normalised()) for e in spec.equations}
    return [e for e in other.equations if (e.key, e.normalised()) not in same]


def value_text(value: Any) -> str:
    """A default as an expert writes it: 1e-3, not 0.001."""
    if isinstance(value, tuple):
        inside = ", ".join(map(value_text, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return repr(value)
    value = float(value)
    if value and (abs(value) < 0.05 or abs(value) >= 1e5):
        digits = len(Decimal(repr(value)).normalize().as_tuple().digits)  # the fewest that tell it
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return repr(value)


def bounds_text(bounds: Bounds) -> str:
    """A legal range in words: `at least 0 and below 1`."""
    words = (
        ("at least", bounds.at_least),
        ("above", bounds.above),
        ("at most", bounds.at_most),
        ("below", bounds.below),
    )
    return " and ".join(f"{word} {limit:g}" for word, limit in words if limit is not None)


def _rate(spec: OptimizerSpec) -> str:
    rate = roles_of(spec.parameters).get("rate")
    return "" if rate is None else rate.name


# Equations


class _Conditions(LatexPrinter):
    """Conditions in words, with flags by their names in code."""

    def text(self, node: Node) -> tuple[str, int]:
        """As in LatexPrinter."""
        if isinstance(node, Flag):
            name = node.name.replace("_", r"\_")
            return rf"\mathtt{{{name}}}", 10
        if isinstance(node, Op) and node.name in ("and", "or"):
            left, right = (self.wrapped(arg, 2) for arg in node.args)
            return rf"{left} \text{{ {node.name} }} {right}", 2 if node.name == "and" else 1
        if isinstance(node, Op) and node.name == "not":
            return rf"\text{{not }} {self.wrapped(node.args[0], 3)}", 3
        return super().text(node)


def equation_block(spec: OptimizerSpec | Schedule, equations: Sequence[Eq]) -> tuple[str, ...]:
    """Equations in LaTeX with their numbers, as the lines of an `aligned` block.

    >>> from lucidgen.specs.sgd import SGD
    >>> print(*equation_block(SGD, SGD.equations[3:]), sep="\\n")
    u_{t} &= \\begin{cases}
        g_{t} + \\mu \\, b_{t} & \\text{if } \\mu \\ne 0 \\text{ and } \\mathtt{nesterov} \\\\
        b_{t} & \\text{if } \\mu \\ne 0 \\\\
        g_{t} & \\text{otherwise}
    \\end{cases} && (4) \\\\
    w_{t} &= w_{t-1} - \\gamma \\, u_{t} && (5)
    """
    lines: list[str] = []
    printer, domain = LatexPrinter({}), _domains(spec)
    for equation in equations:
        end = rf" && ({spec.number(equation)})"
        end += r" \\" if equation is not equations[-1] else ""
        found = cases(equation.right)
        left = printer.print(equation.left)
        values = [printer.print(tree_of(with_pi(case.value), domain)) for case in found]
        if len(found) == 1:
            lines += _filled(f"{left} &= {values[0]}{end}")
            continue
        lines.append(rf"{left} &= \begin{{cases}}")
        for case, value in zip(found, values, strict=True):
            row = f"    {value} & {_condition(case)}"
            lines += _filled(row + (r" \\" if case is not found[-1] else ""))
        lines.append(rf"\end{{cases}}{end}")
    return tuple(lines)


def _filled(line: str) -> list[str]:
    """A long line in several: broken before top-level operators, or else at any space."""
    indent = " " * (len(line) - len(line.lstrip()))
    pieces, depth = [""], 0
    for word in re.findall(r"\\text\{[^}]*\}|\S+", line):
        breaks = depth == 0 and word in ("+", "-", "&", "&&")
        pieces += [word] if breaks else [f"{pieces.pop()} {word}".strip()]
        depth += word.count("{") + word.count("(") - word.count("}") - word.count(")")
    lines = [indent]
    for piece in pieces:
        for part in (
            (piece,)
            if len(piece) < WIDTH - 8
            else textwrap.wrap(piece.replace("}{", "} {"), WIDTH - 8)
        ):
            if len(lines[-1]) + 1 + len(part) > WIDTH and lines[-1].strip():
                lines.append(f"{indent}    ")
            lines[-1] += part if not lines[-1].strip() else f" {part}"
    return [line.replace("} {", "}{") for line in lines]


def _domains(spec: OptimizerSpec | Schedule) -> Callable[[sympy.Basic], Domain]:
    """The domain of each expression of a spec, which decides the order of its terms."""
    names = infer_domains(spec)

    def domain(expr: sympy.Basic) -> Domain:
        known = {at: names.get(at.series.name, Domain.HOST) for at in values_in(expr)}
        return domain_of(expr, known)

    return domain


def _condition(case: Case) -> str:
    if not case.conditions:
        return r"\text{otherwise}"
    printer = _Conditions({})
    return r"\text{if } " + r" \text{ and } ".join(
        printer.wrapped(tree_of(condition), 2 if len(case.conditions) > 1 else 0)
        for condition in case.conditions
    )


# Words


def _argument(spec: OptimizerSpec, argument: Argument) -> ArgumentDoc:
    default = value_text(spec.default(argument))
    doc = sentence(argument.doc or argument.name.replace("_", " ").capitalize())
    if argument.name in unsupported(spec, spec):
        having = [f'"{r.reading}"' for r in spec.readings.values() if r.uses(argument)]
        doc += f" Only in dialect {listed(having)}."
    if isinstance(argument, Flag):
        return ArgumentDoc(argument.name, "bool", "bool", default, doc)
    symbols = argument.symbols
    legal = bounds_text(spec.legal(argument))
    if isinstance(argument, HyperTuple):
        annotation = f"tuple[{', '.join(['float'] * len(symbols))}]"
        kind = f"tuple of {len(symbols)} floats" + (f", each {legal}" if legal else "")
    else:
        annotation = "float"
        kind = "float" + (f", {legal}" if legal else "")
    return ArgumentDoc(argument.name, kind, annotation, default, doc)


def _seed(spec: OptimizerSpec) -> Iterator[ArgumentDoc]:
    """The argument that the class has if it draws random numbers."""
    if spec.takes_seed:
        doc = (
            "What the random numbers depend on, together with the parameter (its name, or else its "
            "group and place), the number of its step and the element: so they are the same "
            "whatever computes them, in whatever order, and in a run that is resumed. Groups can "
            "differ in it."
        )
        if not all(reading.draws for reading in spec.readings.values()):
            having = [f'"{r.reading}"' for r in spec.readings.values() if r.draws]
            doc += f" Without effect but in dialect {listed(having)}."
        yield ArgumentDoc(SEED, "int from 0 to 2**64 - 1", "int", "0", doc)


def _symbols(spec: OptimizerSpec) -> str:
    """Which letters stand for which argument, for those that do not say it themselves."""
    said = []
    for argument in spec.parameters:
        symbols = () if isinstance(argument, Flag) else argument.symbols
        if isinstance(argument, HyperTuple) or argument.name in LETTERS:
            letters = listed([f":math:`{typeset(symbol.name)}`" for symbol in symbols])
            said.append(f"{letters} {'is' if len(symbols) == 1 else 'are'} ``{argument.name}``")
    return listed(said)


def _starts(spec: OptimizerSpec) -> str:
    """How the states begin, where it is not from zero."""
    started = {e.series for e in spec.equations if e.moment == "start"}
    first = list(spec.by_moment("first"))
    zero = [s for s in spec.states if s not in started and s not in first]
    parts = []
    if zero:
        names = listed([f":math:`{typeset(s.name, '0')}`" for s in zero])
        parts.append(f"{names} {'is' if len(zero) == 1 else 'are'} 0.")
    for series in first:
        number = spec.number(spec.by_moment("first")[series])
        parts.append(
            f"Equation ({number}) holds in the step in which :math:`{typeset(series.name)}` is "
            "created."
        )
    return " ".join(parts)


def _state(spec: OptimizerSpec, program: Program) -> Iterator[str]:
    for output in program.outputs[1:]:
        series = next(s for s in spec.states if s.name == output.after.name)
        kind = {"scalar": "one number", "tensor": "one number", "element": "like the parameter"}
        shape = kind.get(output.domain.value, f"one number per {output.domain.value}")
        where = (
            "" if output.live.is_always else f"; only if ``{in_words(spec, program, output.live)}``"
        )
        yield f"``{series.saved_as}``: :math:`{typeset(series.name)}`, {shape}{where}"
    domains = infer_domains(spec)
    for series in spec.states:
        if domains[series.name] is Domain.GROUP:
            yield (
                f"``{series.saved_as}``: :math:`{typeset(series.name)}`, one number per group, "
                "kept in it (``param_groups``)"
            )


def in_words(spec: OptimizerSpec, program: Program, guard: Guard) -> str:
    """A guard as a condition on arguments and on the shape of a parameter."""
    special = {f"use_{h.name}": h for h in spec.hypers if h.special is not None}
    text = guard.text("not {}", " and ", " or ")
    for name, argument in special.items():
        compared = f"{argument.name} {{}} {argument.special:g}"
        text = re.sub(rf"\bnot {name}\b", compared.format("=="), text)
        text = re.sub(rf"\b{name}\b", compared.format("!="), text)
    for name, asked in program.shapes:
        text = re.sub(rf"\bnot {name}\b", text_of(sympy.Not(asked), spec), text)
        text = re.sub(rf"\b{name}\b", text_of(asked, spec), text)
    return text


def seen_of_tensors(spec: OptimizerSpec) -> str:
    """What equations see of a tensor of more than two axes, where that makes a difference."""
    domains = {*infer_domains(spec).values()}
    if domains.isdisjoint(OF_MATRICES) and not any(e.right.has(Shape) for e in spec.equations):
        return ""
    seen = {
        "last": "each matrix of its last two axes is worked on by itself",
        "first": "one matrix is seen, of the first axis against all others",
        "exact": "a vector is seen",
    }
    return f"Of a tensor of more than two axes, {seen[spec.matrices]}."


def _dialect(spec: OptimizerSpec, other: OptimizerSpec) -> DialectDoc:
    changed = differing(spec, other)
    kept = {e.key for e in other.equations}
    if any(e.key not in kept for e in spec.equations):
        # What is missing shows only where all is shown; and the numbers are other ones.
        changed = list(other.equations)
    text = [sentence(part) for part in (other.paper, other.notes) if part]
    text += [seen_of_tensors(other)] if other.matrices != spec.matrices else []
    text += _argument_changes(spec, other)
    if not changed and not other.notes:
        text.append("The same equations as the default.")
    return DialectDoc(other.reading, " ".join(text), equation_block(other, changed))


def _argument_changes(spec: OptimizerSpec, other: OptimizerSpec) -> list[str]:
    """What is different about the arguments, as far as the notes do not say it."""
    found = []
    for argument in spec.parameters:
        default = other.default(argument)
        if default != spec.default(argument) and f"default of {argument.name}" not in other.notes:
            found.append(f"The default of ``{argument.name}`` is {value_text(default)}.")
        if not isinstance(argument, Flag) and other.legal(argument) != spec.legal(argument):
            legal = bounds_text(other.legal(argument)) or "any number"
            found.append(f"``{argument.name}`` is {legal}.")
    ignored = [a.name for a in other.ignores if f"{a.name} has no effect" not in other.notes]
    if ignored:
        names = listed([f"``{name}``" for name in ignored])
        found.append(f"{names} {'has' if len(ignored) == 1 else 'have'} no effect.")
    missing = [f"``{name}``" for name in unsupported(spec, other)]
    if missing:
        found.append(f"It has no {listed(missing, 'or')}.")
    return found


def unsupported(spec: OptimizerSpec, reading: OptimizerSpec) -> tuple[str, ...]:
    """The arguments of the class that a reading neither uses nor ignores."""
    required = {s for r in reading.requirements for s in r.condition.free_symbols}
    ignored = {a.name for a in reading.ignores}
    return tuple(
        argument.name
        for argument in spec.parameters
        if not reading.uses(argument)
        and argument.name not in ignored
        and not required & {argument, *getattr(argument, "symbols", ())}
    )


def listed(parts: Sequence[str], word: str = "and") -> str:
    """Parts as in a sentence: a, b and c."""
    return f" {word} ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def quotable(text: str) -> str:
    """An author's words as they can stand in a docstring."""
    return " ".join(text.replace('"""', "'''").split())


def sentence(text: str) -> str:
    """An author's words with a full stop."""
    text = quotable(text)
    return text if not text or text.endswith((".", "!", "?")) else text + "."
