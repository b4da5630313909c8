"""MLX updates MLX's arrays: pure functions, compiled once per rule and static choices.

Owns the backend, the wrapping of generated functions for ``mx.compile``, and the single evaluation
of a step. MLX is imported by this module, which is itself imported only when an MLX array is met.
Does not own checks of gradients and groups (``step``).

One compiled function serves one parameter at a time: independent graphs never share a kernel, a new
subset of parameters needs no new trace, and it measured as fast as one function over all. On a GPU
kernels of ours take its place (``gpu.trial``), for many small tensors at once (``gpu.packing``).
"""

from __future__ import annotations

import importlib
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import mlx.core as mx

from ..checking import warning_level
from ..groups.bucket import Bucket, Part
from ..groups.states import Seen
from ..rules import mlx_philox
from ..rules.calling import unknown_name
from ..rules.rule import Rule, State, equation_axes, names_of
from .gpu import ANY, languages, packing, trial
from .gpu.packing import New
from .mlx_arrays import computing_type, state_array

Array = Any  # mlx.core.array has no usable type information for operators


class Step:
    """A compiled step: which scalars it reads, and the function that runs it.

    The function takes a weight, its gradient, its states and the scalars; where the rule draws
    random numbers, also the stream of the parameter.
    """

    __slots__ = ("run", "scalars")

    def __init__(self, scalars: tuple[str, ...], run: Callable[..., Any]) -> None:
        self.scalars = scalars
        self.run = run


def function_of(rule: Rule, suffix: str) -> Callable[..., Any] | None:
    """The function {name}_{suffix} of a rule's MLX module, if it has one."""
    module = rule.targets.get("mlx")
    if module is None:
        raise RuntimeError(
            f"{rule.name}: the package was built without steps for MLX arrays; build it with "
            f"`lucidgen build --target numpy,mlx`, or for all targets"
        )
    found = getattr(importlib.import_module(module), f"{rule.name}_{suffix}", None)
    return found if callable(found) else None


def required_function(rule: Rule, suffix: str) -> Callable[..., Any]:
    """The function {name}_{suffix} of a rule's MLX module."""
    function = function_of(rule, suffix)
    if function is None:
        raise ImportError(
            f"{rule.targets['mlx']} has no function {rule.name}_{suffix}; run `lucidgen build`"
        )
    return function


@cache
def compiled(
    rule: Rule,
    suffix: str,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Step:
    """The compiled step of a rule for these live states and static choices.

    ``known`` are the scalars that exist. The compiled function takes w, grad, the live states and
    the scalars, and returns the new w and live states in the types that came in.
    """
    _warn_without_compiler()
    function = required_function(rule, suffix)
    constants: dict[str, Any] = dict(choices)
    constants.update({state.name: None for state in rule.arrays if state not in arrays})
    draws = rule.drawn(constants)
    constants.update({draw.name: None for draw in rule.draws if draw not in draws})
    names = names_of(function)
    live = tuple(state.name for state in arrays)
    scalars = tuple(name for name in names if name in known and name not in constants)
    drawn = tuple(draw.name for draw in draws)
    given = {"w", "grad", *live, *drawn, *scalars, *constants}
    if not given.issuperset(names):
        raise unknown_name(function, dict.fromkeys(given))
    returned = [1 + index for index, state in enumerate(rule.arrays) if state in arrays]
    fixed = {name: value for name, value in constants.items() if name in names}
    as_matrix = rule.shaped and rule.matrices == "first"  # what is no matrix is seen as it is
    elements = ("w", "grad", *(state.name for state in arrays if state.domain == "element"), *drawn)

    def step(
        w: Array, grad: Array, states: list[Array], values: list[Array], numbers: list[Array]
    ) -> list[Array]:
        kind, work = w.dtype, computing_type(w.dtype)
        available = dict(zip(live, (state.astype(work) for state in states), strict=True))
        available["w"], available["grad"] = w.astype(work), grad.astype(kind).astype(work)
        available |= dict(zip(drawn, (some.astype(work) for some in numbers), strict=True))
        if as_matrix:
            shape = equation_axes(w.shape, rule.matrices)
            available |= {name: available[name].reshape(shape) for name in elements}
        arguments = {name: available[name] for name in names if name in available}
        results = function(**arguments, **dict(zip(scalars, values, strict=True)), **fixed)
        new = [results[index].astype(kind) for index in (0, *returned)]
        if as_matrix:
            kept = ("w", *live)
            new = [
                a.reshape(w.shape) if n in elements else a for n, a in zip(kept, new, strict=True)
            ]
        return new

    compiled_step = mx.compile(step)

    def run(
        w: Array, grad: Array, states: list[Array], values: list[Array], stream: Array = None
    ) -> Any:
        numbers = [mlx_philox.draw(draw.kind, stream, draw.number, w.shape) for draw in draws]
        return compiled_step(w, grad, states, values, numbers)

    return Step(scalars, run)


def chosen(
    kernels: str | None,
    w: Array,
    rule: Rule,
    suffix: str,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> trial.Step:
    """The step of a parameter: by a kernel where MLX runs on a GPU, or as compiled.

    ``kernels`` is what ``kernel_choice`` says of kernels on a GPU.
    """
    reference = compiled(rule, suffix, arrays, choices, known)
    if kernels is None or (kernels == ANY and languages.running() is None):
        return reference
    return trial.step(kernels, reference, w, rule, arrays, choices, known)


def step_for(bucket: Bucket, kernels: str | None, w: Array, suffix: str = "step") -> trial.Step:
    """The step of a bucket, by the rule's function {name}_{suffix}; its choices are static."""
    settings, choices = bucket.settings, tuple(bucket.choices.items())
    known = tuple([name for name in bucket.values if name not in bucket.choices])
    return chosen(kernels, w, settings.rule, suffix, settings.arrays, choices, known)


class MLX:
    """The backend: by kernels on a GPU as far as they are wanted, else by MLX's own functions."""

    def __init__(self, kernels: str | None) -> None:
        self.kernels = kernels

    def prepare(
        self, parts: Sequence[Part], own: dict[str, Any]
    ) -> tuple[list[Call], Sequence[Part]]:
        """Compute all parts, evaluated together; nothing is left.

        Raises
        ------
        RuntimeError
            If kernels are demanded that cannot be had.
        """
        calls = [Call(part, self._updated(part)) for part in parts]
        mx.eval([new.arrays for call in calls for new in call.results])
        return calls, ()

    def _updated(self, part: Part) -> list[New]:
        """What a step makes of the parameters of a part, in their order; nothing is evaluated."""
        bucket, settings = part.bucket, part.bucket.settings
        alike: dict[Any, list[int]] = {}
        for index, slot in enumerate(part.slots):
            w = slot.param.data
            alike.setdefault((w.dtype, w.size > trial.MOST_ELEMENTS), []).append(index)
        found: dict[int, New] = {}
        for indices in alike.values():
            members = []
            for index in indices:
                slot, grad = part.slots[index], part.grads[index]
                if slot.seen is None:
                    w, entry = slot.param.data, slot.entry
                    states = [state_array(state, entry, settings, w) for state in settings.arrays]
                else:
                    states = [array for _, array in slot.seen.sources]
                stream = () if part.streams is None else (mx.array(part.streams[index]),)
                members.append((slot, grad, states, stream))
            w = members[0][0].param.data
            step, kind = step_for(bucket, self.kernels, w), computing_type(w.dtype)
            values = [mx.array(bucket.values[name], dtype=kind) for name in step.scalars]
            if isinstance(step, trial.Tried):
                new = packing.run(step, members, values)
            else:
                new = [
                    New(step.run(slot.param.data, grad, old, values, *stream))
                    for slot, grad, old, stream in members
                ]
            found.update(zip(indices, new, strict=True))
        return [found[index] for index in range(len(part.slots))]


class Call:
    """The new arrays of the parameters of a part, ready to take the places of the old."""

    def __init__(self, part: Part, results: list[New]) -> None:
        self.part, self.results = part, results

    def run(self) -> None:
        """Put them there."""
        arrays = self.part.bucket.settings.arrays
        keys = [state.key for state in arrays]
        for slot, ((w, *states), place) in zip(self.part.slots, self.results, strict=True):
            slot.param.data = w
            slot.seen = seen = Seen(w, arrays, tuple(zip(keys, states, strict=True)))
            slot.entry.update(seen.sources)
            if place is not None:
                seen.own[packing.PLACE] = place


@cache
def _warn_without_compiler() -> None:
    on_linux_cpu = sys.platform == "linux" and mx.default_device() == mx.Device(mx.cpu)
    if on_linux_cpu and shutil.which("g++") is None:
        warnings.warn(
            "MLX compiles its CPU kernels with g++, which is not on the PATH: steps are correct "
            "but several times slower. Install g++ to change that.",
            RuntimeWarning,
            stacklevel=warning_level(),
        )
