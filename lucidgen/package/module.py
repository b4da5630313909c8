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
from typing import Any

from ..ir.groups import Parts, Round, split
from ..ir.guard import Guard
from ..ir.lower import lower, lower_rounds
from ..ir.program import UNBOUNDED, Drawn, Output, Program, symbol
from ..operations import Reduction, reduces_matrices
from ..passes import optimize
from ..spec.domains import OF_MATRICES, Domain, infer_domains
from ..spec.equation import Eq
from ..spec.loader import SpecFile
from ..spec.names import SEED
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import (
    Argument,
    Flag,
    Hyper,
    HyperTuple,
    Series,
    Shape,
    roles_of,
    symbols_of,
)
from ..targets import registry
from ..targets.common.host import WORDS, HostFunction, host_function
from ..targets.common.names import in_ascii, renamed
from ..targets.common.target import Target, Unserved
from ..targets.registry import BUILT_IN
from .data_functions import DataFunctions
from .documentation import ClassDoc, class_doc, unsupported, value_text
from .elsewhere import elsewhere_text
from .rounds import CompiledRound, Values, constant, values_of
from .rule_data import Fields, Record, RuleData, tuple_text
from .scheduler import CompiledSchedule, compile_schedules, needs

LIMITS = ("at_least", "above", "at_most", "below")


@dataclass(frozen=True)
class CompiledRule:
    """One reading of an optimizer, compiled for all targets.

    `program` has the names that every function can have which the runtime calls by the names of its
    parameters; `names` tells them by the author's. A reading that computes what an earlier one, its
    `twin`, computes shares that one's functions, and their `name`. `rounds` are what is computed of
    a whole group before; their shares are rules, too.
    """

    spec: OptimizerSpec
    main: OptimizerSpec
    program: Program
    names: Mapping[str, str]
    name: str
    targets: tuple[Target, ...]
    twin: CompiledRule | None = None
    rounds: tuple[CompiledRound, ...] = ()
    called_so: str = ""

    @property
    def title(self) -> str:
        """The reading in words, or what of it these are the shares of."""
        return self.called_so or title_of(self.spec, self.main)

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

    @property
    def _group_states(self) -> list[str]:
        """`State(...)` for each number that a group keeps."""
        found = []
        domains = infer_domains(self.spec) if self.rounds else {}
        for series in self.spec.states:
            if domains.get(series.name) is Domain.GROUP:
                name = f'"{self.names[series.name]}"'
                fields = {"name": name, "key": f'"{series.saved_as}"', "domain": '"group"'}
                fields["before"] = f'"{self.names[self._parts.before[series]]}"'
                fields |= self._beginning(series)
                found.append(f"State({', '.join(f'{k}={text}' for k, text in fields.items())})")
        return found

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
        return fields | self._beginning(series)

    def _beginning(self, series: Series) -> dict[str, str]:
        """How a state begins."""
        fields = {}
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
        own += self._parts.names if self.rounds else self.spec.given
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
        if self.rounds:
            found["rounds"] = tuple_text(r.text for r in self.rounds)
            found["given"] = tuple_text(f'"{self.names[name]}"' for name in self._parts.names)
        if states := self._group_states:
            found["group_states"] = tuple_text(states)
        return found

    @cached_property
    def _parts(self) -> Parts:
        """The parts of a reading that reduces over groups."""
        parts = split(self.spec)
        assert parts is not None
        return parts

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
        """The first equation that reduces along rows or columns, for each choice of shapes.

        Or that keeps what has been reduced so, for a program that only reads it.
        """
        found: dict[str, Eq] = {}
        for let in self.program.body:
            if reduces_matrices(let.value):
                equations = [self.spec.numbered(number) for number in let.note]
                reducing = (e for e in equations if reduces_matrices(e.right))
                found.setdefault(self._where(let.guard), next(reducing, equations[0]))
        of_matrices = (o for o in self.program.outputs if o.domain in OF_MATRICES)
        for output in of_matrices if not found else ():
            series = next(s for s in self.spec.states if self.names[s.name] == output.after.name)
            found.setdefault(self._where(output.live), self.spec.by_moment("t")[series])
        return found

    def _where(self, guard: Guard) -> str:
        """The choices of shapes in a guard, as a condition."""
        shapes = dict(self.program.shapes)
        for name in guard.support:
            if name not in shapes:
                guard = guard.given(name, True) | guard.given(name, False)
        return "True" if guard.is_always else _condition(guard)

    @cached_property
    def _functions(self) -> DataFunctions:
        return DataFunctions(self.program, self.names)

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
        of = self.name if self.called_so else self.main.name
        return Record(of, self.name, self.dialect, *parts, others)

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
        for rule in self._all:
            _ = rule.hypers, rule.flags, rule.states, rule.options

    @property
    def own(self) -> list[CompiledRule]:
        """The rules that have functions of their own; before each, those of its shares."""
        return [part for rule in self.rules if rule.is_own for part in (*_shares(rule), rule)]

    @property
    def shares(self) -> dict[str, CompiledRule]:
        """The rules of shares, by what they are called among the data."""
        found = (part for rule in self.rules if rule.is_own for part in _shares(rule))
        return {constant(part): part for part in found}

    @property
    def values(self) -> list[Values]:
        """The functions that make numbers of groups."""
        return [r.values for rule in self.rules if rule.is_own for r in rule.rounds if r.values]

    @property
    def _all(self) -> list[CompiledRule]:
        return [*self.shares.values(), *self.rules]

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
        return RuleData((rule.record for rule in self._all), modules)

    @property
    def data_classes(self) -> list[str]:
        """The classes of the runtime that the rules' data is made of."""
        used = {"Flag", "Rule"}
        used |= {"Hyper"} if any(r.hypers for r in self._all) else set()
        used |= {"State"} if any(r.states or r._group_states for r in self._all) else set()
        used |= {"Round"} if any(r.rounds for r in self.rules) else set()
        used |= {"Draw"} if any(r.program.drawn for r in self.rules) else set()
        used |= {"Elsewhere"} if any(r.spec.saved_elsewhere for r in self.rules) else set()
        return sorted(used)

    @property
    def host_imports(self) -> list[str]:
        """The functions that scalar arithmetic and the rules' data call."""
        scalars = {name for r in self.own if r.host for name in r.host.imports}
        scalars |= {name for values in self.values for name in values.host.imports}
        return sorted(scalars.union(*(rule.called for rule in self._all)))

    @property
    def captured_imports(self) -> set[str]:
        """The functions that numbers of groups call in a captured step."""
        return {name for values in self.values for name in values.captured.imports}

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
            parts = split(spec)
            program, names = renamed(
                as_written, taken.free, [*own, *(parts.names if parts else ())]
            )
            name = main.name.lower() if spec is main else f"{main.name.lower()}_{spec.reading}"
            name = in_ascii(name)  # C++ has no other letters everywhere
            rounds = () if parts is None else _rounds(parts, name, title_of(spec, main), targets)
            twin = next((r for r in rules[first:] if r.is_own and _same(r, program, rounds)), None)
            name, rounds = (twin.name, twin.rounds) if twin else (name, rounds)
            rules.append(CompiledRule(spec, main, program, names, name, targets, twin, rounds))
    schedules = compile_schedules(file.schedules)
    return CompiledModule(file, tuple(rules), tuple(classes), targets, schedules)


def shape_numbers(spec: OptimizerSpec) -> list[Shape]:
    """The numbers of the shape that the equations of a spec read or compare."""
    return sorted({s for e in spec.equations for s in e.right.atoms(Shape)}, key=str)


def title_of(spec: OptimizerSpec, main: OptimizerSpec) -> str:
    """A reading in words."""
    return main.name if spec is main else f'{main.name} (dialect "{spec.reading}")'


def _shares(rule: CompiledRule) -> list[CompiledRule]:
    return [r.shares for r in rule.rounds if r.shares is not None]


def _rounds(
    parts: Parts, name: str, title: str, targets: tuple[Target, ...]
) -> tuple[CompiledRound, ...]:
    """What a reading computes of whole groups, for all targets."""
    taken = reduce(or_, (target.words for target in targets), WORDS)
    found = []
    all_shares = [found for found in parts.rounds if found.shares]
    all_values = [found for found in parts.rounds if found.values]
    for lowered in lower_rounds(parts):
        shares, spec = None, lowered.round.shares
        if lowered.shares is not None and spec is not None:
            own = [s.name for s in (*spec.hypers, *spec.flags, *shape_numbers(spec))]
            program, names = renamed(optimize(lowered.shares), taken.free, [*own, *spec.given])
            called, said = (
                _numbered(f"{name}_shares", lowered.round, all_shares),
                f"the sums of {title}",
            )
            shares = CompiledRule(spec, spec, program, names, called, targets, called_so=said)
        sums = {
            (shares.names if shares else {}).get(s.name, s.name): s.kind for s in lowered.round.sums
        }
        called = _numbered(f"{name}_group", lowered.round, all_values)
        values = values_of(lowered, called, title, taken)
        found.append(CompiledRound(sums, shares, values))
    return tuple(found)


def _numbered(name: str, of: Round, among: list[Round]) -> str:
    """A name, with a number where there are several."""
    return f"{name}_{among.index(of) + 1}" if len(among) > 1 else name


def _same(rule: CompiledRule, program: Program, rounds: tuple[CompiledRound, ...]) -> bool:
    """Whether a rule has a program and rounds that compute the same."""

    def content(program: Program) -> tuple[object, ...]:
        lets = tuple((let.target, let.value, let.guard) for let in program.lets)
        # What bounds have allowed shows in the lets.
        inputs = tuple(dataclasses.replace(i, bounds=UNBOUNDED) for i in program.inputs)
        return program.choices, inputs, lets, program.outputs

    def of_round(found: CompiledRound) -> tuple[object, ...]:
        values = found.values and (found.values.host, found.values.captured)
        return found.sums, found.shares and content(found.shares.program), values

    return content(rule.program) == content(program) and [*map(of_round, rule.rounds)] == [
        *map(of_round, rounds)
    ]
