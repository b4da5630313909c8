"""What is checked: each reading of each optimizer, as the compiler emits it, and its steps.

Owns the way from a spec to an emitted rule with its kernel, and from static choices and a step
number to the runtime's own call of that kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np

from ...ir.lower import lower
from ...ir.program import Program
from ...passes import optimize
from ...runtime import Parameter
from ...runtime.backends.gpu.call import Call, covering
from ...runtime.backends.gpu.kernel import Kernel, kernel_of
from ...runtime.backends.mlx import required_function
from ...runtime.backends.numpy import NumPy
from ...runtime.groups.bucket import Bucket, Members, Part, first_updates, old_scalars
from ...runtime.groups.settings import Settings
from ...runtime.groups.states import Slot
from ...runtime.rules import mlx_philox, philox
from ...runtime.rules.rule import GROUP_STEP, Rule, names_of
from ...runtime.step.rounds import Rounds
from ...spec.optimizer import OptimizerSpec
from ..emitted import arguments, build, settings
from ..setting import Setting
from .text import UnreadableText, inlined, kernels

Array = Any

#: What the name of a file of complete kernels ends with, by language.
COMPLETE = {"metal": ".metal", "cuda": ".cu"}


@dataclass(frozen=True)
class Subject:
    """One rule: the spec's reading, the emitted data, its kernel, and the file of complete ones.

    `source` is that file, `standalone` its text with that of the header in it. `readings` are all
    that compute the same. `change` is done to what the runtime puts around the kernel's function:
    it makes mutants.
    """

    title: str
    cls: Any
    main: OptimizerSpec
    spec: OptimizerSpec
    program: Program
    rule: Rule
    kernel: Kernel
    standalone: str
    source: Path
    readings: tuple[str, ...]
    change: Callable[[str], str] = lambda source: source

    @property
    def tame(self) -> bool:
        """Whether an extreme value would blot out all others."""
        return self.rule.reduces

    @property
    def is_alone(self) -> bool:
        """Whether the text of complete kernels in Metal has one for this rule's elements."""
        entries = (entry for kernel in kernels(self.standalone) for entry in kernel.entries)
        return any(entry.name == f"{self.rule.name}_float" for entry in entries)

    @property
    def series(self) -> dict[str, str]:
        """The name of each state in the equations, by its key."""
        return {series.saved_as: series.name for series in self.spec.states}

    def settings(self) -> list[Setting]:
        """Every legal combination of static choices."""
        return list(settings(self.spec, self.main))

    def with_kernel(self, **changes: Any) -> Subject:
        """The subject with another kernel: a mutant of it."""
        return replace(self, kernel=replace(self.kernel, **changes))


def subjects(
    specs: Sequence[OptimizerSpec], folder: Path, language: str = "metal"
) -> Iterator[Subject]:
    """The rules of some specs that have kernels, emitted to a folder and imported from there."""
    yield from subjects_in(build(specs, folder), specs, language)


def subjects_in(
    package: ModuleType, specs: Sequence[OptimizerSpec], language: str = "metal"
) -> Iterator[Subject]:
    """The rules of some specs that have kernels in a package; the specs are of one spec file."""
    module = getattr(package, specs[0].name).__module__.rpartition(".")[2]
    source = Path(package.__path__[0]) / f"_{language}" / f"{module}{COMPLETE[language]}"
    if not source.exists():
        return
    standalone = inlined(source)
    for main in specs:
        cls = getattr(package, main.name)
        shared: dict[str, list[str]] = {}
        for reading in main.readings:
            shared.setdefault(cls.rules[reading].name, []).append(reading)
        for first, *others in shared.values():
            spec, rule = main.readings[first], cls.rules[first]
            kernel = kernel_of(rule, language)
            if kernel is not None:
                title = f"{main.name} ({', '.join([first, *others])})"
                program = optimize(lower(spec))
                readings = (first, *others)
                yield Subject(
                    title, cls, main, spec, program, rule, kernel, standalone, source, readings
                )


@dataclass
class Walk:
    """A parameter under one setting of a subject, stepped by its kernel on some machine."""

    subject: Subject
    setting: Setting
    w: Array
    entry: dict[str, Any] = field(default_factory=dict)
    group: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        subject = self.subject
        parameter = Parameter(np.zeros(1, dtype=np.float32))
        given = arguments(self.setting, subject.main)
        optimizer = subject.cls([parameter], dialect=self.setting.spec.reading, **given)
        of_group: Settings = optimizer.param_groups[0].settings
        shape = self.w.shape if self.setting.shape is None else self.setting.shape
        self.settled = of_group.of(shape)

    def before(self) -> dict[str, Any]:
        """The states that exist, by the names of their series, as the oracle wants them."""
        names = self.subject.series
        return {
            names[key]: np.array(value.astype(mx.float32), dtype=np.float64)
            if isinstance(value, mx.array)
            else value
            for key, value in {**self.entry, **self.group}.items()
            if key in names
        }

    def step(self, t: int, grad: Array) -> Step:
        """The runtime's own call for step t, and what it is called with."""
        settled, entry = self.settled, self.entry
        olds = old_scalars(settled, entry, self.w)
        bucket = Bucket(settled, t, first_updates(settled, entry, entry), olds)
        group: dict[str, Any] = {}
        given = settled.of_loss(self.setting.loss(t))
        if settled.rule.rounds:
            given, group = self._of_group(bucket, grad, given)
        if given:
            bucket = bucket.knowing(given)
        known = tuple(name for name in bucket.values if name not in bucket.choices)
        kernel = self.subject.kernel
        call = covering(kernel, settled.arrays, tuple(bucket.choices.items()), known)
        if call is None:
            raise UnreadableText(f"{self.subject.title}: the kernel does not cover {self.setting}")
        states = [self._state(state) for state in settled.arrays]
        return Step(self, bucket, call, grad, states, group)

    def _of_group(
        self, bucket: Bucket, grad: Array, given: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The numbers of a group that has this parameter alone, as NumPy has them."""
        w, of_grad = (np.array(x.astype(mx.float32)) for x in (self.w, grad))
        entry = {key: np.array(value) for key, value in self.before().items()}
        keys = {name: key for key, name in self.subject.series.items()}
        slot = Slot(Parameter(w), {keys[name]: value for name, value in entry.items()})
        part = Part(np.ndarray, bucket, Members([slot]), [of_grad])
        counted = {GROUP_STEP: bucket.t - 1} if self.group else {}  # steps may be left out
        own = self.settled, {**self.group, **counted}, [part]
        return Rounds().run(*own, lambda parts: NumPy().prepare(parts, {})[0], given)

    def _state(self, state: Any) -> Array:
        found = self.entry.get(state.key)
        if found is not None:
            return found
        made = mx.array(self.settled.start(state, self.w))
        return mx.broadcast_to(made.astype(self.w.dtype), state.shape(self.w.shape))


@dataclass(frozen=True)
class Step:
    """One step of a walk, ready to be taken."""

    walk: Walk
    bucket: Bucket
    call: Call
    grad: Array
    states: list[Array]
    group: dict[str, Any]

    @property
    def stream(self) -> tuple[Array, ...]:
        """The stream of the first parameter, where the rule draws random numbers."""
        settled = self.walk.settled
        if not settled.rule.draws:
            return ()
        found = philox.streams(settled.seed, self.bucket.t, np.zeros(1, dtype=np.uint64))
        return (mx.array(found[0]),)

    def take(self) -> dict[str, Array]:
        """The new w and live states by name; the walk moves on."""
        walk = self.walk
        values = [mx.array(self.bucket.values[n], dtype=mx.float32) for n in self.call.scalars]
        new_w, *new = self.call.run(walk.w, self.grad, self.states, values, *self.stream)
        arrays = walk.settled.arrays
        walk.w = new_w
        walk.entry |= {s.key: array for s, array in zip(arrays, new, strict=True)}
        walk.entry |= self.bucket.scalars
        walk.group |= self.group
        names = walk.subject.series
        return {"w": new_w, **{names[s.key]: a for s, a in zip(arrays, new, strict=True)}}

    def in_single_precision(self) -> Step:
        """The step with all arrays in float32."""
        states = [state.astype(mx.float32) for state in self.states]
        return replace(self, grad=self.grad.astype(mx.float32), states=states)

    def reference(self, w: Array) -> dict[str, Array]:
        """What the MLX function makes of the same, uncompiled, in single precision."""
        rule = self.walk.subject.rule
        function = required_function(rule, "step")
        live = self.walk.settled.arrays
        available: dict[str, Any] = {s.name: None for s in rule.arrays}
        available |= {
            name: value if isinstance(value, bool) else mx.array(value, dtype=mx.float32)
            for name, value in self.bucket.values.items()
        }
        available |= {s.name: a for s, a in zip(live, self.states, strict=True)}
        available |= {"w": w, "grad": self.grad, **self.bucket.choices}
        available |= {
            draw.name: mlx_philox.draw(draw.kind, stream, draw.number, w.shape)
            for stream in self.stream
            for draw in rule.draws
        }
        results = function(**{name: available[name] for name in names_of(function)})
        named = dict(zip(("w", *(s.name for s in rule.arrays)), results, strict=True))
        names = self.walk.subject.series
        return {"w": named["w"], **{names[s.key]: named[s.name] for s in live}}
