"""The optimizer specification: equations, arguments, and the specs derived from others.

Owns `Eq`, `OptimizerSpec`, `variant` and `dialect`. Constructing one never raises for what is wrong
with the mathematics: `check.py` reports that, everything at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import sympy

from .errors import Location, Problem, SpecError, caller, nearest
from .quantities import (
    Argument,
    At,
    Flag,
    Hyper,
    HyperTuple,
    Series,
    keyword_only,
    symbols_of,
    t,
)

Moment = Literal["t", "start", "first"]


class Eq:
    """An equation: `Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t])`.

    Unlike SymPy's, it is never evaluated. `Eq(x[0], ...)` is the start of a state (else 0) and
    `Eq(x[1], ...)` its first update, in which index 1 means t and index 0 means t - 1: that of the
    state, whenever it is created; for w, and for what is no state, the parameter's first step.

    Parameters
    ----------
    left : series at t, 0 or 1
        What the equation defines.
    right : expression
        Its value, of series at t and t - 1, hyperparameters, t, and rational numbers.
    """

    __slots__ = ("left", "location", "right")

    def __init__(self, left: Any, right: Any) -> None:
        self.left: sympy.Expr = sympy.sympify(left)
        self.right: sympy.Expr = sympy.sympify(right)
        if not isinstance(self.right, sympy.Basic) or getattr(self.right, "is_Matrix", False):
            raise TypeError(
                f"the right side of Eq({left}, ...) is {right!r}, which is no expression"
            )
        self.location = caller()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Eq) and (self.left, self.right) == (other.left, other.right)

    def __hash__(self) -> int:
        return hash((self.left, self.right))

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"

    __repr__ = __str__

    @property
    def series(self) -> Series | None:
        """The series that it defines, if the left side is a series at all."""
        return self.left.series if isinstance(self.left, At) else None

    @property
    def moment(self) -> Moment:
        """Whether it holds at every step ("t"), at the start (x[0]) or at the first update."""
        if isinstance(self.left, At) and self.left.index in (0, 1):
            return "start" if self.left.index == 0 else "first"
        return "t"

    @property
    def key(self) -> tuple[str, Moment]:
        """What tells it from the other equations of a spec: its left side."""
        return (self.series.name if self.series else str(self.left)), self.moment

    def normalised(self) -> sympy.Expr:
        """The right side with times relative to t: t and t - 1 only, in a legal equation.

        >>> from lucidgen.spec import series, t, w
        >>> Eq(w[t + 1], w[t] / t).normalised()
        w[t - 1]/(t - 1)
        >>> m = series("m")
        >>> Eq(m[1], m[0] + 1).normalised()
        m[t - 1] + 1
        """
        if self.moment == "start":
            return self.right
        if self.moment == "first":
            return self.right.xreplace(
                {
                    at: at.series[t - 1 + at.index]
                    for at in self.right.atoms(At)
                    if at.index in (0, 1)
                }
            )
        shift = self.left.shift if isinstance(self.left, At) else None
        return _shifted(self.right, -shift) if shift else self.right


def _shifted(expr: sympy.Expr, by: int) -> sympy.Expr:
    """expr with every t replaced by t + by, in indices too."""
    moved = {at: at.series[at.index + by] for at in expr.atoms(At) if at.index.has(t)}
    return expr.xreplace({**moved, t: t + by})


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
    ignores : tuple of hyper and flag
        Arguments that are accepted and have no effect (for dialects).
    torch_keys : mapping
        Entries of the groups that torch saves which have no argument here, each with the value that
        means this optimizer: a saved group with another value is refused.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    equations: tuple[Eq, ...] = ()
    paper: str = ""
    summary: str = ""
    notes: str = ""
    requires: tuple[tuple[Any, str], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    ignores: tuple[Any, ...] = ()
    torch_keys: Mapping[str, Any] = field(default_factory=dict)
    location: Location = field(default_factory=lambda: caller(2), compare=False)
    reading: str = "torch"
    is_dialect: bool = False
    base: OptimizerSpec | None = None
    problems: tuple[Problem, ...] = ()
    dialects: dict[str, OptimizerSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for field_name in ("arguments", "equations", "requires", "ignores"):
            _refuse_single(field_name, getattr(self, field_name))
        for equation in self.equations:
            _refuse_other(equation)

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
        arguments, paper, summary, notes, requires, defaults, ignores, torch_keys
            As in OptimizerSpec. `defaults` come on top of the base's; `arguments`, `requires` and
            `torch_keys` replace the base's where given; the rest is not inherited.
        """
        return self._derive(name, self.reading, caller(), changes)

    def dialect(self, reading: str, **changes: Any) -> OptimizerSpec:
        """Another reading of this optimizer under the same class name: `Adam(dialect=reading)`.

        Takes what `variant` takes, and `base`, the spec that the changes start from (by default
        this one). An argument of the class that no equation of the dialect uses must keep its
        default, unless `ignores` lists it.
        """
        base: OptimizerSpec = changes.pop("base", self)
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
        equations, problems = self._changed_equations(
            changes.pop("replace", ()), changes.pop("add", ()), changes.pop("drop", ()), location
        )
        return OptimizerSpec(
            name=name,
            reading=reading,
            base=self,
            location=location,
            equations=equations,
            problems=self.problems + problems,
            arguments=changes.pop("arguments", self.arguments),
            requires=changes.pop("requires", self.requires),
            torch_keys=changes.pop("torch_keys", self.torch_keys),
            defaults={**self.defaults, **changes.pop("defaults", {})},
            **changes,
        )

    def _changed_equations(
        self, replace: Iterable[Eq], add: Iterable[Eq], drop: Iterable[Any], location: Location
    ) -> tuple[tuple[Eq, ...], tuple[Problem, ...]]:
        for field_name, value in (("replace", replace), ("add", add), ("drop", drop)):
            _refuse_single(field_name, value)
        for equation in (*replace, *add):
            _refuse_other(equation)
        problems = []
        equations = {equation.key: equation for equation in self.equations}
        for left in drop:
            key = Eq(left, 0).key
            if equations.pop(key, None) is None:
                known = nearest(key[0], [name for name, _ in equations])
                problems.append(
                    Problem(
                        location,
                        f"cannot drop {left}: {self.name} has no such equation",
                        f"Its equations define {_lefts(equations.values())}{known}.",
                    )
                )
        for equation in replace:
            if equation.key not in equations:
                known = nearest(equation.key[0], [name for name, _ in equations])
                problems.append(
                    Problem(
                        equation.location,
                        f"cannot replace {equation.left}: {self.name} has no such equation",
                        f"Put it under `add`, or replace one of "
                        f"{_lefts(equations.values())}{known}.",
                        str(equation),
                    )
                )
            equations[equation.key] = equation
        for equation in add:
            if equation.key in equations:
                problems.append(
                    Problem(
                        equation.location,
                        f"cannot add {equation.left}: {self.name} defines it already",
                        "Put the equation under `replace`.",
                        str(equation),
                    )
                )
            equations[equation.key] = equation
        return tuple(equations.values()), tuple(problems)

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

    def default(self, argument: Argument) -> Any:
        """The default of an argument in this spec."""
        return self.defaults.get(argument.name, argument.default)

    def uses(self, argument: Argument) -> bool:
        """Whether any equation reads the argument."""
        symbols = set(symbols_of(argument))
        return any(equation.right.free_symbols & symbols for equation in self.equations)

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
            for at in equation.normalised().atoms(At)
            if at.shift == -1
        }
        return tuple(s for s in self.by_moment("t") if s.name != "w" and (s in read or s.keep))

    def number(self, equation: Eq) -> int:
        """The number of an equation in the documentation and in the tags of the generated code."""
        return self.equations.index(equation) + 1

    def check(self) -> None:
        """Raise SpecError with everything that is wrong with the spec or one of its dialects."""
        from .check import problems_of

        problems = [p for spec in self.readings.values() for p in problems_of(spec)]
        if problems:
            raise SpecError(problems)

    def __repr__(self) -> str:
        return f"<{self.name} ({self.reading}): {_lefts(self.equations)}>"


def _lefts(equations: Iterable[Eq]) -> str:
    return ", ".join(str(equation.left) for equation in equations)


def _refuse_single(name: str, value: Any) -> None:
    """Refuse what is no tuple, such as an equation in parentheses without a comma."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"`{name}` must be a tuple; for a single entry write (x,) with a comma")


def _refuse_other(equation: Any) -> None:
    """Refuse what is no equation of ours."""
    if not isinstance(equation, Eq):
        raise TypeError(
            f"{equation!r} is no equation; write Eq(left, right) with Eq from lucidgen.spec, since "
            "SymPy's own evaluates"
        )
