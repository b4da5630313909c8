"""A reading of an optimizer, compiled: the strings and lists that templates make its text of.

Owns `CompiledRule`, and what a rule computes of whole groups before its step. What a module is made
of besides is `module`'s, and how rounds come to be `rounds`'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..ir.groups import Parts, split
from ..ir.guard import Guard
from ..ir.program import Drawn, Output, Program, symbol
from ..operations import Reduction, reduces_matrices
from ..spec.domains import OF_MATRICES, Domain, infer_domains
from ..spec.equation import Eq
from ..spec.names import SEED
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import (
    Argument,
    Flag,
    Hyper,
    HyperTuple,
    Series,
    Shape,
    loss,
    roles_of,
    symbols_of,
)
from ..targets.common.host import HostFunction, host_function
from ..targets.common.target import Target, Unserved
from ..targets.registry import BUILT_IN
from .data_functions import DataFunctions
from .documentation import unsupported, value_text
from .elsewhere import elsewhere_text
from .rule_data import Fields, Record, tuple_text

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
        """The reading in words, or the part of it."""
        return self.called_so or title_of(self.spec, self.main)

    @property
    def heading(self) -> str:
        """The same where a sentence begins."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def shares(self) -> list[CompiledRule]:
        """The rules of what parameters give to sums over their group."""
        return [found.shares for found in self.rounds if found.shares is not None]

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
        others = [t for t in self.targets if t.backend and t.name != "numpy" and self[t.name]]
        return [target for target in others if target.runs(self[target.name])]

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
        own += self._given
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
        if self._given:
            found["given"] = tuple_text(f'"{self.names[name]}"' for name in self._given)
        if self.spec.is_whole and loss.name in self.spec.given:
            found["reads_loss"] = "True"
        if states := self._group_states:
            found["group_states"] = tuple_text(states)
        return found

    @property
    def _given(self) -> tuple[str, ...]:
        """The numbers that functions are given: of the group, and of every step."""
        of_group = self._parts.names if self.rounds else ()
        return (*of_group, *self.spec.given)

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
        reads = {s for let in self.program.lets for s in let.reads}
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
class Values:
    """The function of a round that makes numbers of a group, on the host and in a captured step."""

    name: str
    title: str
    host: HostFunction
    captured: HostFunction


@dataclass(frozen=True)
class CompiledRound:
    """A round: the sums by their names, each with how shares are joined, and its functions.

    `shares` is the rule of what parameters give to the sums, compiled.
    """

    sums: Mapping[str, str]
    shares: CompiledRule | None
    values: Values | None

    @property
    def text(self) -> str:
        """It as `Round(...)`."""
        parts = []
        if self.shares is not None:
            sums = ", ".join(f'"{name}": "{kind}"' for name, kind in self.sums.items())
            parts += [f"sums={{{sums}}}", f"shares={constant(self.shares)}"]
        if self.values is not None:
            parts.append(f"values={self.values.name}")
        return f"Round({', '.join(parts)})"


def constant(shares: CompiledRule) -> str:
    """What the rule of shares is called among a module's data."""
    return f"_{shares.name.upper()}"


def title_of(spec: OptimizerSpec, main: OptimizerSpec) -> str:
    """A reading in words."""
    return main.name if spec is main else f'{main.name} (dialect "{spec.reading}")'


def shape_numbers(spec: OptimizerSpec) -> list[Shape]:
    """The numbers of the shape that the equations of a spec read or compare."""
    return sorted({s for e in spec.equations for s in e.symbols if isinstance(s, Shape)}, key=str)
