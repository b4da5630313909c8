"""The quantities of a recurrence: series, hyperparameters, flags, the shape, the loss and the step.

Owns every symbol that can stand in an equation; all of them come from here, so that no two symbols
look alike and differ. It knows nothing of equations: what a quantity *is* (state, scalar, array)
follows from them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import sympy

from .declared import refuse_no_text, refuse_no_truth, refuse_single
from .errors import Location, caller
from .expressions import symbols_in
from .names import spelled

#: The number of the current step, 1 at the first one.
t = sympy.Symbol("t", integer=True, positive=True)


@dataclass(frozen=True, order=True)
class Series:
    """A quantity indexed by time: `m[t]` is its value after step t, `m[t - 1]` before it.

    See `series` for the parameters.
    """

    name: str
    saved_as: str
    keep: bool = False
    location: Location = field(default=Location("<lucidgen>", 0), compare=False)

    def __getitem__(self, index: Any) -> At:
        time = sympy.sympify(index)
        if not isinstance(time, sympy.Expr):
            raise TypeError(f"{self.name}[{index}] is at no time; write {self.name}[t] or [t - 1]")
        return At(self, time)

    __iter__ = None  # or Python, and with it SymPy, would count m[0], m[1], ... without an end

    def __str__(self) -> str:
        return self.name


#: How SymPy begins when it is asked whether a relation holds.
NO_TRUTH = "cannot determine truth value of Relational: "


class Quantity(sympy.Symbol):  # type: ignore[misc]
    """A symbol of the language. It has a value only when a step runs, and so no truth before.

    SymPy takes symbols for true, and an author's `a and b` would silently be b. It asks so itself,
    to leave out zeros, and gets its own answer.
    """

    def __bool__(self) -> bool:
        asks = str(sys._getframe(1).f_globals.get("__name__", ""))
        if asks.partition(".")[0] == "sympy":
            return True
        raise TypeError(f"{NO_TRUTH}{self.name}")


class At(Quantity):
    """The value of a series at one index: `m[t]`, `m[t - 1]`, `m[0]`."""

    series: Series
    index: sympy.Expr

    def __new__(cls, series: Series, index: sympy.Expr) -> At:
        self: At = sympy.Symbol.__xnew__(cls, f"{series.name}[{_text(index)}]", real=True)
        self.series = series
        self.index = index
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[Series, sympy.Expr], dict[str, Any]]:
        return (self.series, self.index), {}

    def _hashable_content(self) -> tuple[Any, ...]:
        # Schedules have a t of their own, which looks the same: what is remembered of one of two
        # such values must not come back for the other.
        return (*super()._hashable_content(), self.series, self.index)

    @property
    def time(self) -> str:
        """The index as text."""
        return _text(self.index)

    @property
    def shift(self) -> int | None:
        """k in `x[t + k]`, or None for an absolute index and for anything stranger."""
        return _shift(self.index)


def values_in(expr: sympy.Basic) -> set[At]:
    """The values of series that an expression reads."""
    return {symbol for symbol in symbols_in(expr) if isinstance(symbol, At)}


@lru_cache(maxsize=1024)
def _text(index: sympy.Expr) -> str:
    return str(index)


@cache
def _shift(index: sympy.Expr) -> int | None:
    shift = index - t
    return int(shift) if isinstance(shift, sympy.Integer) else None


class Hyper(Quantity):
    """A hyperparameter; see `hyper`. A value of `special` removes what it multiplies or adds."""

    default: Any
    bounds: Bounds
    special: Any
    doc: str
    location: Location
    role: str

    def __new__(
        cls,
        name: str,
        default: Any,
        bounds: Bounds,
        special: Any,
        doc: str,
        location: Location,
        role: str = "",
    ) -> Hyper:
        self: Hyper = sympy.Symbol.__xnew__(cls, name, real=True)
        self.default, self.bounds, self.special = default, bounds, special
        self.doc, self.location, self.role = doc, location, role
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        fields = (self.name, self.default, self.bounds, self.special, self.doc, self.location)
        return (*fields, self.role), {}

    def _hashable_content(self) -> tuple[Any, ...]:
        # SymPy remembers expressions: another file's, whose symbol of this name has another special
        # value, must not come back for this one's.
        return (*super()._hashable_content(), repr(self.special))

    @property
    def symbols(self) -> tuple[Hyper, ...]:
        """The symbols that the argument stands for in equations: itself."""
        return (self,)


@dataclass(frozen=True)
class HyperTuple:
    """One argument that holds several hyperparameters, such as betas = (beta1, beta2)."""

    name: str
    symbols: tuple[Hyper, ...]
    doc: str
    location: Location = field(compare=False)
    role: str = ""

    def __iter__(self) -> Iterator[Hyper]:
        return iter(self.symbols)

    @property
    def default(self) -> tuple[Any, ...]:
        """The default values, one for each symbol."""
        return tuple(symbol.default for symbol in self.symbols)


class Flag(Quantity):
    """A yes-or-no argument that chooses between equations; see `flag`."""

    default: Any
    doc: str
    location: Location

    def __new__(cls, name: str, default: Any, doc: str, location: Location) -> Flag:
        self: Flag = sympy.Symbol.__xnew__(cls, name)
        self.default, self.doc, self.location = default, doc, location
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.name, self.default, self.doc, self.location), {}


class Shape(Quantity):
    """A whole number that the shape of a parameter gives, known before any array is touched.

    A comparison of such numbers, and of hyperparameters, is a static choice of each parameter.
    """

    def __new__(cls, name: str) -> Shape:
        self: Shape = sympy.Symbol.__xnew__(cls, name, integer=True, nonnegative=True)
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.name,), {}


#: The axes that equations see, which `matrices` of the spec says; how many elements a parameter
#: has; and how many of them are below and beside each other. A vector is one row, a single number
#: has one row and one column.
ndim, size, rows, columns = map(Shape, ("ndim", "size", "rows", "columns"))


class Given(Quantity):
    """A number that every step is given by its caller, the same for all parameters."""

    def __new__(cls, name: str) -> Given:
        self: Given = sympy.Symbol.__xnew__(cls, name, real=True)
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.name,), {}


#: The loss at `w[t - 1]`, of which `grad[t]` is the gradient.
loss = Given("loss")


@dataclass(frozen=True)
class Bounds:
    """The legal range of a hyperparameter. None means unbounded on that side."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def admits(self, value: float) -> bool:
        """Whether value is finite and inside the range."""
        return (
            value == value
            and abs(value) != float("inf")
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        parts = [
            f"{sign} {bound:g}"
            for sign, bound in (
                (">=", self.at_least),
                (">", self.above),
                ("<=", self.at_most),
                ("<", self.below),
            )
            if bound is not None
        ]
        return " and ".join(parts) or "any finite number"


class _KeywordOnly:
    """The marker in `arguments` after which arguments can only be given by keyword."""

    def __repr__(self) -> str:
        return "keyword_only"


#: Put into `arguments` where the keyword-only arguments begin, as `*` does in a signature.
keyword_only = _KeywordOnly()

Argument = Hyper | HyperTuple | Flag

#: What a hyperparameter can be to schedulers, `no_decay` and the idiom of MLX, with the names that
#: say so by themselves, the first one first.
ROLES: Mapping[str, tuple[str, ...]] = {
    "rate": ("lr",),
    "decay": ("weight_decay",),
    "momentum": ("betas", "beta1", "momentum"),
}


def roles_of(arguments: Iterable[Argument]) -> dict[str, Hyper]:
    """The hyperparameter of each role: the one that is declared so, or else called so."""
    known = [a for a in arguments if isinstance(a, Hyper | HyperTuple)]
    found = {}
    for role, names in ROLES.items():
        declared = [a for a in known if a.role == role]
        called = [a for name in names for a in known if a.name == name and not a.role]
        for argument in (declared or called)[:1]:
            found[role] = argument.symbols[0]
    return found


def symbols_of(argument: Argument) -> tuple[Hyper | Flag, ...]:
    """The symbols that an argument stands for in equations."""
    return argument.symbols if isinstance(argument, Hyper | HyperTuple) else (argument,)


#: The parameter that is optimized: `w[t - 1]` before the step, `w[t]` after it.
w = Series("w", saved_as="w")

#: The gradient of this step, `grad[t]`.
grad = Series("grad", saved_as="grad")

#: What an optimizer adds to the weights, for transforms of it: `update[t]`.
update = Series("update", saved_as="update")


def series(name: str, *, saved_as: str | None = None, keep: bool = False) -> Series:
    """Declare a quantity indexed by time.

    Parameters
    ----------
    name : str
        Its name in the equations, a Python identifier (`m`, `v_hat`).
    saved_as : str, optional
        Its key in `state_dict()` if it turns out to be state; by default its name.
    keep : bool, optional
        Keep the series as state although no equation reads it, because the user does.
    """
    refuse_no_text(name=name, saved_as=saved_as or "")
    refuse_no_truth(keep=keep)
    return Series(spelled(name), spelled(saved_as or name), keep, caller())


def hyper(
    name: str,
    default: Any,
    *,
    names: tuple[str, ...] | None = None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    special: float | None = None,
    role: str = "",
    doc: str = "",
) -> Any:
    """Declare a hyperparameter, or, when the default is a tuple, several under one argument.

    Parameters
    ----------
    name : str
        The argument's name in the constructor.
    default : float or tuple of float
        Its default value.
    names : tuple of str, optional
        The symbols' names if the default is a tuple; by default `betas` gives beta1, beta2.
    at_least, above, at_most, below : float, optional
        The legal range; it holds for each value of a tuple.
    special : float, optional
        A value at which code disappears: with `special=0`, `weight_decay == 0` costs nothing.
        The hyperparameter can then stand as a condition: `when(momentum, ...)`.
    role : {"rate", "decay", "momentum"}, optional
        What it is to others, where its name does not say so: the learning rate, which schedulers
        drive and `learning_rate` sets (`lr` by itself); the weight decay, which is 0, or special,
        for parameters under `no_decay` (`weight_decay` by itself); what schedulers cycle against
        the rate (`momentum`, `beta1` and the first of `betas` by themselves). Of a tuple it is the
        first that has the role.
    doc : str, optional
        A sentence for the documentation of the class.

    Returns
    -------
    Hyper or HyperTuple
        A HyperTuple unpacks: `beta1, beta2 = betas = hyper("betas", (0.9, 0.999))`.
    """
    refuse_no_text(name=name, role=role, doc=doc)
    location, name = caller(), spelled(name)
    bounds = Bounds(at_least, above, at_most, below)
    if not isinstance(default, tuple):
        return Hyper(name, default, bounds, special, doc, location, role)
    if names is None:
        stem = name.removesuffix("s")
        names = tuple(f"{stem}{i}" for i in range(1, len(default) + 1))
    refuse_single("names", names)
    refuse_no_text(**{f"names[{i}]": part for i, part in enumerate(names)})
    if len(names) != len(default):
        raise TypeError(f"{name} has {len(default)} defaults and {len(names)} names")
    symbols = tuple(
        Hyper(spelled(n), value, bounds, special, "", location)
        for n, value in zip(names, default, strict=True)
    )
    return HyperTuple(name, symbols, doc, location, role)


def flag(name: str, default: bool, *, doc: str = "") -> Flag:
    """Declare a yes-or-no argument, to stand in `when(name, ...)`; doc is its documentation."""
    refuse_no_text(name=name, doc=doc)
    return Flag(spelled(name), default, doc, caller())
