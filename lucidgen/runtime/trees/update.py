"""One update of one group of a tree: host arithmetic in the graph, then each parameter.

Owns what is computed and in which type; nothing is evaluated, and nothing is stored before all of
it is known. Which state a group keeps is in ``tree_group``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from ..arrays import is_half
from ..backends.kernel_choice import gpu_kernels
from ..backends.mlx import chosen, function_of, required_function
from ..backends.mlx_arrays import computing_type, state_array
from ..groups.selection import Selection, selects
from ..groups.settings import Settings
from ..groups.states import MASTER_WEIGHT
from ..rules.calling import call
from ..rules.rule import Rule, names_of
from ..step.masters import master_of

Array = Any


@dataclass(frozen=True)
class Common:
    """What all groups of a tree have in common."""

    rule: Rule
    label: str
    kernel: str = "auto"
    no_decay: Selection | None = None
    has_masters: bool = False  # in float32, of half-precision parameters


def marks_start(rule: Rule) -> bool:
    """Whether a function of the rule asks for a parameter's first step."""
    functions = (function_of(rule, name) for name in ("step", "captured_step", "scalars"))
    return any("first_w" in names_of(function) for function in functions if function is not None)


class Update:
    """One update: the host arithmetic once per step count, then each parameter."""

    def __init__(
        self, common: Common, settings: Settings, state: dict[str, Any], factor: Array | None
    ) -> None:
        rule = common.rule
        self.factor = factor  # what gradients are multiplied by, if they are clipped to a norm
        self.state, self.settings, self.rule = state, settings, rule
        self.kernels, self.no_decay = gpu_kernels(common.kernel), common.no_decay
        self.has_masters = common.has_masters
        self.without_decay = settings if self.no_decay is None else settings.without_decay()
        self.suffix = "step" if function_of(rule, "captured_step") is None else "captured_step"
        self.host: Callable[..., Any] | None = (
            None if rule.scalars is None else required_function(rule, "scalars")
        )
        self.marks_start = marks_start(rule)
        self._values: dict[Any, dict[str, Any]] = {}
        self._pending: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._advanced: set[int] = set()

    def parameter(self, name: str, w: Array, grad: Array) -> Array:
        """The new value of a parameter; its new states wait for ``store``."""
        entry = self.state["params"][name]
        weight = w
        if self.has_masters and is_half(weight):
            w = master_of(weight, entry.get(MASTER_WEIGHT))
        clock = entry if "step" in entry else self.state
        kind = computing_type(w.dtype)
        started = self.marks_start and "started" in entry
        settings = self.settings
        if self.no_decay is not None and selects(self.no_decay, name, w):
            settings = self.without_decay
        choices, values = self._host_values(settings, clock, kind, entry, 0 if started else 1)
        arrays = settings.arrays
        on, known = tuple(choices.items()), tuple(values)
        step = chosen(self.kernels, w, self.rule, self.suffix, arrays, on, known)
        given = [_as_array(values[scalar], kind) for scalar in step.scalars]
        states = [state_array(state, entry, settings, w) for state in arrays]
        new_w, *new_states = step.run(w, grad, states, given)
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

    def _host_values(
        self,
        settings: Settings,
        clock: dict[str, Any],
        kind: Any,
        entry: dict[str, Any],
        t_choice: int,
    ) -> tuple[dict[str, bool], dict[str, Any]]:
        """The static choices of a parameter, and everything else its step may name."""
        missing = [
            state
            for state in (*settings.arrays, *settings.scalars)
            if state.first and state.key not in (entry if state in settings.arrays else clock)
        ]
        firsts = tuple(f"first_{state.name}" for state in missing)
        key = (settings is self.settings, id(clock), kind, firsts, t_choice)
        choices = settings.choices_at(t_choice if self.marks_start else 0, firsts)
        choices["scale_grad"] |= self.factor is not None
        if key not in self._values:
            self._values[key] = self._computed(settings, clock, kind, choices)
        return choices, self._values[key]

    def _computed(
        self, settings: Settings, clock: dict[str, Any], kind: Any, choices: dict[str, bool]
    ) -> dict[str, Any]:
        t = clock["step"] + 1
        # In double, which the CPU alone has: RAdam's rho in single precision is off by 1e-4.
        with mx.stream(mx.cpu):
            values: dict[str, Any] = {**settings.values, "t": t.astype(mx.float64)}
            # A scalar state that these choices do not need is still a parameter of the function.
            for state in self.rule.scalar_states:
                values[state.name] = mx.zeros((), dtype=mx.float64)
            if "lr" in self.state:
                values["lr"] = self.state["lr"].astype(mx.float64)
            for state in settings.scalars:
                found = clock.get(state.key)
                if found is None:
                    found = mx.array(settings.start(state, None), dtype=mx.float32)
                values[state.name] = found.astype(mx.float64)
            if self.host is not None:
                values.update(call(self.host, {**values, **choices}))
            values = {
                name: value.astype(kind) if _is_double(value) else value
                for name, value in values.items()
            }
        if self.factor is not None:
            values["grad_factor"] = self.factor * settings.values["grad_factor"]
        if id(clock) not in self._advanced:
            self._advanced.add(id(clock))
            new = {"step": t}
            for state in settings.scalars:
                new[state.key] = _as_array(values[state.name], mx.float32)
            self._pending.append((clock, new))
        return values


def _is_double(value: Any) -> bool:
    return isinstance(value, mx.array) and value.dtype == mx.float64


def _as_array(value: Any, kind: Any) -> Array:
    """A scalar as a 0-d array of the computing type; conditions stay boolean."""
    if isinstance(value, mx.array):
        return value if value.dtype == mx.bool_ else value.astype(kind)
    return mx.array(value) if isinstance(value, bool) else mx.array(value, dtype=kind)
