"""The schedule specification: a hyperparameter's value as a closed form in t.

Owns `Schedule`, its quantities (`t`, `base`, `value`, `momentum`) and the kinds of arguments that
only schedules have. `check_schedule.py` says what is wrong with one.

The t of a schedule is not that of an optimizer: it counts the scheduler's steps and is 0 at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from ..operations import Applied, Passed
from .declared import (
    refuse_no_mapping,
    refuse_no_requirement,
    refuse_no_text,
    refuse_no_truth,
    refuse_single,
)
from .equation import Eq, refuse_other
from .errors import Location, caller, nearest
from .names import spelled
from .optimizer import Requirement
from .quantities import At, Bounds, Flag, Hyper, Series, keyword_only

#: How many steps the scheduler has made: 0 when it is constructed. A fraction is legal.
t = sympy.Symbol("t", nonnegative=True)

#: The value that a parameter group starts with; an equation may say so itself: Eq(base, ...).
base = sympy.Symbol("base", real=True)

#: What is written to the groups: `value[t]`.
value = Series("value", saved_as="value")

#: What is written to the groups' momentum, or first beta, if the flag `cycle_momentum` is set.
momentum = Series("momentum", saved_as="momentum")

#: The quantities that a schedule may write.
OUTPUTS = (value, momentum)


class _Required:
    """The default of an argument that has none."""

    def __repr__(self) -> str:
        return "required"


#: Given as the default of an argument that the caller must give.
required = _Required()


class Whole(Hyper):
    """A whole-number argument; see `whole`."""

    otherwise: sympy.Expr | None

    @property
    def is_optional(self) -> bool:
        """Whether None stands for something else."""
        return self.default is None


class Points(sympy.Symbol):  # type: ignore[misc]
    """An argument that is an increasing list of steps; see `points`."""

    default: Any
    doc: str
    location: Location

    def __new__(cls, name: str, doc: str, location: Location) -> Points:
        self: Points = sympy.Symbol.__xnew__(cls, name)
        self.default, self.doc, self.location = required, doc, location
        return self

    def passed(self, time: Any) -> sympy.Expr:
        """How many of the points are not above this time."""
        return Passed(self, sympy.sympify(time))


class Condition(Flag):
    """A condition on an argument that is no number; its name is its text in Python."""

    argument: str

    def __new__(cls, text: str, argument: str, location: Location) -> Condition:
        self: Condition = super().__new__(cls, text, None, "", location)
        self.argument = argument
        return self


@dataclass(frozen=True)
class Choice:
    """An argument that is one of some words; see `choice`."""

    name: str
    values: tuple[str, ...]
    doc: str
    location: Location = field(compare=False)

    @property
    def default(self) -> str:
        """The first of the words."""
        return self.values[0]

    def __getitem__(self, word: str) -> Condition:
        if word not in self.values:
            raise ValueError(
                f"{self.name} is never {word!r}{nearest(word, self.values)}; "
                f"it is one of {', '.join(self.values)}"
            )
        return Condition(f'{self.name} == "{word}"', self.name, self.location)


class UserFunction(sympy.Symbol):  # type: ignore[misc]
    """An argument that is a function of one number; see `function`."""

    default: Any
    saved_as: str
    doc: str
    location: Location

    def __new__(
        cls, name: str, default: Any, saved_as: str, doc: str, location: Location
    ) -> UserFunction:
        self: UserFunction = sympy.Symbol.__xnew__(cls, name)
        self.default, self.saved_as = default, saved_as
        self.doc, self.location = doc, location
        return self

    def __call__(self, x: Any) -> sympy.Expr:
        return Applied(self, sympy.sympify(x))

    @property
    def given(self) -> Condition:
        """Whether the caller gave one."""
        return Condition(f"{self.name} is not None", self.name, self.location)


Argument = Hyper | Points | Choice | UserFunction | Flag


def whole(
    name: str,
    default: Any = required,
    *,
    at_least: int | None = None,
    special: int | None = None,
    otherwise: Any = None,
    doc: str = "",
) -> Whole:
    """Declare a whole-number argument, such as a number of steps.

    Parameters
    ----------
    name : str
        The argument's name in the constructor.
    default : int or None, optional
        Its default; without one, the caller must give the argument. None makes it optional.
    at_least : int, optional
        The smallest legal value.
    special : int, optional
        A value that makes the argument a condition: `when(T_mult, ...)` holds for any other.
    otherwise : expression of other arguments, optional
        What None stands for.
    doc : str, optional
        A sentence for the documentation of the class.
    """
    found = Whole(spelled(name), default, Bounds(at_least=at_least), special, doc, caller())
    found.otherwise = None if otherwise is None else sympy.sympify(otherwise)
    return found


def points(name: str, *, doc: str = "") -> Points:
    """Declare an argument that is an increasing list of steps; `name.passed(t)` counts them."""
    return Points(spelled(name), doc, caller())


def choice(name: str, *values: str, doc: str = "") -> Choice:
    """Declare an argument that is one of some words, the first by default.

    `name["word"]` is the condition that it was chosen.
    """
    return Choice(spelled(name), values, doc, caller())


def function(
    name: str, default: Any = required, *, saved_as: str | None = None, doc: str = ""
) -> UserFunction:
    """Declare an argument that is a function of one number: `name(t)` calls it.

    Parameters
    ----------
    name : str
        The argument's name in the constructor.
    default : None, optional
        None makes it optional: `name.given` is the condition that there is one.
    saved_as : str, optional
        Its key in `state_dict()`; by default its name.
    doc : str, optional
        A sentence for the documentation of the class.
    """
    return UserFunction(spelled(name), default, spelled(saved_as or name), doc, caller())


@dataclass(eq=False)
class Schedule:
    """A schedule, as a closed form.

    Parameters
    ----------
    name : str
        The class name.
    arguments : tuple of hyper, whole, points, choice, function and flag
        The constructor's signature, in order; `keyword_only` stands where `*` would.
    equations : tuple of Eq
        For `value[t]`, and for what it reads; in any order. `Eq(base, ...)` says where a schedule
        starts that does not start from the group's own value. With `Eq(momentum[t], ...)` goes
        a flag `cycle_momentum`.
    paper, summary, notes : str
        As in OptimizerSpec.
    example : str
        Arguments as in a call, `"T_max=100"`, for the documentation and for plots.
    requires : tuple of (condition, message)
        Constraints across arguments; the message is the error where the condition fails.
    chainable : bool
        Whether a value that was changed from outside, by another scheduler or by hand, is carried
        on: the equation goes on from it, as if the group had started with another base. Else
        the change is overwritten.
    settles : bool
        What becomes of a change where nothing of the base is left to go on from: it is overwritten,
        or else kept.
    until : whole-number argument, optional
        The last legal step.
    torch_keys : mapping
        Entries of what torch saves that are no arguments: the argument whose value they hold, or
        None for what follows from arguments that torch does not save.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    equations: tuple[Eq, ...] = ()
    paper: str = ""
    summary: str = ""
    notes: str = ""
    example: str = ""
    requires: tuple[tuple[Any, str], ...] = ()
    chainable: bool = True
    settles: bool = False
    until: Whole | None = None
    torch_keys: Mapping[str, Any] = field(default_factory=dict)
    location: Location = field(default_factory=lambda: caller(2), compare=False)

    def __post_init__(self) -> None:
        refuse_no_text(
            name=self.name,
            paper=self.paper,
            summary=self.summary,
            notes=self.notes,
            example=self.example,
        )
        refuse_no_truth(chainable=self.chainable, settles=self.settles)
        refuse_no_mapping(torch_keys=self.torch_keys)
        self.name = spelled(self.name)
        for field_name in ("arguments", "equations", "requires"):
            refuse_single(field_name, getattr(self, field_name))
        for equation in self.equations:
            refuse_other(equation)
        for requirement in self.requires:
            refuse_no_requirement(requirement)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the class."""
        return (self.name,)

    @property
    def parameters(self) -> tuple[Argument, ...]:
        """The arguments without the marker `keyword_only`."""
        return tuple(a for a in self.arguments if isinstance(a, Argument))

    @property
    def positional(self) -> int:
        """How many arguments can be given by position."""
        names = list(self.arguments)
        return names.index(keyword_only) if keyword_only in names else len(names)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The constraints across arguments."""
        return tuple(Requirement(sympy.sympify(c), message) for c, message in self.requires)

    @property
    def start(self) -> Eq | None:
        """The equation that says where the schedule starts, if there is one."""
        return next((e for e in self.equations if e.left == base), None)

    @cached_property
    def by_series(self) -> dict[Series, Eq]:
        """The equations at t, by the series that they define."""
        return {e.series: e for e in self.equations if e.series is not None}

    @property
    def outputs(self) -> tuple[Series, ...]:
        """What is written to the groups: the value, and the momentum if there is one."""
        return tuple(series for series in OUTPUTS if series in self.by_series)

    def needed(self, output: Series) -> tuple[Eq, ...]:
        """The equations from which an output follows, each after those that it reads."""
        found: dict[Series, Eq] = {}

        def visit(series: Series) -> None:
            equation = self.by_series[series]
            for at in sorted(equation.right.atoms(At), key=self._place):
                if at.series not in found:
                    visit(at.series)
            found[series] = equation

        visit(output)
        return tuple(found.values())

    def _place(self, at: At) -> int:
        return list(self.by_series).index(at.series)

    def number(self, equation: Eq) -> int:
        """The number of an equation in the documentation."""
        return self.equations.index(equation) + 1

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(str(e.left) for e in self.equations)}>"
