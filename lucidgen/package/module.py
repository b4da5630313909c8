"""Spec files, compiled: every reading of every optimizer, for all targets.

Owns what a generated module is made of, as strings and lists. How it is laid out is the templates'
business, which files there are `render`'s.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any, ClassVar

import sympy

from ..ir.choices import choice, with_choices
from ..ir.guard import Guard
from ..ir.lower import lower
from ..ir.program import UNBOUNDED, Drawn, Output, Program, symbol
from ..operations import Reduction, reduces_matrices
from ..passes import optimize
from ..spec.domains import OF_MATRICES, Domain
from ..spec.equation import Eq
from ..spec.loader import SpecFile
from ..spec.names import SEED
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import Argument, At, Flag, Hyper, HyperTuple, Shape, roles_of, symbols_of
from ..targets import registry
from ..targets.common.cases import compared_with_special
from ..targets.common.host import WORDS, HostFunction, HostPrinter, host_function
from ..targets.common.names import in_ascii, renamed
from ..targets.common.printer import INFIX
from ..targets.common.target import Target, Unserved
from ..targets.common.trees import tree_of
from ..targets.registry import BUILT_IN
from .documentation import ClassDoc, class_doc, unsupported, value_text
from .elsewhere import elsewhere_text
from .rule_data import Fields, Record, RuleData, tuple_text
from .scheduler import CompiledSchedule, compile_schedules, needs

LIMITS = ("at_least", "above", "at_most", "below")


@dataclass(frozen=True)
class CompiledRule:
    """One reading of an optimizer, compiled for all targets.

    `program` has the names that every function can have which the runtime calls by the names of its
    parameters; `names` tells them by the author's. A reading that computes what an earlier one, its
    `twin`, computes shares that one's functions, and their `name`.
    """

    spec: OptimizerSpec
    main: OptimizerSpec
    program: Program
    names: Mapping[str, str]
    name: str
    targets: tuple[Target, ...]
    twin: CompiledRule | None = None

    @property
    def title(self) -> str:
        """The reading in words."""
        default = self.spec is self.main
        return self.main.name if default else f'{self.main.name} (dialect "{self.spec.reading}")'

    @property
    def is_own(self) -> bool:
        """Whether it has functions of its own."""
        return self.twin is None

    @property
    def dialect(self) -> str:
        """The reading's name."""
        return self.spec.reading

    @cached_property
    def host(self) -> HostFunction | None:
        """The scalar arithmetic, if there is any."""
        function = host_function(self.program)
        return function if function.results else None

    @cached_property
    def _codes(self) -> dict[str, Any]:
        """What each target makes of the program, or the reason why it cannot serve it."""
        if self.twin is not None:
            return self.twin._codes
        return {target.name: self._code(target) for target in self.targets}

    def _code(self, target: Target) -> Any:
        try:
            return target.compile(self.program, self.name)
        except Unserved as reason:
            return reason
        except Exception as error:
            if target.name in BUILT_IN:
                raise
            raise RuntimeError(
                f"the target {target.name} fails for {self.title} "
                f"({type(error).__name__}: {error}); its package must be mended"
            ) from error

    def __getitem__(self, target: str) -> Any:
        """What a target makes of the rule; None if it cannot serve it. Templates use this."""
        found = self._codes.get(target)
        return None if isinstance(found, Unserved) else found

    def without(self, target: str) -> str:
        """Why a target cannot serve the rule; empty if it can."""
        found = self._codes[target]
        return str(found) if isinstance(found, Unserved) else ""

    @property
    def run(self) -> list[Target]:
        """The targets that the runtime may run besides NumPy, which serves every rule."""
        return [t for t in self.targets if t.backend and t.name != "numpy" and self[t.name]]

    # Data of the rule

    @property
    def hypers(self) -> list[Fields]:
        """What `Hyper(...)` is given, for each hyperparameter."""
        found: list[Fields] = []
        roles = {symbol: role for role, symbol in roles_of(self._supported).items()}
        for argument in self._supported:
            if isinstance(argument, Hyper | HyperTuple):
                fields = {
                    "name": f'"{argument.name}"',
                    "default": value_text(self.spec.default(argument)),
                    "symbols": tuple_text(f'"{s.name}"' for s in argument.symbols),
                }
                first = argument.symbols[0]
                if first in roles:
                    fields["role"] = f'"{roles[first]}"'
                legal = self.spec.legal(argument)
                limits = {k: getattr(legal, k) for k in LIMITS} | {"special": first.special}
                fields |= {k: value_text(v) for k, v in limits.items() if v is not None}
                found.append(fields)
        return found

    @property
    def flags(self) -> list[Fields]:
        """What `Flag(...)` is given, for each flag, `maximize` among them."""
        flags = {f.name: self.spec.default(f) for f in self._supported if isinstance(f, Flag)}
        defaults = {**flags, "maximize": False}
        return [
            {"name": f'"{n}"', **({"default": "True"} if on else {})} for n, on in defaults.items()
        ]

    @property
    def _supported(self) -> list[Argument]:
        """The arguments of the class that this reading has."""
        missing = unsupported(self.main, self.spec)
        return [a for a in self.spec.parameters if a.name not in missing]

    @property
    def states(self) -> list[Fields]:
        """What `State(...)` is given, for each state."""
        return [self._state(output) for output in self.program.outputs[1:]]

    def _state(self, output: Output) -> Fields:
        name = output.after.name
        series = next(s for s in self.spec.states if self.names.get(s.name) == name)
        fields = {
            "name": f'"{name}"',
            "key": f'"{series.saved_as}"',
        }
        if output.domain is not Domain.ELEMENT:
            fields["domain"] = f'"{output.domain.value}"'
        if output.domain in OF_MATRICES and self.spec.matrices != "last":
            fields["matrices"] = f'"{self.spec.matrices}"'
        if not output.live.is_always:
            fields["live"] = f"lambda on: {_condition(output.live)}"
        start = self.spec.by_moment("start").get(series)
        if start is not None:
            fields["start"] = self._functions.start(start.right)
        if series in self.spec.by_moment("first"):
            fields["first"] = "True"
        return fields

    @property
    def options(self) -> dict[str, str]:
        """The other arguments of `Rule(...)`, those at their defaults left out."""
        found = {}
        if self.program.drawn:
            found["draws"] = tuple_text(map(_draw, self.program.drawn))
        ignored = [a.name for a in self.spec.ignores]
        if self.main.takes_seed and not self.program.drawn:
            ignored.append(SEED)
        if ignored:
            found["ignored"] = tuple_text(f'"{name}"' for name in ignored)
        missing = unsupported(self.main, self.spec)
        if missing:
            defaults = {a.name: value_text(self.main.default(a)) for a in self.main.parameters}
            fixed = (f'"{name}": {defaults[name]}' for name in missing)
            found["unsupported"] = f"{{{', '.join(fixed)}}}"
        if self.spec.requires:
            found["requires"] = tuple_text(
                f"({self._functions.condition(r.condition)}, "
                f"{json.dumps(r.message, ensure_ascii=False)})"
                for r in self.spec.requirements
            )
        if self.spec.torch_keys:
            found["torch_keys"] = repr(dict(self.spec.torch_keys))
        if self.spec.saved_elsewhere:
            functions = self._functions
            text = elsewhere_text(self.spec, functions.number, functions.condition)
            found["saved_elsewhere"] = text
        own = [s.name for a in self._supported for s in symbols_of(a)]
        own += [s.name for s in shape_numbers(self.spec)]
        if others := {name: self.names[name] for name in own if self.names[name] != name}:
            found["renamed"] = repr(others)
        if not self._uses_step:
            found["uses_step"] = "False"
        if not self._is_elementwise:
            found["elementwise"] = "False"
        found |= self._shape_options
        if self.host:
            found["scalars"] = f"{self.name}_scalars"
        if self["numpy"].scratch:
            found["scratch"] = str(self["numpy"].scratch)
        return found

    @property
    def _shape_options(self) -> dict[str, str]:
        """What the rule says of shapes."""
        found, text = {}, self._functions.choice
        if self.spec.matrices != "last":
            found["matrices"] = f'"{self.spec.matrices}"'
        if self.program.shapes:
            choices = (f'"{name}": {text(asked)}' for name, asked in self.program.shapes)
            found["shapes"] = f"{{{', '.join(choices)}}}"
        names = {new: name for name, new in self.names.items()}
        reads = [names[i.symbol.name] for i in self.program.input("shape")]
        if reads:
            found["reads"] = tuple_text(f'"{name}"' for name in reads)
        equations = self._matrix_equations()
        if equations:
            found["shaped"] = "True"
            found["matrix_equations"] = tuple_text(
                f"({json.dumps(str(equation), ensure_ascii=False)}, lambda on: {where})"
                for where, equation in equations.items()
            )
        return found

    def _matrix_equations(self) -> dict[str, Eq]:
        """The first equation that reduces along rows or columns, for each choice of shapes."""
        found: dict[str, Eq] = {}
        shapes = dict(self.program.shapes)
        for let in self.program.body:
            if not reduces_matrices(let.value):
                continue
            guard = let.guard
            for name in guard.support:
                if name not in shapes:
                    guard = guard.given(name, True) | guard.given(name, False)
            where = "True" if guard.is_always else _condition(guard)
            equations = [self.spec.equations[number - 1] for number in let.note]
            reducing = (e for e in equations if reduces_matrices(e.right))
            found.setdefault(where, next(reducing, equations[0]))
        return found

    @cached_property
    def _functions(self) -> _Functions:
        return _Functions(self.program, self.names)

    @property
    def called(self) -> set[str]:
        """The functions that all of that calls."""
        _ = self.record
        return self._functions.called

    @cached_property
    def record(self) -> Record:
        """All of that."""
        others = {**self.options, **self.steps}
        parts = self.hypers, self.flags, self.states
        return Record(self.main.name, self.name, self.dialect, *parts, others)

    @property
    def steps(self) -> Fields:
        """Where its steps are, as arguments of `Rule(...)`."""
        found = {"numpy": f"_numpy.{self.name}_step"}
        if self.run:
            targets = (f'"{target.name}": _{target.name.upper()}' for target in self.run)
            found["targets"] = f"{{{', '.join(targets)}}}"
        return found

    @property
    def _uses_step(self) -> bool:
        reads = {s for let in self.program.lets for s in let.value.free_symbols}
        return self.spec.counts_steps or bool(self.program.drawn) or symbol("t") in reads

    @property
    def _is_elementwise(self) -> bool:
        return not any(let.value.has(Reduction) for let in self.program.body)


class _Functions:
    """Expressions over arguments as functions in Python, and what these call.

    `names` has what the functions call a quantity of the author's.
    """

    def __init__(self, program: Program, names: Mapping[str, str]) -> None:
        self.program, self.names = program, names
        self.called: set[str] = set()

    def number(self, value: sympy.Expr) -> str:
        """A number as a function of the hyperparameters that it reads."""
        return self._function(value, HostPrinter)

    def condition(self, condition: sympy.Basic) -> str:
        """A condition as a function of the arguments that it reads."""
        return self._function(compared_with_special(condition), _Requirement)

    def choice(self, condition: sympy.Basic) -> str:
        """A choice of the shape as a function of its numbers and of the arguments."""
        return self._function(with_choices(condition), _Requirement)

    def start(self, value: sympy.Expr) -> str:
        """The start of a state as a function of what it reads; `w` is the parameter."""
        return self._function(
            with_choices(value.xreplace(dict.fromkeys(value.atoms(At), symbol("w")))), _Start
        )

    def _function(self, value: sympy.Basic, printer: type[HostPrinter]) -> str:
        value = value.xreplace(
            {
                s: (symbol if s.is_real else choice)(self.names.get(s.name, s.name))
                for s in value.free_symbols
            }
        )
        parameters = ", ".join(sorted(s.name for s in value.free_symbols))
        own, tree = printer({}, self.program), tree_of(value)
        self.called |= own.functions_in(tree)
        return f"lambda{' ' * bool(parameters)}{parameters}: {own.print(tree)}"


class _Start(HostPrinter):
    """Starts of states, of numbers and of arrays: conditions are joined by what both have."""

    infix: ClassVar[Mapping[str, tuple[str, int]]] = {**INFIX, "and": ("&", 5), "or": ("|", 5)}
    texts: ClassVar[Mapping[str, str]] = {"not": "logical_not"}


class _Requirement(HostPrinter):
    """Conditions on arguments; `not` is an operator here."""

    def print_not(self, operand: Any) -> tuple[str, int]:
        """`not x`."""
        return f"not {self.wrapped(operand, 4)}", 3


def _draw(of: Drawn) -> str:
    """`Draw(...)` of a random number."""
    number = f", number={of.number}" if of.number else ""
    live = "" if of.live.is_always else f", live=lambda on: {_condition(of.live)}"
    return f'Draw(name="{of.symbol.name}", kind="{of.kind}"{number}{live})'


def _condition(guard: Guard) -> str:
    """A guard over `on`, the mapping of static choices."""
    names = re.escape("|".join(guard.support)).replace(r"\|", "|")
    return re.sub(rf"\b({names})\b", r'on["\1"]', str(guard))


@dataclass(frozen=True)
class CompiledModule:
    """A spec file, compiled: its classes, the rules of each, and its schedules."""

    file: SpecFile
    rules: tuple[CompiledRule, ...]
    classes: tuple[ClassDoc, ...]
    targets: tuple[Target, ...]
    schedules: tuple[CompiledSchedule, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of everything that it defines."""
        return [c.name for c in self.classes] + [s.name for s in self.schedules]

    def rules_of(self, doc: ClassDoc) -> list[CompiledRule]:
        """The rules of one class, its default first."""
        return [rule for rule in self.rules if rule.main.name == doc.name]

    def complete(self) -> None:
        """Compute everything now, so that nothing can fail while files are rendered."""
        for rule in self.own:
            _ = rule.host, rule.run
        for rule in self.rules:
            _ = rule.hypers, rule.flags, rule.states, rule.options

    @property
    def own(self) -> list[CompiledRule]:
        """The rules that have functions of their own."""
        return [rule for rule in self.rules if rule.is_own]

    @property
    def run(self) -> list[Target]:
        """The targets that the runtime may run for any of the rules."""
        return [t for t in self.targets if any(t in rule.run for rule in self.own)]

    def served(self, target: Target) -> list[CompiledRule]:
        """The rules that have code of their own in a target."""
        return [rule for rule in self.own if rule[target.name]]

    @cached_property
    def rule_data(self) -> RuleData:
        """The data of the rules, as text."""
        modules = ("_numpy", *(f"_{target.name.upper()}" for target in self.run))
        return RuleData((rule.record for rule in self.rules), modules)

    @property
    def data_classes(self) -> list[str]:
        """The classes of the runtime that the rules' data is made of."""
        used = {"Flag", "Rule"}
        used |= {"Hyper"} if any(r.hypers for r in self.rules) else set()
        used |= {"State"} if any(r.states for r in self.rules) else set()
        used |= {"Draw"} if any(r.program.drawn for r in self.rules) else set()
        used |= {"Elsewhere"} if any(r.spec.saved_elsewhere for r in self.rules) else set()
        return sorted(used)

    @property
    def host_imports(self) -> list[str]:
        """The functions that scalar arithmetic and the rules' data call."""
        scalars = {name for r in self.own if r.host for name in r.host.imports}
        return sorted(scalars.union(*(rule.called for rule in self.rules)))

    @property
    def schedule_needs(self) -> dict[str, list[str]]:
        """What the code of the schedules imports: by module, the names."""
        return needs(self.schedules)


def compile_file(file: SpecFile, of: Iterable[str] | None = None) -> CompiledModule:
    """Compile every optimizer of a spec file in every reading, and every schedule.

    Parameters
    ----------
    file : SpecFile
        What was read.
    of : iterable of str, optional
        The targets to compile for, NumPy among them; all by default.
    """
    targets = registry.targets(of)
    taken = reduce(or_, (target.words for target in targets), WORDS)
    rules: list[CompiledRule] = []
    classes = []
    for main in file.specs:
        first = len(rules)
        for spec in main.readings.values():
            as_written = optimize(lower(spec))
            if spec is main:
                classes.append(class_doc(main, as_written))
            own = [s.name for s in (*spec.hypers, *spec.flags, *shape_numbers(spec))]
            program, names = renamed(as_written, taken.free, own)
            name = main.name.lower() if spec is main else f"{main.name.lower()}_{spec.reading}"
            name = in_ascii(name)  # C++ has no other letters everywhere
            twin = next((r for r in rules[first:] if r.is_own and _same(r.program, program)), None)
            name = twin.name if twin else name
            rules.append(CompiledRule(spec, main, program, names, name, targets, twin))
    schedules = compile_schedules(file.schedules)
    return CompiledModule(file, tuple(rules), tuple(classes), targets, schedules)


def shape_numbers(spec: OptimizerSpec) -> list[Shape]:
    """The numbers of the shape that the equations of a spec read or compare."""
    return sorted({s for e in spec.equations for s in e.right.atoms(Shape)}, key=str)


def _same(a: Program, b: Program) -> bool:
    """Whether two programs compute the same, whatever their equations are numbered."""

    def content(program: Program) -> tuple[object, ...]:
        lets = tuple((let.target, let.value, let.guard) for let in program.lets)
        # What bounds have allowed shows in the lets.
        inputs = tuple(dataclasses.replace(i, bounds=UNBOUNDED) for i in program.inputs)
        return program.choices, inputs, lets, program.outputs

    return content(a) == content(b)
