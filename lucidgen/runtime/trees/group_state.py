"""The state of one group of a tree, as arrays that ``mx.compile`` can capture.

Owns ``GroupState``: the making, changing, saving and loading of the step count, the learning rate,
the scalar states, and the states of each parameter; where each is, the layout says.

Unless the layout is MLX's, a parameter whose gradient was missing once keeps its own "step" (and
scalar states) from then on.
``mx.compile`` hands captured arrays to a traced step by their order, not by their keys: so keys
never change places.
The arithmetic of an update is in ``update``; what groups have to do with each other in
``engine``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from ..arrays import as_mlx, is_half
from ..backends.mlx_arrays import state_array
from ..groups.settings import CLIP_VALUE, Group, Settings, as_argument, as_bound, as_hyper
from ..groups.states import MASTER_WEIGHT
from ..rules.rule import GROUP_STEP, Hyper, rate_of
from . import rounds
from .counts import check_count
from .rate import is_schedule, value_at
from .tracing import Tracing
from .update import Common, Update, marks_start

Array = Any


class GroupState:
    """The array state of one group and the update of its parameters."""

    def __init__(
        self,
        common: Common,
        group: Group,
        state: dict[str, Any],
        label: str,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.common, self.layout = common, common.layout
        self.rule = common.rule
        self.rate = rate_of(common.rule)
        self.group = group
        self.label = label
        self.state = state
        #: Of all parameters of the tree, as far as they are known.
        self.shapes = {} if shapes is None else shapes
        #: Whether each parameter has scalar states of its own, since they depend on its shape.
        self.has_own_clocks = self.rule.asks_shapes and bool(self.rule.scalar_states)
        self._tracing = Tracing()
        group.watch = self._watch

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The states of each parameter, by its name."""
        return self.layout.entries(self.state, self.shapes)

    @property
    def settings(self) -> Settings:
        settings = self.group.settings
        if settings is None:
            raise RuntimeError(f"{self.label}: the group was changed during an update")
        return settings

    @property
    def learning_rate(self) -> Array:
        """A 0-d array; before there is a state, what it will start with."""
        found = self.state.get(self.layout.rate)
        return mx.array(self.group[self.rate], dtype=mx.float32) if found is None else found

    # -- set-up -----------------------------------------------------------------------------------

    def start(self, tree: Any, arrays: Mapping[str, Array]) -> None:
        """Make the state for these parameters, in place of any there is."""
        self.begin()
        self.layout.put(self.state, tree, {n: self._entry(n, w) for n, w in arrays.items()})

    def begin(self) -> None:
        """Make the state before there are parameters, in place of any there is."""
        self.state.clear()
        self.state["step"] = self._count(0)
        self._set_lr()
        self.state.update({**self._scalars(), **rounds.begin(self.settings)})
        self._tracing = Tracing()
        self._tracing.put(self.state["step"])

    def adopt(self, found: Mapping[str, Any]) -> None:
        """Take what a state has for all parameters together, in the types that it has here."""
        clock = {key: value for key, value in found.items() if key != "params"}
        self.state.update(self._clock(clock))

    def complete(
        self,
        tree: Any,
        arrays: Mapping[str, Array],
        found: Mapping[str, Any],
    ) -> None:
        """Take what was found in a state, and make what it lacks for these parameters."""
        self._tracing = Tracing()
        self.adopt(found)
        if self.layout.rate not in self.state:
            self._set_lr()
        _add(self.state, {**self._scalars(), **rounds.begin(self.settings)})
        entries = {name: found["params"].get(name, {}) for name in arrays}
        for name, array in arrays.items():
            _add(entries[name], self._entry(name, array))
        self.layout.put(self.state, tree, entries)

    def _count(self, number: int) -> Array:
        return mx.array(number, dtype=getattr(mx, self.layout.count))

    def _set_lr(self) -> None:
        called = self.rule.called(self.rate)
        if called in self.settings.values:
            value = self.settings.values[called]
            self.state[self.layout.rate] = mx.array(value, dtype=mx.float32)

    def _entry(self, name: str, array: Array) -> dict[str, Any]:
        """The states of a parameter that exist before its first step."""
        settings = self.settings.of(tuple(array.shape))
        settings.check_shape(tuple(array.shape), f"{self.label}: parameter {name!r}")
        own = self._own_clock(settings)
        if self.common.has_masters and is_half(array):
            own[MASTER_WEIGHT] = array = array.astype(mx.float32)
        return own | {
            state.key: state_array(state, {}, settings, array)
            for state in self.layout.kept(settings)
            if not state.first
        }

    def _own_clock(self, settings: Settings) -> dict[str, Any]:
        """The step count and the scalar states of a parameter that has its own from the start."""
        if not self.has_own_clocks:
            return {}
        return {"step": self._count(0), **self._clock(self._first_scalars(settings))}

    def _scalars(self) -> dict[str, Array]:
        """The scalar states that all parameters have before the first step, as arrays."""
        if self.rule.asks_shapes:  # each has its own, if there are any
            return {}
        return self._clock(self._first_scalars(self.settings))

    def _first_scalars(self, settings: Settings) -> dict[str, float]:
        return {
            state.key: settings.start(state, None) for state in settings.scalars if not state.first
        }

    # -- hyperparameters --------------------------------------------------------------------------

    def _watch(self, group: Group, key: str, value: Any) -> Any:
        """Check a value that is about to be set; the rate goes to the array state as well."""
        argument = self.rule.arguments.get(key)
        if key == CLIP_VALUE:
            value = None if value is None else as_bound(value, self.label)
            self.check_change(key, group.get(key), value)
            return value
        if argument is None:
            return value
        if key == self.rate and isinstance(argument, Hyper):
            return self._new_lr(group, argument, value)
        value = as_argument(argument, value, self.label)
        self.check_change(key, group.get(key), value)
        return value

    def _new_lr(self, group: Group, argument: Hyper, value: Any) -> float:
        """A learning rate or a schedule of it, put in place."""
        schedule = value if is_schedule(value) else None
        if schedule is not group.schedule and self._tracing.has_happened():
            raise RuntimeError(
                f"{self.label}: {self.rate} is "
                + ("no schedule" if group.schedule is None else "a schedule")
                + " in the step that mx.compile has traced. Call init(params) and compile anew"
            )
        if schedule is not None:
            value = value_at(schedule, self.state.get("step", mx.array(0)), self.label)
        number = as_hyper(argument, value, self.label)
        group.schedule = schedule
        if self.layout.rate in self.state:
            self.state[self.layout.rate] = mx.array(number, dtype=mx.float32)
        assert isinstance(number, float)
        return number

    def check_change(self, key: str, old: Any, new: Any) -> None:
        """Refuse a change that a traced step would not notice: of anything but the rate."""
        is_fixed = key != self.rate and key not in self.rule.group_keys
        if is_fixed and not _are_equal(new, old) and self._tracing.has_happened():
            raise RuntimeError(
                f"{self.label}: {key} cannot change after the step was traced by mx.compile, which "
                f"has fixed {old!r}; only {self.rate} can. Call init(params) and compile anew"
            )

    # -- the update -------------------------------------------------------------------------------

    def apply(
        self,
        tree: Any,
        arrays: Mapping[str, Array],
        gradients: Mapping[str, Array],
        factor: Array | None,
        loss: Any,
    ) -> dict[str, Array]:
        """The new values of the parameters that have a gradient, times a factor if there is one."""
        self._tracing.see(self.state["step"])
        if self.group.schedule is not None:
            lr = value_at(self.group.schedule, self.state["step"], self.label)
            self.state[self.layout.rate] = lr
        entries = dict(self.entries)
        late = {n: self._entry(n, arrays[n]) for n in gradients if n not in entries}
        if not self.layout.is_mlx:
            for name in entries.keys() - gradients.keys():
                self._leave_behind(entries[name])
            for entry in late.values():
                entry.update({"step": self._count(0), **self._scalars()})
        if late:
            self.layout.put(self.state, tree, late)
            entries |= late
        update = Update(self.common, self.settings, self.state, entries, factor)
        if loss is not None:
            update.known = update.numbers(self.settings.of_loss(loss))
        kept: dict[str, Array] = {}
        if self.rule.rounds and gradients:
            update.known, kept = rounds.numbers(update, arrays, gradients)
        new = {name: update.parameter(name, arrays[name], gradients[name]) for name in gradients}
        update.store()
        self.state.update(kept)
        self._tracing.put(self.state["step"])
        return new

    def _leave_behind(self, entry: dict[str, Any]) -> None:
        """Give a parameter without a gradient its own step count and scalar states."""
        for key in ("step", *(state.key for state in self.rule.scalar_states)):
            if key in self.state and key not in entry:
                entry[key] = self.state[key]

    # -- saving and loading -----------------------------------------------------------------------

    def saved_values(self) -> dict[str, Any]:
        """What a state dict has of the group besides its values: the count of updates, and lr."""
        found: dict[str, Any] = {"updates": int(self.state["step"].item())}
        if self.layout.rate in self.state:
            lr = self.state[self.layout.rate].item()
            # It may be a schedule's, or written there by the user.
            if np.float32(self.group[self.rate]) != lr:
                found[self.rate] = lr
        for key in self.rule.group_keys:
            if key in self.state:
                found[key] = self.state[key].item()
        return found

    def saved_entries(self) -> dict[str, dict[str, Any]]:
        """The state of each parameter as ``state[param]`` would have it, step count included.

        It is empty for one that has not begun and waits for its weights.
        """
        clock_keys = [state.key for state in self.rule.scalar_states]
        if self.rule.counts_steps:
            clock_keys.insert(0, "step")
        found: dict[str, dict[str, Any]] = {}
        for name, entry in self.entries.items():
            settings = self.settings.of(self.shapes[name])
            begun = [s for s in settings.certain if s in settings.arrays and not s.first]
            unneeded = {s.key for s in self.rule.arrays} - {s.key for s in settings.arrays}
            clock = entry if "step" in entry else self.state
            states = {key: value for key, value in entry.items() if key not in ("started", "step")}
            if any(state.key not in entry for state in begun):
                found[name] = {}
                continue
            if self.layout.is_mlx:
                states = {key: value for key, value in states.items() if key not in unneeded}
            own = {key: clock[key] for key in clock_keys if key in clock}
            found[name] = self.layout.ours({**own, **states})
        return found

    def loaded(
        self, settings: Settings, entries: Mapping[str, dict[str, Any]], updates: int | None
    ) -> dict[str, Any]:
        """The state, made of checked entries for a group of these settings; nothing changes.

        The shared step count is the saved number of updates; where that was not saved, the
        commonest step count. A parameter without an entry begins afresh, and counts by itself.

        Raises
        ------
        ValueError
            If an array cannot hold a count.
        """
        keys = ("step", *(state.key for state in self.rule.scalar_states))
        entries = {name: self.layout.here(entry) for name, entry in entries.items()}
        clocks = {
            name: {key: entry[key] for key in keys if key in entry}
            for name, entry in entries.items()
        }
        fitting = [
            tuple(clock.items())
            for name, clock in clocks.items()
            if entries[name] and (updates is None or clock.get("step", updates) == updates)
        ]
        common = dict(Counter(fitting).most_common(1)[0][0]) if fitting else {}
        shared = {"step": updates or 0, **common}
        check_count(shared["step"], self.label)
        kept, params = self.entries, {}
        for name, entry in entries.items():
            own = settings.of(self.shapes[name])
            clock = {"step": 0 if self.rule.counts_steps else shared["step"], **clocks[name]}
            if not entry:
                clock |= self._first_scalars(own)
            check_count(clock["step"], f"{self.label}: parameter {name!r}")
            present = kept[name]
            new = {
                key: as_mlx(value, _type_of(present.get(key, value)))
                for key, value in entry.items()
                if key not in keys
            }
            if clock != shared or self.has_own_clocks:
                new |= self._clock(clock)
            if not entry:
                new |= self._zeros(own, present)
            elif marks_start(self.rule) and clock["step"]:
                new["started"] = mx.array(True)
            if self.layout.is_mlx:  # what the arguments do not need stays as it is
                always = (state.key for state in self.layout.kept(own))
                new = {key: present[key] for key in always if key in present} | new
            params[name] = new
        return {**self._clock(shared), "params": params}

    def _zeros(self, settings: Settings, present: Mapping[str, Array]) -> dict[str, Array]:
        """The states that begin as zeros; others need the weights, and are made when they begin."""
        return {
            state.key: mx.zeros_like(present[state.key])
            for state in settings.arrays
            if state.start is None and not state.first and state.key in present
        }

    def load(self, values: Mapping[str, Any], settings: Settings, state: dict[str, Any]) -> None:
        """Put checked values and the state that ``loaded`` made of entries in place."""
        of_group = {key: values[key] for key in self.rule.group_keys if key in values}
        dict.update(self.group, {key: values[key] for key in values if key not in of_group})
        self.group.settings = settings
        state.update({**rounds.begin(settings), **self._clock(of_group)})
        scalars = (state.key for state in self.rule.scalar_states)
        for key in ("step", *scalars, *self.rule.group_keys):
            if key not in state:
                self.state.pop(key, None)
        kept = self.entries
        for name, entry in state.pop("params").items():
            _replace(kept[name], entry)
        self.state.update(state)
        self._set_lr()
        self._tracing.put(self.state["step"])

    def assign(self, state: dict[str, Any]) -> None:
        """Put an assigned state, which ``parsed`` has checked, in place."""
        clock = self._clock({key: value for key, value in state.items() if key != "params"})
        present = self.entries
        if self.layout.is_mlx:
            self.state.update(clock)
            for name, entry in state["params"].items():
                _replace(present[name], entry)
        else:
            entries = _in_order_of(present, state["params"])
            for name, entry in entries.items():
                entries[name] = _in_order_of(present.get(name, {}), entry)
            _replace(self.state, {**clock, "params": entries})
        self._tracing.put(self.state["step"])

    def _clock(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Step count, learning rate and scalar states as 0-d arrays."""
        kinds = dict.fromkeys(values, mx.float32)
        kinds |= {"step": getattr(mx, self.layout.count), GROUP_STEP: mx.int32}
        return {
            key: value.astype(kinds[key])
            if isinstance(value, mx.array)
            else mx.array(value, dtype=kinds[key])
            for key, value in values.items()
        }


def _are_equal(new: Any, old: Any) -> bool:
    """Whether two values are; what schedulers note may be arrays, of which nobody can say."""
    try:
        return bool(new == old)
    except (TypeError, ValueError):
        return False


def _add(present: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Add what is not there yet; what is there keeps its place."""
    for key, value in new.items():
        present.setdefault(key, value)


def _in_order_of(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The new dict with its keys where they were: compiled steps know arrays by their order."""
    return {key: new[key] for key in (*(k for k in before if k in new), *new)}


def _replace(present: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Give a dict other contents, with the keys in their places."""
    ordered = _in_order_of(present, new)
    present.clear()
    present.update(ordered)


def _type_of(value: Any) -> Any:
    return value.dtype if isinstance(value, mx.array) else mx.float32
