"""Spec files, compiled: every reading of every optimizer, for all targets.

Owns what a generated module has besides its rules (`rule`), and which of these compute the same.
How it is laid out is the templates' business, which files there are `render`'s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

from ..ir.groups import split
from ..ir.lower import lower
from ..ir.program import UNBOUNDED, Program
from ..passes import optimize
from ..spec.loader import SpecFile
from ..targets import registry
from ..targets.common.host import WORDS
from ..targets.common.names import in_ascii, renamed
from ..targets.common.target import Target
from .documentation import ClassDoc, class_doc
from .rounds import compiled_rounds
from .rule import CompiledRound, CompiledRule, Values, constant, shape_numbers, title_of
from .rule_data import RuleData
from .scheduler import CompiledSchedule, compile_schedules, needs


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
        return [part for rule in self.rules if rule.is_own for part in (*rule.shares, rule)]

    @property
    def shares(self) -> dict[str, CompiledRule]:
        """The rules of shares, by what they are called among the data."""
        found = (part for rule in self.rules if rule.is_own for part in rule.shares)
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
            own += [*(parts.names if parts else ()), *spec.given]
            program, names = renamed(as_written, taken.free, own)
            name = main.name.lower() if spec is main else f"{main.name.lower()}_{spec.reading}"
            name = in_ascii(name)  # C++ has no other letters everywhere
            rounds = compiled_rounds(spec, name, title_of(spec, main), targets)
            twin = next((r for r in rules[first:] if r.is_own and _same(r, program, rounds)), None)
            name, rounds = (twin.name, twin.rounds) if twin else (name, rounds)
            rules.append(CompiledRule(spec, main, program, names, name, targets, twin, rounds))
    schedules = compile_schedules(file.schedules)
    return CompiledModule(file, tuple(rules), tuple(classes), targets, schedules)


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
