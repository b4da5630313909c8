"""One update of one group of a tree: host arithmetic in the graph, then each parameter.

Owns what is computed and in which type; nothing is evaluated, and nothing is stored before all of
it is known. Which state a group keeps is in ``group_state``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mlx.core as mx

from ..arrays import is_half
from ..backends.gpu.trial import MOST_ELEMENTS, Step
from ..backends.mlx import function_of, required_function, step_for
from ..backends.mlx_arrays import computing_type, state_array
from ..groups.bucket import Bucket, first_updates, old_scalars
from ..groups.selection import Selection, selects
from ..groups.settings import Settings
from ..groups.states import MASTER_WEIGHT
from ..groups.streams import of_name
from ..rules import mlx_philox
from ..rules.calling import call_in_ieee
from ..rules.rule import Rule, names_of, rate_of
from ..step.masters import master_of
from .layout import Layout

Array = Any


@dataclass(frozen=True)
class Common:
    """What all groups of a tree have in common."""

    layout: Layout
    label: str
    kernels: str | None = None  # on a GPU: what ``kernel_choice`` says of them
    no_decay: Selection | None = None
    has_masters: bool = False  # in float32, of half-precision parameters

    @cached_property
    def suffix(self) -> str:
        """Which function of the rule's MLX module is the step."""
        return "step" if function_of(self.rule, "captured_step") is None else "captured_step"

    @cached_property
    def host(self) -> Callable[..., Any] | None:
        """The rule's arithmetic on scalars, if it has some."""
        return None if self.rule.scalars is None else required_function(self.rule, "scalars")

    @cached_property
    def marks_start(self) -> bool:
        """Whether the first step of each parameter is noted."""
        return marks_start(self.rule)

    @property
    def rule(self) -> Rule:
        """The rule, with the keys that states have in this layout."""
        return self.layout.rule


def marks_start(rule: Rule) -> bool:
    """Whether a function of the rule asks for a parameter's first step."""
    functions = (function_of(rule, name) for name in ("step", "captured_step", "scalars"))
    return any("first_w" in names_of(function) for function in functions if function is not None)


class Update:
    """One update: the host arithmetic once per step count, then each parameter."""

    def __init__(
        self,
        common: Common,
        settings: Settings,
        state: dict[str, Any],
        entries: Mapping[str, dict[str, Any]],
        factor: Array | None,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        rule = common.rule
        self.common = common
        self.known = {} if known is None else known  # what the step is given
        self.factor = factor  # what gradients are multiplied by, if they are clipped to a norm
        self.state, self.entries, self.rate = state, entries, common.layout.rate
        self.settings, self.rule = settings, rule
        self.kernels, self.no_decay = common.kernels, common.no_decay
        self.has_masters = common.has_masters
        self.without_decay = settings if self.no_decay is None else settings.without_decay()
        self.suffix, self.host, self.marks_start = common.suffix, common.host, common.marks_start
        self._buckets: dict[Any, Bucket] = {}
        self._streams: dict[Any, dict[str, Array]] = {}
        self._steps: dict[Any, tuple[Step, list[Array]]] = {}
        self._pending: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._advanced: set[int] = set()

    @property
    def made(self) -> list[dict[str, Array]]:
        """The new states of parameters so far, in their order."""
        return [new for entry, new in self._pending if entry is not self.state]

    def rates(self, number: Callable[[Any], Array]) -> dict[str, Array]:
        """The learning rate, which is in the state, by what functions call it."""
        if self.rate not in self.state:
            return {}
        return {self.rule.called(rate_of(self.rule)): number(self.state[self.rate])}

    def numbers(self, given: Mapping[str, Any]) -> dict[str, Array]:
        """Numbers of the caller, ready to compute with."""
        with mx.stream(mx.cpu):
            return {name: InGraph(None, mx.float64).number(x) for name, x in given.items()}

    def parameter(self, name: str, w: Array, grad: Array) -> Array:
        """The new value of a parameter; its new states wait for ``store``."""
        entry = self.entries[name]
        weight = w
        if self.has_masters and is_half(weight):
            w = master_of(weight, entry.get(MASTER_WEIGHT))
        clock = entry if "step" in entry else self.state
        kind = computing_type(w.dtype)
        started = self.marks_start and "started" in entry
        settings = self.settings
        if self.no_decay is not None and selects(self.no_decay, name, w):
            settings = self.without_decay
        if self.rule.asks_shapes:
            settings = settings.of(tuple(w.shape))
        bucket = self._bucket(settings, clock, kind, entry, self.marks_start and not started)
        arrays = settings.arrays
        step, given = self._step(bucket, w, kind)
        states = [state_array(state, entry, settings, w) for state in arrays]
        stream = (self._stream(name, bucket, clock),) if self.rule.draws else ()
        new_w, *new_states = step.run(w, grad, states, given, *stream)
        new = {state.key: array for state, array in zip(arrays, new_states, strict=True)}
        if self.marks_start and not started:
            new["started"] = mx.array(True)
        if w is not weight:
            new[MASTER_WEIGHT] = new_w
        self._pending.append((entry, new))
        return new_w.astype(weight.dtype)

    def store(self) -> None:
        """Put the new states and step counts in place."""
        if id(self.state) not in self._advanced:  # no parameter follows the common count any more
            self._pending.append((self.state, {"step": self.state["step"] + 1}))
        for entry, new in self._pending:
            entry.update(new)

    def _step(self, bucket: Bucket, w: Array, kind: Any) -> tuple[Step, list[Array]]:
        """The step of a bucket for weights like these, and its scalars: found for the first."""
        key = (id(bucket), w.dtype, w.size > MOST_ELEMENTS)
        if key not in self._steps:
            step = step_for(bucket, self.kernels, w, self.suffix)
            given = [as_array(bucket.values[scalar], kind) for scalar in step.scalars]
            self._steps[key] = step, given
        return self._steps[key]

    def _stream(self, name: str, bucket: Bucket, clock: dict[str, Any]) -> Array:
        """The stream of a parameter's random numbers; those of one step count are made at once."""
        key = bucket.settings.seed, id(clock)
        if key not in self._streams:
            names = [
                n for n, e in self.entries.items() if (e if "step" in e else self.state) is clock
            ]
            made = mlx_philox.streams(key[0], bucket.t, list(map(of_name, names)))
            self._streams[key] = dict(zip(names, made, strict=True))
        return self._streams[key][name]

    def _bucket(
        self,
        settings: Settings,
        clock: dict[str, Any],
        kind: Any,
        entry: dict[str, Any],
        is_first: bool,
    ) -> Bucket:
        """The bucket of a parameter, made for the first one that has it."""
        firsts = first_updates(settings, entry, clock)
        key = (settings, id(clock), kind, firsts, is_first)
        if key not in self._buckets:
            self._buckets[key] = self._new_bucket(settings, clock, kind, firsts, is_first)
        return self._buckets[key]

    def _new_bucket(
        self,
        settings: Settings,
        clock: dict[str, Any],
        kind: Any,
        firsts: tuple[str, ...],
        is_first: bool,
    ) -> Bucket:
        t, arithmetic = clock["step"] + 1, InGraph(self.host, kind)
        # In double, which the CPU alone has: RAdam's rho in single precision is off by 1e-4.
        with mx.stream(mx.cpu):
            changed = {**self.rates(arithmetic.number), **self.known}
            olds = old_scalars(settings, clock, None)
            bucket = Bucket(
                settings, t, firsts, olds, arithmetic, is_first=is_first, changed=changed
            )
        if id(clock) not in self._advanced:
            self._advanced.add(id(clock))
            scalars = {key: as_array(new, mx.float32) for key, new in bucket.scalars.items()}
            self._pending.append((clock, {"step": t, **scalars}))
        return bucket if self.factor is None else bucket.scaled(self.factor)


class InGraph:
    """Arithmetic in the graph of a step: arrays in double, and then of the computing type.

    What is known as a float stays one; conditions are arrays, and no choices. It belongs into a
    stream of the CPU.
    """

    def __init__(self, host: Callable[..., Any] | None, kind: Any) -> None:
        self.host, self.kind = host, kind

    def number(self, value: Any) -> Array:
        if not isinstance(value, mx.array):
            value = mx.array(value, dtype=mx.float32)  # as it will be kept
        return value.astype(mx.float64)

    def completed(
        self, rule: Rule, values: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, bool]]:
        if self.host is not None:
            values.update(call_in_ieee(self.host, values, as_double))
        for name, value in values.items():
            if isinstance(value, mx.array) and value.dtype == mx.float64:
                values[name] = value.astype(self.kind)
        return values, {}


def as_double(value: float) -> Array:
    return mx.array(value, dtype=mx.float64)


def as_array(value: Any, kind: Any) -> Array:
    """A scalar as a 0-d array of the computing type; conditions stay boolean."""
    if isinstance(value, mx.array):
        return value if value.dtype == mx.bool_ else value.astype(kind)
    return mx.array(value) if isinstance(value, bool) else mx.array(value, dtype=kind)
