"""The MLX idiom: parameters and gradients as trees of arrays, state as a tree of arrays.

Owns ``TreeState``: the state that ``mx.compile`` can capture whole, and the update that may run
inside such a captured step. Nothing is evaluated here. The state is

    {"step": 0-d, "lr": 0-d, <scalar states>: 0-d, "params": {"layers.0.weight": {<states>}}}

and, where gradients are clipped to a norm, the "grad_norm" of the last update.
A parameter whose gradient was missing once keeps its own "step" (and scalar states) from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import mlx.core as mx

from .clipping import GRAD_NORM, mlx_norm
from .clipping import factor as clip_factor
from .exempt import NoDecay, check_names, is_exempt
from .gpu_backend import demand
from .groups import CLIP_VALUE, Group, Settings, as_argument, as_bound, as_hyper, nearest
from .host import call
from .masters import is_half, master_of
from .mlx_backend import (
    as_mlx,
    chosen,
    computing_type,
    function_of,
    required_function,
    state_array,
)
from .parameters import is_floating
from .rule import Hyper, Rule, names_of
from .states import MASTER_WEIGHT
from .trees import leaves, parameters_of, replaced

Array = Any


class TreeState:
    """The array state of one optimizer and the update of a tree of parameters."""

    def __init__(
        self,
        rule: Rule,
        label: str,
        state: dict[str, Any],
        shapes: dict[str, tuple[int, ...]],
        kernel: str = "auto",
    ) -> None:
        self.rule = rule
        self.kernel = kernel
        self.label = label
        self.state = state
        self.shapes = shapes
        self.no_decay: NoDecay | None = None
        self.has_masters = False  # in float32, of half-precision parameters
        self._stored: Array = None  # the step count as this object left it
        self._foreign: list[Array] = []  # step counts put there by others: mx.compile, a user
        self._traced = False

    @property
    def ready(self) -> bool:
        """Whether ``init`` has run."""
        return "params" in self.state

    # -- set-up -----------------------------------------------------------------------------------

    def init(self, params: Any, settings: Settings) -> None:
        """Make the state for these parameters, in place of any there is."""
        arrays = dict(leaves(parameters_of(params)))
        for name, array in arrays.items():
            self._check_array(name, array)
        if not arrays:
            raise ValueError(f"{self.label}: the tree holds no MLX arrays")
        if self.no_decay is not None:
            check_names(self.no_decay, arrays, self.label)
        entries = {name: self._entry(array, settings) for name, array in arrays.items()}
        self.state.clear()
        self.state["step"] = self._stored = mx.array(0, dtype=mx.int32)
        if "lr" in settings.values:
            self.state["lr"] = mx.array(settings.values["lr"], dtype=mx.float32)
        self.state.update(self._scalars(settings))
        self.state["params"] = entries
        self.shapes.clear()
        self.shapes.update({name: tuple(array.shape) for name, array in arrays.items()})
        self._foreign, self._traced = [], False

    def _entry(self, array: Array, settings: Settings) -> dict[str, Any]:
        """The states of a parameter that exist before its first step."""
        own = {}
        if self.has_masters and is_half(array):
            own[MASTER_WEIGHT] = array = array.astype(mx.float32)
        return own | {
            state.key: state_array(state, {}, settings, array)
            for state in settings.arrays
            if not state.first
        }

    def _scalars(self, settings: Settings) -> dict[str, Any]:
        return {
            state.key: mx.array(settings.start(state, None), dtype=mx.float32)
            for state in settings.scalars
            if not state.first
        }

    def _check_array(self, name: str, array: Array) -> None:
        if not is_floating(array):
            raise TypeError(
                f"{self.label}: parameter {name!r} is of type {array.dtype}; only real floating "
                f"types can be optimized"
            )

    # -- hyperparameters --------------------------------------------------------------------------

    def watch(self, group: Group, key: str, value: Any) -> Any:
        """Check a value that is about to be set; lr goes to the array state as well."""
        argument = self.rule.arguments.get(key)
        if key == CLIP_VALUE:
            value = None if value is None else as_bound(value, self.label)
            self.check_change(key, group.get(key), value)
            return value
        if argument is None:
            return value
        if key == "lr" and isinstance(argument, Hyper):
            value = as_hyper(argument, value, self.label)
            if "lr" in self.state:
                self.state["lr"] = mx.array(value, dtype=mx.float32)
            return value
        value = as_argument(argument, value, self.label)
        self.check_change(key, group.get(key), value)
        return value

    def check_change(self, key: str, old: Any, new: Any) -> None:
        """Refuse a change that a traced step would not notice: of anything but lr."""
        if key != "lr" and new != old and self._is_traced():
            raise RuntimeError(
                f"{self.label}: {key} cannot change after the step was traced by mx.compile, which "
                f"has fixed {old!r}; only lr can. Call init(params) and compile anew"
            )

    def _is_traced(self) -> bool:
        """Whether an update ran inside mx.compile: its step count was a placeholder."""
        for array in self._foreign:
            try:
                mx.eval(array)
            except (RuntimeError, ValueError):
                self._traced = True
        self._foreign = []
        return self._traced

    # -- the update -------------------------------------------------------------------------------

    def expect_norm(self) -> None:
        """Make a place for the norm, so that a step that is captured finds it there."""
        self.state.setdefault(GRAD_NORM, mx.array(0.0))

    def apply(
        self, grads: Any, params: Any, settings: Settings, max_grad_norm: float | None = None
    ) -> Any:
        """The tree of updated parameters. Those without a gradient stay as they are."""
        params = parameters_of(params)
        demand(self.kernel, self.label)
        if not self.ready:
            self.init(params, settings)
        arrays, gradients = dict(leaves(params)), dict(leaves(grads))
        self._check_gradients(arrays, gradients)
        if self.state["step"] is not self._stored:
            self._foreign.append(self.state["step"])
        entries = self.state["params"]
        for name, w in arrays.items():
            if name in gradients and name not in entries:  # late: it counts its own steps
                entry = self._entry(w, settings)
                entries[name] = {**entry, "step": mx.array(0, dtype=mx.int32)}
                entries[name].update(self._scalars(settings))
                self.shapes[name] = tuple(w.shape)
            elif name in entries and name not in gradients:
                self._leave_behind(entries[name])
        factor = None
        if max_grad_norm is not None:
            norm = mlx_norm(gradients.values())
            factor = clip_factor(norm, max_grad_norm)
            self.state[GRAD_NORM] = norm
        update = _Update(self, settings, factor)
        new = {name: update.parameter(name, arrays[name], grad) for name, grad in gradients.items()}
        update.store()
        self._stored = self.state["step"]
        return replaced(params, new)

    def _check_gradients(self, arrays: dict[str, Any], gradients: dict[str, Any]) -> None:
        for name, grad in gradients.items():
            if name not in arrays:
                hint = nearest(name, arrays)
                raise ValueError(f"{self.label}: gradient {name!r} has no parameter; {hint}")
            w = arrays[name]
            self._check_array(name, w)
            if not is_floating(grad):
                raise TypeError(f"{self.label}: the gradient of {name!r} is of type {grad.dtype}")
            if grad.shape != w.shape:
                raise ValueError(
                    f"{self.label}: the gradient of {name!r} has shape {grad.shape}, the parameter "
                    f"{w.shape}"
                )
            entry = self.state["params"].get(name, {})
            for state in self.rule.arrays:
                found = entry.get(state.key)
                if found is not None and found.shape != state.shape(w.shape):
                    raise ValueError(
                        f"{self.label}: parameter {name!r} has shape {w.shape}, its state "
                        f"{state.key!r} {found.shape}; call init(params) after a change of shape"
                    )

    def _leave_behind(self, entry: dict[str, Any]) -> None:
        """Give a parameter without a gradient its own step count and scalar states."""
        for key in ("step", *(state.key for state in self.rule.scalar_states)):
            if key in self.state and key not in entry:
                entry[key] = self.state[key]

    # -- saving and loading -----------------------------------------------------------------------

    def saved_entries(self) -> dict[str, dict[str, Any]]:
        """The state of each parameter as ``state[param]`` would have it, step count included."""
        clock_keys = [state.key for state in self.rule.scalar_states]
        if self.rule.counts_steps:
            clock_keys.insert(0, "step")
        found = {}
        for name, entry in self.state.get("params", {}).items():
            clock = entry if "step" in entry else self.state
            states = {key: value for key, value in entry.items() if key not in ("started", "step")}
            found[name] = {**{key: clock[key] for key in clock_keys if key in clock}, **states}
        return found

    def load(self, settings: Settings, entries: Mapping[str, dict[str, Any]]) -> None:
        """Replace the state by checked entries; the commonest step count becomes the shared one."""
        keys = ("step", *(state.key for state in self.rule.scalar_states))
        clocks = {
            name: tuple((key, entry[key]) for key in keys if key in entry)
            for name, entry in entries.items()
        }
        tally = Counter(clocks.values())
        shared = tally.most_common(1)[0][0] if tally else ()
        for key in keys[1:]:
            self.state.pop(key, None)
        self.state.update({"step": mx.array(0, dtype=mx.int32), **_clock(dict(shared))})
        if "lr" in settings.values:
            self.state["lr"] = mx.array(settings.values["lr"], dtype=mx.float32)
        marks_start = _marks_start(self.rule)
        for name, entry in entries.items():
            own = {} if clocks[name] == shared else _clock({"step": 0, **dict(clocks[name])})
            present = self.state["params"][name]
            arrays = {
                key: as_mlx(value, _type_of(present.get(key, value)))
                for key, value in entry.items()
                if key not in keys
            }
            started = {"started": mx.array(True)} if marks_start and entry.get("step") else {}
            self.state["params"][name] = {**arrays, **own, **started}
        self._stored = self.state["step"]


def _type_of(value: Any) -> Any:
    return value.dtype if isinstance(value, mx.array) else mx.float32


def _clock(values: dict[str, Any]) -> dict[str, Array]:
    """Step count and scalar states as 0-d arrays."""
    return {
        key: mx.array(value, dtype=mx.int32 if key == "step" else mx.float32)
        for key, value in values.items()
    }


def _marks_start(rule: Rule) -> bool:
    """Whether a function of the rule asks for a parameter's first step."""
    functions = (function_of(rule, name) for name in ("step", "captured_step", "scalars"))
    return any("first_w" in names_of(function) for function in functions if function is not None)


class _Update:
    """One update: the host arithmetic once per step count, then each parameter."""

    def __init__(self, owner: TreeState, settings: Settings, factor: Array | None) -> None:
        rule = owner.rule
        self.factor = factor  # what gradients are multiplied by, if they are clipped to a norm
        self.state, self.settings, self.rule = owner.state, settings, rule
        self.kernel, self.no_decay = owner.kernel, owner.no_decay
        self.has_masters = owner.has_masters
        self.without_decay = settings if self.no_decay is None else settings.without_decay()
        self.suffix = "step" if function_of(rule, "captured_step") is None else "captured_step"
        self.host: Callable[..., Any] | None = (
            None if rule.scalars is None else required_function(rule, "scalars")
        )
        self.marks_start = _marks_start(rule)
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
        if self.no_decay is not None and is_exempt(self.no_decay, name, w):
            settings = self.without_decay
        choices, values = self._host_values(settings, clock, kind, entry, 0 if started else 1)
        arrays = settings.arrays
        on, known = tuple(choices.items()), tuple(values)
        step = chosen(self.kernel, w, self.rule, self.suffix, arrays, on, known)
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
