"""The check of GPU kernels: read their texts, compile them for this machine, run and compare.

Owns what is compared with what, and the report. Of each rule and each legal combination of static
choices, at several steps:

- each text that MLX assembles for Metal, and the complete `.metal` file, is read by `rules`;
- in single precision the new values lie within the running error bound of the oracle's, and where
  there is no bound, they are finite, infinite or nan where the MLX function's are;
- in half precision they are those of single precision, rounded: arithmetic is in float32;
- each text gives the same elements at every size, whatever their number;
- the kernel for many tensors gives the same elements as that for one;
- the complete kernel (`.metal`, `.cu`) leaves the same in its buffers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

from ...operations.bounds import FLOAT32
from ...runtime.backends.gpu.call import FEW
from ...runtime.backends.gpu.languages import CUDA, LANGUAGES, METAL
from ..oracle import Trajectory
from ..rounding import Enclosure, Undecided, compare
from ..setting import Setting
from . import cuda_check, cuda_host
from .host import DoesNotCompile, Fault, Program
from .inputs import POOL, SIZES, STEPS, pool
from .machine import Machine, data_of, threads
from .rules import violations
from .subjects import Step, Subject, Walk

Array = Any

TYPES = (mx.float32, mx.float16, mx.bfloat16)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Checked:
    """What a check of one rule showed."""

    title: str
    findings: list[Finding] = field(default_factory=list)
    choices: int = 0
    texts: int = 0
    calls: int = 0
    compared: int = 0
    worst: float = 0.0
    is_complete: bool = False  # a file of complete kernels was compared, too

    @property
    def passed(self) -> bool:
        """Whether nothing was found, and something was compared."""
        return not self.findings and self.compared > 0

    def add(self, where: str, what: str) -> None:
        """Note a finding, once."""
        finding = Finding(where, what)
        if finding not in self.findings:
            self.findings.append(finding)


def check(
    subjects: Iterable[Subject],
    *,
    sizes: Sequence[int] = SIZES,
    steps: Sequence[int] = STEPS,
    types: Sequence[Any] = TYPES,
    among: Callable[[list[Setting]], Sequence[Setting]] = list,
) -> list[Checked]:
    """Check kernels; all texts are compiled together.

    Parameters
    ----------
    subjects : iterable of Subject
        The rules.
    sizes, steps, types : sequences
        What each combination of static choices is tried on.
    among : callable, optional
        Takes the combinations of static choices of a rule to those that are checked; all of them
        by default.
    """
    plans = [_Plan(s, sizes, steps, types, among(s.settings())) for s in subjects]
    for plan in plans:
        plan.collect()
    sound = [plan for plan in plans if not plan.report.findings]
    try:
        _compile(sound)
        for plan in sound:
            plan.compile_complete()
            if not plan.report.findings:
                with plan.machine.installed(), np.errstate(all="ignore"):
                    plan.run()
    finally:
        for plan in sound:
            plan.close()
    return [plan.report for plan in plans]


def _compile(plans: Sequence[_Plan]) -> None:
    """One program for all; those whose texts the compiler refuses are left out of it."""
    while plans:
        try:
            program = Program([text for plan in plans for text in plan.texts])
        except DoesNotCompile as error:
            for plan in plans:
                for text in plan.texts:
                    if text in error.said:
                        plan.report.add("the host's compiler", error.said[text])
            plans = [plan for plan in plans if not plan.report.findings]
            continue
        for plan in plans:
            plan.machine.program = program
        return


class _Plan:
    """The check of one subject."""

    def __init__(
        self,
        subject: Subject,
        sizes: Sequence[int],
        steps: Sequence[int],
        types: Sequence[Any],
        settings: Sequence[Setting],
    ) -> None:
        language = LANGUAGES[subject.kernel.language]
        self.subject, self.machine = subject, Machine(change=subject.change, language=language)
        self.sizes, self.steps, self.types = sizes, steps, types
        self.settings = settings
        # Settings may differ in the parameter's shape alone.
        self.report = Checked(subject.title, choices=len(set(map(chosen, self.settings))))
        self.sized: set[str] = set()  # texts that were run at every size
        self.extra = [subject.standalone] if language is METAL and subject.is_alone else []
        self.report.is_complete = bool(self.extra)
        self.complete: cuda_host.Program | None = None
        self.cases: dict[cuda_host.Case, None] = {}  # the complete kernels that steps ask for

    @property
    def texts(self) -> list[str]:
        """Every text that is compiled."""
        return [*self.machine.texts.values(), *self.extra]

    def compile_complete(self) -> None:
        """Compile what is no text of MLX's; in Metal, all texts are one program."""
        if self.machine.language is CUDA:
            try:
                self.complete = cuda_check.program(self.subject, list(self.cases))
                self.report.is_complete = self.complete is not None
            except ValueError as said:
                self.report.add("the host's compiler", str(said))

    def _complete_with(self, case: cuda_host.Case) -> None:
        """Compile again for a case that follows from the numbers of a step alone."""
        if self.complete is not None and case not in self.cases:
            self.complete.close()
            self.complete, self.cases[case] = None, None
            self.compile_complete()

    def close(self) -> None:
        """Stop and remove what was compiled."""
        self.machine.close()
        if self.complete is not None:
            self.complete.close()

    def collect(self) -> None:
        """Find every text, and read it."""
        try:
            with self.machine.installed():
                for setting in self.settings:
                    for kind in self.types:
                        for size in (POOL, *[n for n in self.sizes if n < 8][:1]):
                            self._walk(setting, kind, size)
            self.report.texts = len(self.machine.texts)
            seen: set[str] = set()
            for key, text in [*self.machine.texts.items(), *((t, t) for t in self.extra)]:
                for what in violations(text, key[0] not in seen):
                    self.report.add("reading the text", what)
                seen.add(key[0])
        except ValueError as error:
            self.report.add("assembling the text", str(error))

    def _walk(self, setting: Setting, kind: Any, size: int) -> None:
        walk = Walk(self.subject, setting, mx.zeros(size, dtype=kind))
        for t in self.steps:
            step = walk.step(t, mx.zeros(size, dtype=kind))
            assert step.take()
            self.cases[cuda_check.case_of(self.subject.rule, kind, step)] = None
            if size >= FEW and self._packs(setting, kind, t, step):
                self._many(step, [walk.w, step.grad, *step.states])

    def run(self) -> None:
        """Run every combination; a fault ends it."""
        for setting in self.settings:
            for kind in self.types:
                where = f"{self.subject.title}, {described(setting)}, {_plain(kind)}"
                try:
                    self._compare(setting, kind, where)
                except Fault as fault:
                    self.report.add(where, str(fault))
                    return

    def _compare(self, setting: Setting, kind: Any, where: str) -> None:
        w, _ = pool(0, self.subject.tame)
        walk = Walk(self.subject, setting, mx.array(w).astype(kind))
        for t in self.steps:
            grad = mx.array(pool(t, self.subject.tame)[1]).astype(kind)
            before, old_w = walk.before(), walk.w
            step = walk.step(t, grad)
            new = step.take()
            self.report.calls += 1
            at = f"{where}, step {t}"
            if kind == mx.float32:
                self._against_oracle(at, setting, t, old_w, before, grad, new)
                self._against_reference(at, step, old_w, new)
            assert self.machine.last is not None
            _, call = self.machine.last
            outputs = self._again(call)
            if kind != mx.float32:
                self._against_single(at, call, outputs)
            text = self.machine.text(*self.machine.last)
            for size in self.sizes if text not in self.sized else ():
                self._against_pool(at, call, outputs, size)
            self.sized.add(text)
            if self._packs(setting, kind, t, step):
                self._against_many(at, step, call, outputs)
            if self.extra:
                self._against_standalone(at, step, call, outputs)
            self._complete_with(cuda_check.case_of(self.subject.rule, kind, step))
            if self.complete is not None:
                self.report.calls += 1
                rule = self.subject.rule
                for what in cuda_check.differences(self.complete, rule, step, call, outputs):
                    self.report.add(at, what)

    # One comparison each

    def _again(self, call: Mapping[str, Any], **changes: Any) -> list[Array]:
        assert self.machine.last is not None
        self.report.calls += 1
        return self.machine.call(self.machine.last[0], {**call, **changes})

    def _against_oracle(
        self,
        at: str,
        setting: Setting,
        t: int,
        w: Array,
        before: dict[str, Any],
        grad: Array,
        new: Mapping[str, Array],
    ) -> None:
        exact_w, exact_grad = (np.array(x, dtype=np.float64) for x in (w, grad))
        truth = Trajectory(setting, exact_w, dict(before), t - 1)
        bound = Enclosure(setting, self.subject.program, FLOAT32, exact_w, dict(before), t - 1)
        truth.step(exact_grad)
        try:
            bound.step(exact_grad)
        except Undecided:
            return
        for name, values in new.items():
            exact = truth.w if name == "w" else truth.states[name]
            error = bound.w if name == "w" else bound.states[name]
            found = compare(np.array(values), exact, error)
            self.report.compared += len(found.ratios)
            self.report.worst = max(self.report.worst, found.worst)
            if found.worst > 1:
                self.report.add(at, f"{name} is {found.worst:.3g} error bounds from the oracle's")

    def _against_reference(self, at: str, step: Step, w: Array, new: Mapping[str, Array]) -> None:
        for name, expected in step.reference(w).items():
            mine, other = np.array(new[name]), np.array(expected)
            if not np.array_equal(_kind_of(mine), _kind_of(other)):
                self.report.add(at, f"{name} is finite where the MLX function's is not, or not so")

    def _against_single(self, at: str, call: Mapping[str, Any], outputs: Sequence[Array]) -> None:
        arrays = len(outputs) + 1
        single = [a.astype(mx.float32) for a in call["inputs"][:arrays]]
        found = self._again(
            call,
            inputs=[*single, *call["inputs"][arrays:]],
            template=[("T", mx.float32), *call["template"][1:]],
            output_dtypes=[mx.float32] * len(outputs),
        )
        for number, (mine, other) in enumerate(zip(outputs, found, strict=True)):
            if not _same(mine, other.astype(mine.dtype)):
                self.report.add(at, f"output {number} is not that of float32, rounded")

    def _against_pool(
        self, at: str, call: Mapping[str, Any], outputs: Sequence[Array], size: int
    ) -> None:
        index = mx.arange(size) % POOL
        arrays = [a[index] for a in call["inputs"][: len(outputs) + 1]]
        scalars = call["inputs"][len(outputs) + 1 : -1]
        found = self._again(
            call,
            inputs=[*arrays, *scalars, mx.array(size, dtype=mx.uint32)],
            grid=(size, 1, 1),
            threadgroup=(min(size, call["threadgroup"][0]), 1, 1),
            output_shapes=[(size,)] * len(outputs),
        )
        if self.subject.rule.draws:  # further elements have other random numbers
            found, index = [mine[:POOL] for mine in found], index[:POOL]
        for number, (mine, whole) in enumerate(zip(found, outputs, strict=True)):
            if not _same(mine, whole[index]):
                self.report.add(at, f"output {number} depends on the size of the array ({size})")

    def _packs(self, setting: Setting, kind: Any, t: int, step: Step) -> bool:
        """Whether the kernel for many tensors is tried: at the last step, when states differ.

        Every choice is tried in one type, and every type with one choice.
        """
        is_first = kind == self.types[0] or setting is self.settings[0]
        return is_first and t == self.steps[-1] and step.call.most() > 1

    def _many(self, step: Step, arrays: Sequence[Array]) -> list[Array]:
        """What the kernel for as many tensors as can be makes of parts of w, grad and states.

        Each tensor is another cut of the given arrays, of another size.
        """
        w, grad, *states = arrays
        cuts = self._cuts(step)
        values = [mx.array(step.bucket.values[n], dtype=mx.float32) for n in step.call.scalars]
        flats = [mx.concatenate([state[cut] for cut in cuts]) for state in states]
        self.report.calls += 1
        ws, grads = ([array[cut] for cut in cuts] for array in (w, grad))
        streams = [own + 4 * k for k in range(len(cuts)) for own in step.stream]
        new_ws, new = step.call.together(ws, grads, flats, values, streams)
        return [mx.concatenate(new_ws), *new]

    @staticmethod
    def _cuts(step: Step) -> list[Array]:
        return [(mx.arange(FEW + 9 * k) + 5 * k) % POOL for k in range(step.call.most())]

    def _against_many(
        self, at: str, step: Step, call: Mapping[str, Any], outputs: Sequence[Array]
    ) -> None:
        arrays = call["inputs"][: len(outputs) + 1]
        whole = mx.concatenate(self._cuts(step))
        found = self._many(step, arrays)
        wanted = [other[whole] for other in outputs]
        if step.stream:  # each tensor has random numbers of its own
            wanted = self._one_by_one(step, arrays)
        for number, (mine, other) in enumerate(zip(found, wanted, strict=True)):
            if not _same(mine, other):
                self.report.add(at, f"output {number} of many tensors is not that of one")

    def _one_by_one(self, step: Step, arrays: Sequence[Array]) -> list[Array]:
        """What the kernel for one tensor makes of what that for many is given."""
        values = [mx.array(step.bucket.values[n], dtype=mx.float32) for n in step.call.scalars]
        each = []
        for k, cut in enumerate(self._cuts(step)):
            w, grad, *states = (array[cut] for array in arrays)
            each.append(
                step.call.run(w, grad, states, values, *(own + 4 * k for own in step.stream))
            )
        return [mx.concatenate(list(parts)) for parts in zip(*each, strict=True)]

    def _against_standalone(
        self, at: str, step: Step, call: Mapping[str, Any], outputs: Sequence[Array]
    ) -> None:
        kernel, rule = step.call.kernel, self.subject.rule
        live = dict(zip(step.call.live, call["inputs"][2:], strict=False))
        states = [s.name for s in rule.arrays if s.domain == "element"]
        scalars = call["inputs"][len(outputs) + 1 : -1]
        scalars, streams = (scalars[:-1], scalars[-1:]) if kernel.draws else (scalars, [])
        buffers = [data_of(array) for array in call["inputs"][:2]]
        buffers += [data_of(live[name]) if name in live else b"" for name in states]
        buffers += [data_of(array) for array in scalars]
        buffers += [bytes([bool(step.call.choices[name])]) for name in kernel.choices]
        buffers += [data_of(array) for array in (*streams, call["inputs"][-1])]
        kind = {mx.float32: "float", mx.float16: "half", mx.bfloat16: "bfloat"}
        entry = f"{rule.name}_{kind[call['inputs'][0].dtype]}"
        assert self.machine.program is not None
        self.report.calls += 1
        found = self.machine.program.run(self.subject.standalone, entry, buffers, threads(call))
        places = [0, *(2 + states.index(name) for name in step.call.live)]
        for number, (place, expected) in enumerate(zip(places, outputs, strict=True)):
            if found[place] != data_of(expected):
                self.report.add(at, f"the complete kernel's output {number} is another")
            found[place] = buffers[place]
        if found != buffers:
            self.report.add(at, "the complete kernel wrote to a buffer that is not its to write")


def _kind_of(values: Any) -> Any:
    """0 where finite, else what it is."""
    signs = np.where(np.isinf(values), np.sign(values), 0.0)
    return np.where(np.isnan(values), 2.0, signs)


def _same(a: Array, b: Array) -> bool:
    """Whether two arrays are equal; nan equals nan."""
    return bool(mx.array_equal(a, b, equal_nan=True).item())


def _plain(kind: Any) -> str:
    return str(kind).rpartition(".")[2]


def described(setting: Setting) -> str:
    """The static choices that are on, and the parameter's shape where equations ask for it."""
    of_shape = "" if setting.shape is None else f" of shape {setting.shape}"
    return chosen(setting) + of_shape


def chosen(setting: Setting) -> str:
    """The static choices that are on."""
    on = [h.name for h in setting.spec.hypers if h.special is not None and setting.is_away(h)]
    on += [f.name for f in setting.spec.flags if setting.flag(f)]
    on += ["maximize"] if setting.maximize else []
    on += ["max_grad_value"] if setting.grad_bound < math.inf else []
    return f"with {', '.join(on)}" if on else "with nothing"
