"""Schedules, compiled: what a generated scheduler class is made of, as strings and lists.

Owns the class's documentation, its data and the code of its functions; how they are laid out is the
template's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy

from ..spec.quantities import Bounds, Flag, Hyper
from ..spec.schedule import (
    Argument,
    Choice,
    Points,
    Schedule,
    UserFunction,
    Whole,
    base,
    momentum,
    required,
    value,
)
from ..targets.schedule import (
    ScheduleFunction,
    expression_calls,
    expression_text,
    schedule_function,
    start_function,
)
from .documentation import bounds_text, equation_block, listed, quotable, sentence, value_text

#: What is documented and annotated of each kind of argument.
ANNOTATIONS: tuple[tuple[type, str], ...] = (
    (Whole, "int"),
    (Hyper, "float"),
    (Points, "Sequence[int]"),
    (UserFunction, "Callable[[float], float]"),
    (Flag, "bool"),
    (Choice, "str"),
)

#: What Python has not, or not for nan, and the runtime has.
KEEPS_NAN = frozenset({"maximum", "minimum", "sign"})


@dataclass(frozen=True)
class CompiledArgument:
    """An argument of a scheduler: its signature, its documentation and its data."""

    argument: Argument

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.argument.name)

    @property
    def own_annotation(self) -> str:
        """The type that it has in the functions of t."""
        text = next(text for kind, text in ANNOTATIONS if isinstance(self.argument, kind))
        optional = isinstance(self.argument, UserFunction) and self.default == "None"
        return f"{text} | None" if optional else text

    @property
    def annotation(self) -> str:
        """The type that it has in the constructor."""
        text = self.own_annotation.removesuffix(" | None")
        if isinstance(self.argument, Hyper | UserFunction):
            text = f"{text} | Sequence[{text}]"
        return f"{text} | None" if self.default == "None" else text

    @property
    def default(self) -> str:
        """The default as code; none if the argument is required."""
        found = self.argument.default
        if found is required:
            return ""
        if isinstance(self.argument, Choice):
            return f'"{found}"'
        if found is None or isinstance(found, int):
            return repr(found)
        return "1 / 3" if found == 1 / 3 else value_text(found)

    @property
    def own_default(self) -> str:
        """The default in the functions of t, where None does not occur as a number."""
        optional = self.default == "None" and isinstance(self.argument, Whole)
        return "" if optional else self.default

    @property
    def type(self) -> str:
        """The kind of value, and the default, for the documentation."""
        if self.default == "None":
            return f"{self._kind}, optional"
        return self._kind + (f", default {self.default}" if self.default else "")

    @property
    def _kind(self) -> str:
        argument = self.argument
        if isinstance(argument, Choice):
            return "{" + ", ".join(f'"{word}"' for word in argument.values) + "}"
        if isinstance(argument, Points):
            return "increasing list of int, each at least 0"
        if isinstance(argument, Flag):
            return "bool"
        if isinstance(argument, UserFunction):
            return "function of float"
        legal = bounds_text(argument.bounds)
        return ("int" if isinstance(argument, Whole) else "float") + (f", {legal}" if legal else "")

    @property
    def doc(self) -> str:
        """Its documentation."""
        argument = self.argument
        text = sentence(argument.doc or self.name.replace("_", " ").capitalize())
        if isinstance(argument, Whole) and argument.otherwise is not None:
            text += f" By default ``{expression_text(argument.otherwise)}``."
        return text

    @property
    def data(self) -> str:
        """The data that the runtime checks its values by."""
        argument = self.argument
        fields = [f'"{self.name}"']
        if isinstance(argument, Choice):
            words = ", ".join(f'"{word}"' for word in argument.values)
            return f"Choice({fields[0]}, ({words}{',' * (len(argument.values) == 1)}))"
        if isinstance(argument, Points):
            return f"Points({fields[0]})"
        if isinstance(argument, Flag):
            return f"Flag(name={fields[0]}, default={argument.default})"
        if self.default == "None":
            fields.append("optional=True")
        if isinstance(argument, UserFunction):
            fields.append(f'saved_as="{argument.saved_as}"')
            return f"Function({', '.join(fields)})"
        if isinstance(argument, Whole):
            fields += ["whole=True"]
        fields += _limits(argument.bounds)
        if isinstance(argument, Whole) and argument.otherwise is not None:
            names = ", ".join(sorted(s.name for s in argument.otherwise.free_symbols))
            fields.append(f"otherwise=lambda {names}: {expression_text(argument.otherwise)}")
        return f"Number({', '.join(fields)})"

    @property
    def kind(self) -> str:
        """The class of its data."""
        return self.data.partition("(")[0]


def _limits(bounds: Bounds) -> Iterator[str]:
    for name in ("at_least", "above", "at_most", "below"):
        limit = getattr(bounds, name)
        if limit is not None:
            yield f"{name}={limit!r}"


@dataclass(frozen=True)
class CompiledSchedule:
    """A schedule, compiled."""

    spec: Schedule

    @property
    def name(self) -> str:
        """The class name."""
        return self.spec.name

    @property
    def summary(self) -> str:
        """The first sentence of the documentation."""
        return sentence(self.spec.summary or f"The schedule {self.name}.")

    @property
    def notes(self) -> str:
        """What a user should know."""
        return sentence(self.spec.notes)

    @property
    def paper(self) -> str:
        """The source."""
        return sentence(self.spec.paper)

    @property
    def equations(self) -> tuple[str, ...]:
        """The equations as lines of LaTeX."""
        return equation_block(self.spec, self.spec.equations)

    @property
    def symbols(self) -> str:
        """What the letters stand for."""
        parts = [r":math:`\eta_{t}` is the value after :math:`t` steps of the scheduler"]
        if self.start is not None:
            parts.append(r":math:`\eta^{\mathrm{base}}` the one that it starts with")
        elif base in self.spec.by_series[value].right.free_symbols:
            parts.append(r":math:`\eta^{\mathrm{base}}` the one that the group started with")
        if self.momentum is not None:
            parts.append(r":math:`\mu_{t}` the momentum, or the first of the betas")
        return f"Here {listed(parts)}."

    @cached_property
    def arguments(self) -> tuple[CompiledArgument, ...]:
        """The arguments, in order."""
        return tuple(map(CompiledArgument, self.spec.parameters))

    @property
    def positional(self) -> tuple[CompiledArgument, ...]:
        """The arguments that can be given by position."""
        return self.arguments[: self.spec.positional]

    @property
    def keyword_only(self) -> tuple[CompiledArgument, ...]:
        """The arguments that can be given by keyword only."""
        return self.arguments[self.spec.positional :]

    @cached_property
    def value(self) -> ScheduleFunction:
        """The function for the value."""
        return schedule_function(self.spec, value)

    @cached_property
    def momentum(self) -> ScheduleFunction | None:
        """The function for the momentum, if there is one."""
        return schedule_function(self.spec, momentum) if momentum in self.spec.outputs else None

    @cached_property
    def start(self) -> ScheduleFunction | None:
        """The function for where it starts, if it does not start from the group's value."""
        return start_function(self.spec)

    def read_by(self, function: ScheduleFunction) -> list[CompiledArgument]:
        """The arguments that a function reads."""
        return [argument for argument in self.arguments if argument.name in function.reads]

    @property
    def requirements(self) -> str:
        """The constraints across arguments in words."""
        return "".join(f"; {quotable(message)}" for _, message in self.spec.requires)

    @property
    def options(self) -> dict[str, str]:
        """The other data of the class, what is at its default left out."""
        found = {}
        if self.spec.requires:
            pairs = []
            for r in self.spec.requirements:
                names = ", ".join(sorted(s.name for s in r.condition.free_symbols))
                message = json.dumps(r.message, ensure_ascii=False)
                pairs.append(f"(lambda {names}: {expression_text(r.condition)}, {message})")
            found["requires"] = f"({', '.join(pairs)},)"
        if not self.spec.chainable:
            found["chainable"] = "False"
        if self.spec.settles:
            found["settles"] = "True"
        if self.spec.until is not None:
            found["until"] = f'"{self.spec.until}"'
        if self.spec.torch_keys:
            keys = self.spec.torch_keys.items()
            saved = (f'"{key}": ' + ("None" if a is None else f'"{a.name}"') for key, a in keys)
            found["torch_keys"] = f"{{{', '.join(saved)}}}"
        return found

    @property
    def conditions(self) -> list[sympy.Basic]:
        """What is said of its arguments: what stands for those left out, and what must hold."""
        wholes = [a for a in self.spec.parameters if isinstance(a, Whole)]
        defaults = [a.otherwise for a in wholes if a.otherwise is not None]
        return [*defaults, *(r.condition for r in self.spec.requirements)]

    @property
    def functions(self) -> list[ScheduleFunction]:
        """All its functions of t."""
        return [f for f in (self.start, self.value, self.momentum) if f is not None]


def needs(schedules: Sequence[CompiledSchedule]) -> dict[str, list[str]]:
    """What the code of some schedules imports: by module, the names."""
    calls = {name for s in schedules for f in s.functions for name in f.calls}
    calls |= {n for s in schedules for e in s.conditions for n in expression_calls(e)}
    text = " ".join(
        annotation
        for s in schedules
        for a in s.arguments
        for annotation in (a.annotation, a.own_annotation)
    )
    return {
        "bisect": sorted(calls & {"bisect_right"}),
        "collections.abc": [n for n in ("Callable", "Sequence") if f"{n}[" in text],
        "math": sorted(calls - {"bisect_right"} - KEEPS_NAN),
        "ieee": sorted(calls & KEEPS_NAN),
        "kinds": sorted({a.kind for s in schedules for a in s.arguments}),
    }


def compile_schedules(specs: Sequence[Schedule]) -> tuple[CompiledSchedule, ...]:
    """Compile the schedules of a file; everything is computed now."""
    found = tuple(map(CompiledSchedule, specs))
    for schedule in found:
        _ = schedule.functions, schedule.equations, schedule.options
    return found
