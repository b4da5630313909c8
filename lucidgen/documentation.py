"""What the documentation of a generated class says, gathered from its spec.

Owns the words and their order; a template owns the layout. Nothing here is code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .ir import Program
from .spec.optimizer import Eq, OptimizerSpec
from .spec.quantities import Argument, Bounds, Flag, HyperTuple
from .targets.latex import LETTERS, latex, typeset


@dataclass(frozen=True)
class Equation:
    """An equation in LaTeX with its number."""

    number: int
    left: str
    right: str


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
    """A dialect: what it is, and the equations in which it differs from the default."""

    name: str
    text: str
    equations: tuple[Equation, ...]


@dataclass(frozen=True)
class ClassDoc:
    """Everything that a class's documentation says."""

    name: str
    summary: str
    notes: str
    paper: str
    symbols: str
    starts: str
    requirements: str
    states: str
    equations: tuple[Equation, ...]
    arguments: tuple[ArgumentDoc, ...]
    positional: tuple[ArgumentDoc, ...]
    dialects: tuple[DialectDoc, ...]

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
    arguments = tuple(_argument(spec, argument) for argument in spec.parameters)
    return ClassDoc(
        name=spec.name,
        summary=_sentence(spec.summary or f"The optimizer {spec.name}."),
        notes=spec.notes,
        paper=_sentence(spec.paper) if spec.paper else "None given.",
        symbols=_symbols(spec),
        starts=_starts(spec),
        requirements="".join(f"; {message}" for _, message in spec.requires),
        states=", ".join(_state(spec, program)),
        equations=tuple(_equation(spec, e) for e in spec.equations),
        arguments=arguments,
        positional=arguments[: spec.positional],
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
        mantissa, _, exponent = f"{value:.16e}".partition("e")
        short = next(
            text
            for text in (f"{float(mantissa):.{digits}g}" for digits in range(1, 18))
            if float(f"{text}e{exponent}") == value
        )
        return f"{short}e{int(exponent)}"
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


def _equation(spec: OptimizerSpec, equation: Eq) -> Equation:
    left, right = latex(equation, spec)
    return Equation(spec.number(equation), left, right)


def _argument(spec: OptimizerSpec, argument: Argument) -> ArgumentDoc:
    default = value_text(spec.default(argument))
    if isinstance(argument, Flag):
        return ArgumentDoc(argument.name, "bool", "bool", default, _sentence(argument.doc))
    symbols = argument.symbols
    legal = bounds_text(symbols[0].bounds)
    doc = _sentence(argument.doc or argument.name.replace("_", " ").capitalize())
    if isinstance(argument, HyperTuple):
        annotation = f"tuple[{', '.join(['float'] * len(symbols))}]"
        kind = f"tuple of {len(symbols)} floats" + (f", each {legal}" if legal else "")
    else:
        annotation = "float"
        kind = "float" + (f", {legal}" if legal else "")
    return ArgumentDoc(argument.name, kind, annotation, default, doc)


def _symbols(spec: OptimizerSpec) -> str:
    """Which letter stands for which argument, for those that do not say it themselves."""
    used = [h for h in spec.hypers if h.name in LETTERS]
    said = [f":math:`{typeset(h.name)}` is ``{h.name}``" for h in used]
    return ", ".join(said)


def _starts(spec: OptimizerSpec) -> str:
    """How the states begin, where it is not from zero."""
    started = {e.series for e in spec.equations if e.moment == "start"}
    first = [s for s in spec.by_moment("first")]
    zero = [s for s in spec.states if s not in started and s not in first]
    parts = []
    if zero:
        names = ", ".join(f":math:`{typeset(s.name, '0')}`" for s in zero)
        parts.append(f"{names} {'is' if len(zero) == 1 else 'are'} 0.")
    for series in first:
        number = spec.number(spec.by_moment("first")[series])
        parts.append(
            f"Equation ({number}) holds in the step in which :math:`{typeset(series.name)}` is "
            "created."
        )
    return " ".join(parts)


def _state(spec: OptimizerSpec, program: Program) -> list[str]:
    found = []
    for output in program.outputs[1:]:
        series = next(s for s in spec.states if s.name == output.after.name)
        where = "" if output.live.is_always else f" (if {_reading(str(output.live))})"
        kind = {"scalar": "one number", "tensor": "one number", "element": "like the parameter"}
        shape = kind.get(output.domain.value, f"one value per {output.domain.value}")
        found.append(f"``{series.saved_as}``, :math:`{typeset(series.name)}`, {shape}{where}")
    return found


def _reading(guard: str) -> str:
    return guard.replace("use_", "")


def _dialect(spec: OptimizerSpec, other: OptimizerSpec) -> DialectDoc:
    changed = differing(spec, other)
    text = [_sentence(other.paper)] if other.paper else []
    text += [other.notes] if other.notes else []
    text += [_sentence(text_) for text_ in _argument_changes(spec, other)]
    if not changed and not other.notes:
        text.append("The same equations as the default.")
    return DialectDoc(
        other.reading, " ".join(text), tuple(_equation(other, equation) for equation in changed)
    )


def _argument_changes(spec: OptimizerSpec, other: OptimizerSpec) -> list[str]:
    found = []
    for argument in spec.parameters:
        default = other.default(argument)
        if default != spec.default(argument):
            found.append(f"The default of ``{argument.name}`` is {value_text(default)}")
    ignored = [f"``{a.name}``" for a in other.ignores]
    if ignored:
        found.append(f"{', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect")
    missing = [f"``{name}``" for name in unsupported(spec, other)]
    if missing:
        found.append(f"Has no {', '.join(missing)}")
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


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else text + "."
