"""Steps on MLX parameters by GPU kernels, behind the interface of ``mlx``.

Owns which kernel serves, and its trial: before a kernel is used for the first time, it must agree
with the compiled MLX function, which stays the reference, on small arrays. Does not own that
function, nor when which of the two runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import mlx.core as mx

from ...checking import warning_level
from ...rules.rule import Rule, State
from . import ANY, languages
from .call import FEW, Call, covering, wanted
from .kernel import kernel_of

Array = Any


class Step(Protocol):
    """A step: which scalars it reads, and what runs it."""

    def __hash__(self) -> int: ...

    @property
    def scalars(self) -> tuple[str, ...]: ...

    @property
    def run(self) -> Callable[..., Any]: ...


#: The types of arrays for which there are kernels.
TYPES = (mx.float32, mx.float16, mx.bfloat16)

#: A grid's extent is a signed 32-bit number.
MOST_ELEMENTS = 2**31 - 1

#: Elements of a trial: MLX passes arrays of less than 8 differently.
_TRIAL = 33


def is_available() -> bool:
    """Whether MLX runs on a GPU for which there are kernels."""
    return languages.running() is not None


def _absence(language: languages.Language) -> str:
    return f"MLX runs on {language.title} only {language.where}, with the gpu as its default device"


def refusal(wanted: str, rule: Rule, dtype: Any = None, size: int = 0) -> str | None:
    """Why no kernel can serve here; None if one can. A language may be demanded, or `ANY`."""
    language = languages.running()
    demanded = languages.LANGUAGES.get(wanted, language)
    if language is None or demanded is not language:
        return _absence(demanded or languages.METAL)
    if kernel_of(rule, language.name) is None:
        return f"the rule {rule.name!r} has no {language.title} kernel"
    if dtype is not None and dtype not in TYPES:
        return f"{language.title} kernels are for float32, float16 and bfloat16, not for {dtype}"
    return "the array has too many elements for one grid" if size > MOST_ELEMENTS else None


def demand(name: str, label: str) -> None:
    """Refuse a demand for a language that MLX does not run on."""
    demanded = languages.LANGUAGES[name]
    if languages.running() is not demanded:
        raise RuntimeError(
            f'{label}: kernel="{name}", but {_absence(demanded)}, and here it computes on '
            f'{mx.default_device()}; use "auto" or "mlx"'
        )


# The choice, and the trial before it


class Tried:
    """A kernel that agreed with the reference; for several tensors at once, it is tried anew."""

    def __init__(self, call: Call, reference: Step, arrays: Sequence[State], dtype: Any) -> None:
        self.scalars, self.run, self.together = call.scalars, call.run, call.together
        self._tried: dict[int, str | None] = {}
        self._most = call.most()
        self._trial = call, reference, arrays, dtype

    def most(self) -> int:
        """How many tensors one call can update."""
        return self._most

    def serves(self, tensors: int) -> bool:
        """Whether one call updates so many tensors as it should; if not, a warning says so."""
        if tensors not in self._tried:
            call = self._trial[0]
            found = self._tried[tensors] = differences(*self._trial, tensors)
            if found is not None:
                _warn(call.kernel.name, f"for {tensors} tensors at once: {found}", call.language)
                self._most = 1
        return self._tried[tensors] is None


def step(
    demanded: str,
    reference: Step,
    w: Array,
    rule: Rule,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Step:
    """The step by a kernel; else the reference, unless kernels of a language are demanded."""
    found = refusal(demanded, rule, w.dtype, w.size)
    if found is None:
        tried, found = _tried(reference, w.dtype, rule, arrays, choices, known)
        if tried is not None:
            return tried
        if demanded == ANY:
            _warn(rule.name, found, languages.running())
    if demanded != ANY:
        raise RuntimeError(f'kernel="{demanded}" cannot be had: {found}; use "auto" or "mlx"')
    return reference


#: What was tried, by all that a kernel depends on.
_outcomes: dict[Any, tuple[Tried | None, str]] = {}


def _tried(
    reference: Step,
    dtype: Any,
    rule: Rule,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> tuple[Tried | None, str]:
    """A kernel that agrees with the reference, or what is wrong with it."""
    language = languages.running()
    kernel = kernel_of(rule, language.name) if language else None
    asked = () if kernel is None else (*kernel.choices, *kernel.conditions, *wanted(kernel))
    key = language, dtype, rule, arrays, tuple(c for c in choices if c[0] in asked), known
    if key not in _outcomes:
        call = None if kernel is None else covering(kernel, arrays, choices, known)
        if call is None:
            _outcomes[key] = None, f"the kernel of {rule.name!r} does not cover these choices"
        else:
            found = differences(call, reference, arrays, dtype)
            tried = Tried(call, reference, arrays, dtype)
            _outcomes[key] = (tried, "") if found is None else (None, found)
    return _outcomes[key]


def differences(
    call: Call, reference: Step, arrays: Sequence[State], dtype: Any, tensors: int = 1
) -> str | None:
    """Where the kernel disagrees with the reference on small arrays; None if it does not."""
    ends = [_TRIAL] if tensors == 1 else [k * FEW + k * (k - 1) // 2 for k in range(1, tensors + 1)]
    index = mx.arange(ends[-1], dtype=mx.float32)
    w, grad = mx.sin(index + 1).astype(dtype), (mx.cos(3 * index) / 4).astype(dtype)
    states = [
        (
            mx.abs(mx.sin(index * (2 + i))) + 0.125 if state.domain == "element" else mx.array(0.5)
        ).astype(dtype)
        for i, state in enumerate(arrays)
    ]
    numbers = {
        name: mx.array(0.5 + 0.25 / (2 + i), dtype=mx.float32)
        for i, name in enumerate(sorted({*reference.scalars, *call.scalars}))
    }
    numbers |= {name: mx.array(True) for name in call.kernel.conditions}
    streams = [mx.arange(4 * k, 4 * k + 4, dtype=mx.uint32) for k in range(len(ends))]
    streams = streams if call.kernel.draws else []
    given = [numbers[name] for name in reference.scalars]
    if tensors == 1 or not streams:
        old = reference.run(w, grad, states, given, *streams[:1])
    else:  # the numbers of each tensor are its own
        cut: Any = [mx.split(array, ends[:-1]) for array in (w, grad, *states)]
        each = [
            reference.run(w, grad, own, given, stream)
            for (w, grad, *own), stream in zip(zip(*cut, strict=True), streams, strict=True)
        ]
        old = [mx.concatenate(list(parts)) for parts in zip(*each, strict=True)]
    mx.eval(old)
    values = [numbers[name] for name in call.scalars]
    try:
        if tensors == 1:
            new = call.run(w, grad, states, values, *streams)
        else:
            ws: Any = mx.split(w, ends[:-1])
            grads: Any = mx.split(grad, ends[:-1])
            ws, flats = call.together(ws, grads, states, values, streams)
            new = [mx.concatenate(ws), *flats]
        mx.eval(new)
    except RuntimeError as error:
        return f"it does not run: {error}"
    tolerance = {mx.float16: 2e-3, mx.bfloat16: 2e-2}.get(dtype, 1e-5)
    for name, a, b in zip(("w", *call.states), new, old, strict=True):
        if not mx.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True).item():
            worst = mx.max(mx.abs(a.astype(mx.float32) - b.astype(mx.float32))).item()
            return f"the new {name} differs by {worst:.3g} from the MLX function's"
    return None


def forget() -> None:
    """Try every kernel again at its next use."""
    _outcomes.clear()
    _warn.cache_clear()


@cache
def _warn(name: str, found: str, language: languages.Language | None) -> None:
    title = language.title if language else "GPU"
    warnings.warn(
        f"the {title} kernel of {name!r} is not used, although MLX runs on {title}: {found}. The "
        f"compiled MLX function takes its place",
        RuntimeWarning,
        stacklevel=warning_level(),
    )
