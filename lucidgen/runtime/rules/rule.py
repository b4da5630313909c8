"""The data that generated code hands to the runtime: hyperparameters, flags, states, rules.

Owns the meaning of each field and the derived names of static choices. Does not own the checking of
values (``groups``) nor the calling of functions (``calling``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

Number = float | tuple[float, ...]
HostFunction = Callable[..., dict[str, float | bool]]

#: The numbers of a shape, as specs call them.
NUMBERS = ("ndim", "size", "rows", "columns")

#: What a group keeps besides its states, its own count of steps; and what functions call the number
#: of elements of all its parameters that take part.
GROUP_STEP, GROUP_SIZE = "group_step", "group_size"

#: What functions call the loss of the gradients.
LOSS = "loss"

DOMAINS = ("element", "row", "column", "matrix", "tensor", "group", "scalar")


def equation_axes(shape: tuple[int, ...], matrices: str) -> tuple[int, ...]:
    """The axes that equations see of an array.

    >>> [equation_axes((2, 3, 4), matrices) for matrices in ("last", "first", "exact")]
    [(2, 3, 4), (2, 12), (24,)]
    """
    if len(shape) <= 2 or matrices == "last":
        return shape
    if matrices == "first":
        return shape[0], math.prod(shape[1:])
    return (math.prod(shape),)


def matrix_axes(shape: tuple[int, ...], matrices: str) -> tuple[int, int, int]:
    """How many matrices equations see in an array, and their rows and columns; a vector is a row.

    >>> matrix_axes((2, 3, 4), "last"), matrix_axes((2, 3, 4), "first"), matrix_axes((5,), "last")
    ((2, 3, 4), (1, 2, 12), (1, 1, 5))
    """
    axes = equation_axes(shape, matrices)
    rows, columns = axes[-2:] if len(axes) >= 2 else (1, math.prod(axes))
    return math.prod(axes[:-2]), rows, columns


def rate_of(rule: Rule | None) -> str:
    """Under which key groups have their learning rate: as the rule says, else as torch has it."""
    return (rule.rate if rule is not None else None) or "lr"


#: The reading of a class whose spec does not say whose it is, and what that was called once.
OWN, FORMERLY = "own", "torch"


def reading_of(rules: Mapping[str, Rule], name: str) -> str:
    """The reading that a caller, a checkpoint or a pickle means, as older ones call it too."""
    return OWN if name == FORMERLY and name not in rules and OWN in rules else name


@cache
def names_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a generated function's parameters, in order."""
    code = function.__code__
    return tuple(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """A hyperparameter. A tuple hyper (``betas``) has a symbol per element; bounds hold for each.

    ``special`` makes a static choice ``use_<symbol>``: True when the value differs from it.
    ``role`` is what it is to others: "rate", "decay" or "momentum"; of a tuple, what the first is.
    """

    name: str
    default: Number
    symbols: tuple[str, ...]
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    special: float | None = None
    role: str = ""

    @property
    def is_tuple(self) -> bool:
        return isinstance(self.default, tuple)

    def bounds(self) -> Iterator[tuple[str, bool, float]]:
        """The bounds as (text, whether the limit is below the value, limit)."""
        if self.at_least is not None:
            yield "at least", True, self.at_least
        if self.above is not None:
            yield "above", True, self.above
        if self.at_most is not None:
            yield "at most", False, self.at_most
        if self.below is not None:
            yield "below", False, self.below


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A static choice of the caller: ``amsgrad``, ``nesterov``, ``maximize``."""

    name: str
    default: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """A series that a rule keeps from one step to the next.

    ``name`` is that of the equations and of the generated functions' parameters; ``key`` that in
    ``optimizer.state[p]`` and in ``state_dict()``. ``live`` tells from the static choices whether
    the state is needed, ``start`` gives its first value (zeros without it), and ``first`` says that
    the equations treat the step in which it is created by themselves (``first_<name>``).
    ``matrices`` is that of the rule, where there is something for each row, column or matrix.
    ``before`` is what functions call the last value of what a group keeps.
    """

    name: str
    key: str
    domain: str = "element"
    live: Callable[[Mapping[str, bool]], bool] | None = None
    start: Callable[..., Any] | None = None
    first: bool = False
    matrices: str = "last"
    before: str = ""

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            raise ValueError(
                f"state {self.name!r}: domain {self.domain!r} is none of {', '.join(DOMAINS)}"
            )

    def shape(self, of: tuple[int, ...]) -> tuple[int, ...]:
        """The state's shape for a parameter of shape ``of``."""
        if self.domain == "element":
            return of
        if self.domain in ("tensor", "group", "scalar"):
            return ()
        axes = equation_axes(of, self.matrices)
        if self.domain == "matrix":
            return (*axes[:-2], 1, 1)
        return (*axes[:-1], 1) if self.domain == "row" else (*axes[:-2], 1, *axes[-1:])


#: The argument of rules that draw, and the largest value that it can have.
SEED, MOST_SEED = "seed", 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class Seed:
    """The argument that random numbers depend on: a whole number."""

    name: str = SEED
    default: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """A random number for each element of a parameter, another one in each step.

    ``name`` is that of the generated functions' parameters, ``kind`` is "normal" or "uniform".
    ``number`` tells it from the other draws of the rule, and ``live`` tells from the static choices
    and conditions whether it is read.
    """

    name: str
    kind: str
    number: int = 0
    live: Callable[[Mapping[str, bool]], bool] | None = None

    def is_read(self, on: Mapping[str, Any]) -> bool:
        """Whether it is read, as far as these choices and conditions tell."""
        try:
            return self.live is None or bool(self.live(on))
        except KeyError:
            return True


@dataclass(frozen=True, kw_only=True, eq=False)
class Elsewhere:
    """How another library saves what a rule keeps and is given, by the library's names.

    ``states`` are our keys of states; ``factors`` what the library's value is multiplied with to be
    ours, as functions of hyperparameters, where that is not 1. ``step`` is what counts the steps.
    ``arguments`` are our names of arguments, where the library has others. ``settings`` are entries
    of its groups that must have these values, since nothing here does otherwise, if their
    ``conditions`` hold (always without one).
    """

    states: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, Callable[..., float]] = field(default_factory=dict)
    step: str = "step"
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    conditions: Mapping[str, Callable[..., bool]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Round:
    """What is computed of a whole group at once, before its parameters step.

    ``shares`` is a rule whose states of these names are what a parameter gives to each of the
    ``sums``; all else it leaves as it is. Shares are joined as ``sums`` says: "total" or "largest".
    ``values`` makes numbers of the group of the sums, and of what is known before.
    """

    sums: Mapping[str, str] = field(default_factory=dict)
    shares: Rule | None = None
    values: HostFunction | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """One reading (dialect) of an optimizer: its data, and the functions that compute it.

    ``ignored`` arguments are accepted without effect, ``unsupported`` ones only with the class's
    default, which is given there. ``torch_keys`` are entries of torch's saved groups that the class
    has no argument for, each with the value that says the same as this rule
    (``{"decoupled_weight_decay": True}``). ``renamed`` are the symbols of hyperparameters and the
    flags that generated functions call in another way, since their text has these names already.
    ``saved_elsewhere`` are the libraries whose states this rule goes on from as they would.
    ``numpy`` is the step in NumPy, whose parameters name what every step is given. ``targets`` are
    the other targets that serve the rule, each with the module that is imported when it is first
    needed, or with a file that is named in the same way (`calling.file_of`).
    ``elementwise`` steps may be called on parts of flattened arrays; ``shaped`` ones work on rows
    or columns, and need arrays as ``matrices`` says that equations see them (`equation_axes`).

    ``shapes`` are the choices that the shape of a parameter makes for good: each is a function of
    the numbers of the shape and of hyperparameters. ``reads`` are the numbers that are read
    besides, ``matrix_equations`` equations that need matrices, each with the choices of shapes
    under which it holds.

    ``rounds`` are what is computed of a group before. ``given`` are the numbers that functions are
    given in every step: the results of rounds by their names, and the loss if the rule
    ``reads_loss``. ``group_states`` are the states that the group keeps.
    """

    name: str
    dialect: str
    hypers: tuple[Hyper, ...] = ()
    flags: tuple[Flag, ...] = ()
    states: tuple[State, ...] = ()
    draws: tuple[Draw, ...] = ()
    ignored: tuple[str, ...] = ()
    unsupported: Mapping[str, object] = field(default_factory=dict)
    requires: tuple[tuple[Callable[..., bool], str], ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    torch_keys: Mapping[str, object] = field(default_factory=dict)
    saved_elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    uses_step: bool = True
    elementwise: bool = True
    shaped: bool = False
    matrices: str = "last"
    shapes: Mapping[str, Callable[..., bool]] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    matrix_equations: tuple[tuple[str, Callable[[Mapping[str, bool]], bool]], ...] = ()
    scratch: int = 0
    rounds: tuple[Round, ...] = ()
    given: tuple[str, ...] = ()
    reads_loss: bool = False
    group_states: tuple[State, ...] = ()
    scalars: HostFunction | None = None
    numpy: Callable[..., None]
    targets: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def arguments(self) -> dict[str, Hyper | Flag | Seed]:
        """What can be set, by name: the keys of a group."""
        found: dict[str, Hyper | Flag | Seed] = {hyper.name: hyper for hyper in self.hypers}
        found.update({flag.name: flag for flag in self.flags})
        if self.draws:
            found[SEED] = Seed()
        return found

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The names of the static choices that arguments can change, ``maximize`` apart."""
        found = [self.called(flag.name) for flag in self.flags if flag.name != "maximize"]
        special = (s for hyper in self.hypers if hyper.special is not None for s in hyper.symbols)
        limits = (name for name in self.shapes if name not in self.fixed)
        return (*found, *(f"use_{self.called(symbol)}" for symbol in special), *limits)

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """The names of the choices that a shape makes whatever the arguments are."""
        numbers = {self.called(name) for name in NUMBERS}
        return tuple(name for name, holds in self.shapes.items() if numbers >= {*names_of(holds)})

    @cached_property
    def choices(self) -> frozenset[str]:
        """The names of the static choices; conditions on scalars are none of them."""
        found = {f"first_{state.name}" for state in self.states if state.first}
        return frozenset({*found, *self.options, *self.shapes, "scale_grad", "first_w"})

    @cached_property
    def asks_shapes(self) -> bool:
        """Whether what is computed depends on the shape of a parameter."""
        return bool(self.shapes or self.reads)

    def drawn(self, on: Mapping[str, Any]) -> tuple[Draw, ...]:
        """The draws that are read under these choices and conditions.

        Where a condition is not known, as in a step that is captured whole, they are drawn.
        """
        return tuple(draw for draw in self.draws if draw.is_read(on))

    def called(self, name: str) -> str:
        """What generated functions call a symbol or a flag."""
        return self.renamed.get(name, name)

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """The symbols of the hyperparameters that have a role."""
        return {hyper.role: hyper.symbols[0] for hyper in self.hypers if hyper.role}

    @cached_property
    def rate(self) -> str | None:
        """The name of the learning rate, if there is one."""
        return self.roles.get("rate")

    @cached_property
    def without_decay(self) -> Mapping[str, float]:
        """The arguments with which there is no weight decay; none if there never is."""
        decays = (hyper for hyper in self.hypers if hyper.role == "decay")
        return {hyper.name: hyper.special or 0.0 for hyper in decays}

    @cached_property
    def counts_steps(self) -> bool:
        """Whether a step count is kept: something names t, or the first step of w differs."""
        named = names_of(self.numpy) + (names_of(self.scalars) if self.scalars else ())
        shares = (found.shares for found in self.rounds if found.shares is not None)
        own = self.uses_step or bool(self.draws) or "first_w" in named
        return own or any(rule.counts_steps for rule in shares)

    @property
    def reduces(self) -> bool:
        """Whether an element's step depends on other elements: of its tensor, or of its group."""
        return not self.elementwise or bool(self.rounds)

    @cached_property
    def unknown(self) -> Mapping[str, float]:
        """What functions are given of a step, as long as it is not known."""
        return dict.fromkeys(self.given, math.nan)

    @cached_property
    def group_keys(self) -> tuple[str, ...]:
        """The keys of what a group keeps."""
        kept = (GROUP_STEP,) if self.rounds else ()
        return (*(state.key for state in self.group_states), *kept)

    @cached_property
    def arrays(self) -> tuple[State, ...]:
        """The states that are arrays."""
        return tuple(state for state in self.states if state.domain != "scalar")

    @cached_property
    def scalar_states(self) -> tuple[State, ...]:
        """The states that are one number per parameter."""
        return tuple(state for state in self.states if state.domain == "scalar")

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of the states in ``state_dict()``, the step count apart."""
        return frozenset(state.key for state in self.states)
