"""What emitted Python does with arrays, noted as a graph of values; and the phases of that graph.

Nothing here asks the compiler: phases follow from what was done with what.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from lucidgen.runtime.backends.mlx import required_function
from lucidgen.runtime.rules.rule import Rule, names_of

#: NumPy's names of operations, where the model has others.
NAMES = {
    "multiply": "mul",
    "square": "mul",
    "divide": "div",
    "negative": "neg",
    "absolute": "abs",
    "subtract": "sub",
    "power": "pow",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "equal": "eq",
    "not_equal": "ne",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "logical_not": "not",
}


#: A parameter's shape, in which rows and columns cannot be taken for each other.
SHAPE = (3, 4)
DOMAINS = {SHAPE: "element", (3, 1): "row", (1, 4): "column", (1, 1): "matrix", (): "tensor"}


def common_shape(*operands: Any) -> tuple[int, ...]:
    """The shape of what an operation on arrays and numbers gives."""
    return np.broadcast_shapes(*(x.shape for x in operands if isinstance(x, np.ndarray)))


@dataclass(eq=False)
class Value:
    """What an operation gave, from which values; without an operation it was given to the step.

    `domain` is that of the result, `work` that of the values that the operation was done on.
    """

    operation: str
    sources: tuple[Value, ...]
    domain: str
    work: str

    @property
    def is_reduced(self) -> bool:
        """Whether elements were reduced."""
        return self.work == "element" != self.domain


class Done(list[Value]):
    """What was done, in order, and with how many calls on elements; copies are no work."""

    calls = 0


class Noted(np.ndarray):
    """An array that holds a value, None if it is a number, and notes what is done with it."""

    value: Value | None
    done: Done

    @classmethod
    def of(cls, done: Done, value: Value, shape: tuple[int, ...]) -> Noted:
        """An array of a value."""
        found = np.ones(shape).view(cls)
        found.value, found.done = value, done
        return found

    @classmethod
    def given(cls, done: Done, shape: tuple[int, ...]) -> Noted:
        """An array that a step is called with."""
        return cls.of(done, Value("", (), DOMAINS[shape], DOMAINS[shape]), shape)

    def made(self, operation: str, sources: Any, shape: Any, work: Any = None) -> Noted:
        """What an operation gives, which is noted; it is done on what has the shape `work`."""
        values = tuple(s.value for s in sources if isinstance(s, Noted) and s.value)
        work = shape if work is None else work
        value = Value(operation, values, DOMAINS[shape], DOMAINS[work])
        self.done.append(value)
        return Noted.of(self.done, value, shape)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **_: Any
    ) -> Any:
        assert method == "__call__"
        shape = common_shape(*inputs, *out)
        self.done.calls += shape == SHAPE
        made = self.made(NAMES.get(ufunc.__name__, ufunc.__name__), inputs, shape)
        if not out:
            return made
        out[0].value = made.value
        return out[0]

    def __setitem__(self, key: Any, source: Any) -> None:
        assert key is Ellipsis
        np.copyto(self, source)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.copyto:
            return self.copy_to(*args, **kwargs)
        shape = common_shape(*args)
        self.done.calls += shape == SHAPE
        assert function is np.where
        return self.made("where", args, shape)

    def copy_to(self, target: Noted, source: Any, where: Any = None) -> None:
        """A copy costs no operation; one under a mask is a select, as may be of the mask's not."""
        if where is None:
            target.value = getattr(source, "value", None)
            return
        if where.value is self.done[-1] and where.value.operation == "not":
            where = Noted.of(self.done, self.done.pop().sources[0], where.shape)
            self.done.calls -= where.shape == SHAPE
        self.done.calls += 1
        target.value = self.made("where", (where, source, target), target.shape).value

    def reduced(self, axis: int | None = None, by: str = "add") -> Noted:
        """The sum over an axis or over all, or what else an operation makes of all values."""
        self.done.calls += self.shape == SHAPE
        shape = {None: (), -1: (self.shape[0], 1), -2: (1, self.shape[1])} if self.ndim else {}
        return self.made(by, (self,), shape[axis], self.shape)


def norm(x: Noted, axis: int | None = None) -> Any:
    """The norm over an axis or over all."""
    return np.sqrt(x.made("mul", (x,), x.shape).reduced(axis))


#: The functions of ours that steps call. Beside them NumPy has MLX's under the same names.
STAND_INS = {
    "norm": norm,
    "mean": lambda x, axis=None: x.reduced(axis) / 12,
    "total": Noted.reduced,
    "largest": partial(Noted.reduced, by="maximum"),
    "mx": np,
    "sign": np.sign,
    "cbrt": np.cbrt,
}


def called(step: Any, arguments: Mapping[str, Any]) -> Any:
    """What a step returns that does its work with the stand-ins."""
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in STAND_INS.items():
            patch.setitem(step.__globals__, name, stand_in)
        return step(**{name: arguments[name] for name in names_of(step)})


@dataclass
class Found:
    """The work of one domain in one phase. Values that have no name are counted."""

    reads: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)


#: By phase and domain; what is not there is no work.
Phases = Mapping[tuple[int, str], Found]


def phases(done: Done, given: Mapping[str, Value], left: Mapping[str, Value]) -> Phases:
    """What was done, phase by phase: everything at its first use, reductions as soon as can be.

    `given` are the values of named arrays before the step, `left` those after it.
    """
    ready: dict[Value, int] = dict.fromkeys(given.values(), 0)
    for value in done:
        ready[value] = max((ready[s] + s.is_reduced for s in value.sources), default=0)
    used: dict[Value, set[int]] = defaultdict(set)
    at: dict[Value, int] = {}
    for value in reversed(done):
        at[value] = ready[value] if value.is_reduced else min(used[value], default=ready[value])
        for source in value.sources:
            used[source].add(at[value])
    found: dict[tuple[int, str], Found] = defaultdict(Found)
    names = {value: name for name, value in left.items()}
    names |= {value: name for name, value in given.items()}
    for value in done:
        found[at[value], value.work].operations[value.operation] += 1
    for name, value in left.items():
        if value is not given[name]:
            # What a reduction gave is there when its phase has ended.
            phase = at.get(value, 0) + value.is_reduced
            found[phase, given[name].domain].writes[name] = 1
            if value not in at:
                used[value].add(0)
    for value, phases_of_uses in used.items():
        if value not in at:
            for phase in phases_of_uses:
                found[phase, value.domain].reads[names[value]] += 1
            continue
        later = [phase for phase in phases_of_uses if phase > at[value]]
        if later and value.domain == "element":
            for phase in later:
                found[phase, "element"].reads[names.get(value, "")] += 1
            if value not in left.values():
                found[at[value], "element"].writes[names.get(value, "")] += 1
    return found


def given_to(rule: Rule, on: Mapping[str, bool]) -> tuple[dict[str, Any], dict[str, Value]]:
    """What a step is called with, and the values of its named arrays."""
    done = Done()
    shapes = {"w": SHAPE, "grad": SHAPE} | {s.name: s.shape(SHAPE) for s in rule.arrays}
    arrays = {name: Noted.given(done, shape) for name, shape in shapes.items()}
    work = tuple(Noted.given(done, SHAPE) for _ in range(rule.scratch))
    given = {name: array.value for name, array in arrays.items()}
    for draw in rule.draws:  # drawing is an operation on nothing
        arrays[draw.name] = Noted.given(done, SHAPE)
        arrays[draw.name].value = Value(draw.kind, (), "element", "element")
        done += [arrays[draw.name].value] if draw in rule.drawn(on) else []
    # Numbers are 0.3: of a power of 0.5 Python's operator makes a root.
    return {**dict.fromkeys(names_of(rule.numpy), 0.3), **on, **arrays, "scratch": work}, given


def done_by_numpy(rule: Rule, on: Mapping[str, bool]) -> tuple[Phases, int]:
    """What the emitted step in NumPy does, and with how many calls on elements."""
    arguments, given = given_to(rule, on)
    called(rule.numpy, arguments)
    done = arguments["w"].done
    return phases(done, given, {name: arguments[name].value for name in given}), done.calls


def done_by_mlx(rule: Rule, on: Mapping[str, bool]) -> Phases:
    """What the emitted step in MLX does."""
    arguments, given = given_to(rule, on)
    new = called(required_function(rule, "step"), arguments)
    new = new if isinstance(new, tuple) else (new,)
    names = [name for name in given if name != "grad"]
    left = {name: array.value for name, array in zip(names, new, strict=True)}
    return phases(arguments["w"].done, given, left)
