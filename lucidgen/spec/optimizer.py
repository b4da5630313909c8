"""The optimizer specification: equations, arguments, and the specs derived from others.

Owns `OptimizerSpec`, `variant` and `dialect`. Constructing one never raises for what is wrong
with the mathematics: `check.py` reports that, everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from .changes import changed_equations, left_sides, renamed_states
from .declared import (
    refuse_no_mapping,
    refuse_no_requirement,
    refuse_no_text,
    refuse_no_truth,
    refuse_single,
)
from .draws import Draw, draws_of
from .equation import Eq, Moment, refuse_other
from .errors import Location, Problem, caller
from .names import spelled
from .quantities import (
    Argument,
    Bounds,
    Flag,
    Given,
    Hyper,
    HyperTuple,
    Series,
    keyword_only,
    symbols_of,
    values_in,
)

#: What equations see of a tensor of more than two axes: the matrices of its last two, one matrix of
#: its first axis against all others, or a vector (only exactly two axes are a matrix).
MATRICES = ("last", "first", "exact")

#: The default reading of an optimizer whose spec does not say whose it is.
OWN = "own"


@dataclass(frozen=True)
class Requirement:
    """A constraint across arguments: where the condition fails, the message is the error."""

    condition: Any
    message: str


@dataclass(eq=False)
class OptimizerSpec:
    """An optimizer, as its paper writes it.

    Parameters
    ----------
    name : str
        The class name.
    arguments : tuple of hyper and flag
        The constructor's signature, in order; `keyword_only` stands where `*` would.
    equations : tuple of Eq
        In the paper's order; any order means the same.
    paper : str
        The source, with equation or algorithm number.
    summary : str
        One sentence for the top of the documentation; by default made from the name.
    notes : str
        What a user of the class should know, for its documentation.
    requires : tuple of (condition, message)
        Constraints across arguments; the message is the error where the condition fails.
    defaults : mapping
        Defaults that differ from those the arguments were declared with.
    bounds : mapping
        Legal ranges that differ from those the hyperparameters were declared with, by argument:
        `{"lr": Bounds(), "eps": Bounds(above=0)}`.
    also_called : tuple of str
        Other names of the class, as other libraries spell it.
    ignores : tuple of hyper and flag
        Arguments that are accepted and have no effect (for dialects).
    torch_keys : mapping
        Entries of the groups that torch saves which have no argument here, each with the value that
        means this optimizer: a saved group with another value is refused.
    saved_elsewhere : mapping
        What other libraries save of this optimizer, by library ("torch", "mlx", "keras", "optax",
        "pytorch_optimizer") and then by the library's key, in terms of this spec: a state, as
        `m[t]`, or a multiple of one, as `-lr * b[t]`; `t` for a count of the steps; arguments that
        have another name there, or `()` for what is none here; and the values that settings must
        have, with `where` under a condition. States of the libraries that are named load into this
        reading, which goes on as they would have.
    counts_steps : bool
        Whether the state has a step count although no equation reads t, as torch's may have.
    matrices : {"last", "first", "exact"}
        What equations see of a tensor of more than two axes. Rows lie along the last axis that they
        see, columns along the one before it; states of rows and columns are of these shapes.

        - "last": all its axes. Each matrix of the last two is worked on by itself.
        - "first": one matrix, of the first axis against all others together, as one takes the
          filters of a convolution.
        - "exact": one vector. Only what has exactly two axes is a matrix.

        What has two axes or fewer is seen as it is. `ndim` is the number of axes that equations
        see, `size` that of all elements, `rows` and `columns` are those of each matrix. Where
        `ndim < 2` there is no matrix: a vector counts as one row, a single number has ndim 0.
        Reductions along rows or columns need a case for that: `when(ndim >= 2, ..., ...)`.
    reading : str
        The name of these equations among the dialects of the class: "torch" or "paper" where they
        are that, by default its "own".
    """

    name: str
    arguments: tuple[Any, ...] = ()
    equations: tuple[Eq, ...] = ()
    paper: str = ""
    summary: str = ""
    notes: str = ""
    requires: tuple[tuple[Any, str], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    also_called: tuple[str, ...] = ()
    ignores: tuple[Any, ...] = ()
    torch_keys: Mapping[str, Any] = field(default_factory=dict)
    counts_steps: bool = False
    matrices: str = "last"
    saved_elsewhere: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    location: Location = field(default_factory=lambda: caller(2), compare=False)
    reading: str = OWN
    is_dialect: bool = False
    base: OptimizerSpec | None = None
    problems: tuple[Problem, ...] = ()
    dialects: dict[str, OptimizerSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_no_text(
            name=self.name,
            reading=self.reading,
            paper=self.paper,
            summary=self.summary,
            notes=self.notes,
            matrices=self.matrices,
        )
        refuse_no_truth(counts_steps=self.counts_steps)
        refuse_no_mapping(defaults=self.defaults, bounds=self.bounds, torch_keys=self.torch_keys)
        self.name, self.reading = spelled(self.name), spelled(self.reading)
        self.defaults = {spelled(name): value for name, value in self.defaults.items()}
        self.bounds = {spelled(name): legal for name, legal in self.bounds.items()}
        for field_name in ("arguments", "equations", "requires", "ignores", "also_called"):
            refuse_single(field_name, getattr(self, field_name))
        self.also_called = tuple(map(spelled, self.also_called))
        for equation in self.equations:
            refuse_other(equation)
        for requirement in self.requires:
            refuse_no_requirement(requirement)

    def variant(self, name: str, **changes: Any) -> OptimizerSpec:
        """Another optimizer that says only what it changes.

        Parameters
        ----------
        name : str
            The class name.
        replace, add : tuple of Eq
            Equations that replace those with the same left side, or come after the others.
        drop : tuple of series at an index
            Left sides of equations that go, such as `(v_max[t],)`.
        saved_as : mapping
            Other keys for states of the base, by series: `{v: "sum_sq_grad"}`.
        arguments, paper, summary, notes, requires, defaults, bounds, ignores, torch_keys,
        saved_elsewhere, counts_steps, matrices, reading, also_called
            As in OptimizerSpec. `defaults` and `bounds` come on top of the base's; `arguments`,
            `requires`, `torch_keys`, `counts_steps` and `matrices` replace the base's where given;
            the rest is not inherited, and neither are arguments that only dialects of the base use.
        """
        own = {"arguments": self._own_arguments(), **changes}
        return self._derive(name, own.pop("reading", OWN), caller(), own)

    def dialect(self, reading: str, **changes: Any) -> OptimizerSpec:
        """Another reading of this optimizer under the same class name: `Adam(dialect=reading)`.

        Takes what `variant` takes, and `base`, the spec that the changes start from (by default
        this one). An argument of the class that no equation of the dialect uses must keep its
        default, unless `ignores` lists it.
        """
        base: OptimizerSpec = changes.pop("base", self)
        reading = spelled(reading)
        derived = base._derive(self.name, reading, caller(), {"paper": self.paper, **changes})
        derived.is_dialect = True
        derived.arguments = changes.get("arguments", self.arguments)
        if reading in self.dialects or reading == self.reading:
            derived.problems += (
                Problem(
                    derived.location,
                    f"{self.name} has a dialect {reading!r} already",
                    "Give it another name, or change the first one.",
                ),
            )
        self.dialects[reading] = derived
        return derived

    def _derive(
        self, name: str, reading: str, location: Location, changes: Mapping[str, Any]
    ) -> OptimizerSpec:
        changes = dict(changes)
        equations, problems = changed_equations(
            self.name,
            self.equations,
            location,
            **{key: changes.pop(key) for key in ("replace", "add", "drop") if key in changes},
        )
        renamed, more = renamed_states(equations, changes.pop("saved_as", {}), location)
        return OptimizerSpec(
            name=name,
            reading=reading,
            base=self,
            location=location,
            equations=renamed,
            problems=self.problems + problems + more,
            arguments=changes.pop("arguments", self.arguments),
            requires=changes.pop("requires", self.requires),
            torch_keys=changes.pop("torch_keys", self.torch_keys),
            counts_steps=changes.pop("counts_steps", self.counts_steps),
            matrices=changes.pop("matrices", self.matrices),
            defaults={**self.defaults, **changes.pop("defaults", {})},
            bounds={**self.bounds, **changes.pop("bounds", {})},
            **changes,
        )

    # What follows from the fields

    @property
    def readings(self) -> dict[str, OptimizerSpec]:
        """Every reading of the class by name, its default first."""
        return {self.reading: self, **self.dialects}

    @property
    def parameters(self) -> tuple[Argument, ...]:
        """The arguments without the marker `keyword_only`."""
        return tuple(a for a in self.arguments if isinstance(a, Hyper | HyperTuple | Flag))

    @property
    def hypers(self) -> tuple[Hyper, ...]:
        """The symbols of all hyperparameters, in the order of the arguments."""
        return tuple(
            symbol
            for a in self.parameters
            if isinstance(a, Hyper | HyperTuple)
            for symbol in a.symbols
        )

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags, in the order of the arguments."""
        return tuple(a for a in self.parameters if isinstance(a, Flag))

    @property
    def positional(self) -> int:
        """How many arguments can be given by position."""
        names = list(self.arguments)
        return names.index(keyword_only) if keyword_only in names else len(names)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The constraints across arguments."""
        return tuple(Requirement(sympy.sympify(c), message) for c, message in self.requires)

    def _own_arguments(self) -> tuple[Any, ...]:
        """The arguments without those that only dialects use."""
        foreign = {
            argument
            for argument in self.parameters
            if not self.uses(argument)
            and any(other.uses(argument) for other in self.dialects.values())
        }
        return tuple(a for a in self.arguments if a not in foreign)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the class, its own first."""
        return (self.name, *self.also_called)

    def default(self, argument: Argument) -> Any:
        """The default of an argument in this spec."""
        return self.defaults.get(argument.name, argument.default)

    def legal(self, argument: Hyper | HyperTuple) -> Bounds:
        """The legal range of a hyperparameter in this spec; it holds for each of a tuple."""
        return self.bounds.get(argument.name, argument.symbols[0].bounds)

    def uses(self, argument: Argument) -> bool:
        """Whether any equation reads the argument."""
        symbols = symbols_of(argument)
        return any(not equation.symbols.isdisjoint(symbols) for equation in self.equations)

    def by_moment(self, moment: Moment) -> dict[Series, Eq]:
        """The equations of one kind, by the series that they define."""
        return {e.series: e for e in self.equations if e.series and e.moment == moment}

    @cached_property
    def states(self) -> tuple[Series, ...]:
        """The series that live from step to step, in the order of the equations.

        >>> from lucidgen.specs.adam import Adam
        >>> [str(series) for series in Adam.states]
        ['m', 'v', 'v_max']
        """
        read = {
            at.series
            for equation in self.equations
            if equation.moment != "start"
            for at in values_in(equation.normalised())
            if at.shift == -1
        }
        return tuple(s for s in self.by_moment("t") if s.name != "w" and (s in read or s.keep))

    @cached_property
    def draws(self) -> tuple[Draw, ...]:
        """The random numbers that equations draw; the place of each is its number."""
        return draws_of(self.equations)

    @property
    def takes_seed(self) -> bool:
        """Whether the class has a seed: one of its readings draws random numbers."""
        return any(reading.draws for reading in self.readings.values())

    def number(self, equation: Eq) -> int:
        """The number of an equation in the documentation and in the tags of the generated code."""
        return self.equations.index(equation) + 1

    def numbered(self, number: int) -> Eq:
        """The equation of a number."""
        return self.equations[number - 1]

    # What is otherwise in the parts of a spec (`ir.groups`)

    @property
    def given(self) -> tuple[str, ...]:
        """The numbers that equations read besides, and that are no arguments."""
        read = set().union(*(equation.symbols for equation in self.equations))
        return tuple(sorted(number.name for number in read if isinstance(number, Given)))

    @property
    def is_whole(self) -> bool:
        """Whether these equations are all that changes its states."""
        return True

    @property
    def known_domains(self) -> Mapping[str, Any]:
        """The domains of series that do not follow from these equations alone, by name."""
        return {}

    def begins_with(self, series: Series) -> str:
        """What a series begins with, whose first update is another one: a state, or w."""
        return series.name if series in self.states else "w"

    def __repr__(self) -> str:
        return f"<{self.name} ({self.reading}): {left_sides(self.equations)}>"
