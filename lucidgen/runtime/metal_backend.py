"""Steps on MLX parameters by Metal kernels, behind the interface of ``mlx_backend``.

Owns the question whether MLX runs on Metal, the assembling of a kernel's arguments, and its trial:
before a kernel is used for the first time, it must agree with the compiled MLX function, which
stays the reference, on a small array. Does not own that function, nor when which of the two runs.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Protocol

import mlx.core as mx

from .kernels import Body, Kernel
from .parameters import warning_level
from .rule import Rule, State, names_of

Array = Any


class Step(Protocol):
    """A step: which scalars it reads, and what runs it."""

    def __hash__(self) -> int: ...

    @property
    def scalars(self) -> tuple[str, ...]: ...

    @property
    def run(self) -> Callable[..., Any]: ...


#: Threads of a group; any grid is a whole number of groups of this many, or less than one.
THREADS = 256

#: The types of arrays for which there are kernels.
TYPES = (mx.float32, mx.float16, mx.bfloat16)

#: A grid's extent is a signed 32-bit number.
MOST_ELEMENTS = 2**31 - 1

NO_METAL = "MLX runs on Metal only on a Mac, with the gpu as its default device"

#: Elements of a trial: MLX passes arrays of less than 8 differently.
_TRIAL = 33


def is_available() -> bool:
    """Whether MLX runs on Metal: it has a Metal device, and that is where it computes."""
    return bool(mx.metal.is_available()) and mx.default_device() == mx.Device(mx.gpu)


def make_kernel(**arguments: Any) -> Callable[..., Any]:
    """An MLX kernel of a text; the one place where Metal is asked for anything."""
    made: Any = mx.fast.metal_kernel(**arguments)
    return made  # type: ignore[no-any-return]


def kernel_of(rule: Rule) -> Kernel | None:
    """The kernel of a rule, if it has one."""
    if rule.metal is None:
        return None
    found = getattr(importlib.import_module(rule.metal), f"{rule.name}_kernel", None)
    return found if isinstance(found, Kernel) else None


def refusal(rule: Rule, dtype: Any = None, size: int = 0) -> str | None:
    """Why no kernel can serve here; None if one can."""
    if not is_available():
        return NO_METAL
    if kernel_of(rule) is None:
        return f"the rule {rule.name!r} has no Metal kernel"
    if dtype is not None and dtype not in TYPES:
        return f"Metal kernels are for float32, float16 and bfloat16, not for {dtype}"
    return "the array has too many elements for one grid" if size > MOST_ELEMENTS else None


def demand(kernel: str, label: str) -> None:
    """Refuse a demand for Metal where there is none."""
    if kernel == "metal" and not is_available():
        raise RuntimeError(
            f'{label}: kernel="metal", but {NO_METAL}, and here it computes on '
            f'{mx.default_device()}; use "auto" or "mlx"'
        )


class Call:
    """One kernel with its static choices: assembles the arguments of a call and makes it."""

    def __init__(
        self,
        kernel: Kernel,
        body: Body,
        states: Sequence[str],
        choices: Mapping[str, bool],
        known: Sequence[str],
    ) -> None:
        self.kernel = kernel
        self.states = states  # every live state that is an array, in the rule's order
        self.live = body.live
        self.fixed = {
            name: mx.array(on) for name, on in choices.items() if name in kernel.conditions
        }
        read = dict.fromkeys((*kernel.scalars, *kernel.conditions, *_wanted(kernel)))
        self.scalars = tuple(name for name in read if name in known and name not in self.fixed)
        names = zip(kernel.template, kernel.choices, strict=True)
        self.template = [(text, choices[name]) for text, name in names]
        self.choices = choices
        digest = sha256(f"{kernel.header}\0{body.source}".encode()).hexdigest()[:12]
        self.function = make_kernel(
            name=f"lucidgen_{kernel.name}_{digest}",
            input_names=list(body.inputs),
            output_names=list(body.outputs),
            header=kernel.header,
            source=body.source,
        )

    def tensors(self, w: Array, grad: Array, available: Mapping[str, Any]) -> dict[str, Any]:
        """What is one number per tensor, computed in single precision."""
        if self.kernel.tensors is None:
            return {}
        single = {"w": w.astype(mx.float32), "grad": grad.astype(mx.float32)}
        arrays = {k: a.astype(mx.float32) for k, a in available.items() if k in self.states}
        names = names_of(self.kernel.tensors)
        given = {**self.choices, **available, **arrays, **single}
        return self.kernel.tensors(**{name: given.get(name) for name in names})

    def run(self, w: Array, grad: Array, states: list[Array], values: list[Array]) -> list[Array]:
        """The new w and live states, in the types that came in."""
        if w.size == 0:
            return [w, *states]
        kind = w.dtype
        grad = grad.astype(kind)
        named = dict(zip(self.states, states, strict=True))
        available = {**self.fixed, **dict(zip(self.scalars, values, strict=True)), **named}
        tensors = self.tensors(w, grad, available)
        available.update({k: a for k, a in tensors.items() if k in self.kernel.tensor_scalars})
        arrays = [_flat(array.astype(kind)) for array in (w, grad, *(named[s] for s in self.live))]
        single = [available[name].astype(mx.float32) for name in self.kernel.scalars]
        conditions = [available[name] for name in self.kernel.conditions]
        found = self.function(
            inputs=[*arrays, *single, *conditions, _count(w.size)],
            template=[("T", kind), *self.template],
            grid=(w.size, 1, 1),
            threadgroup=(min(THREADS, w.size), 1, 1),
            output_shapes=[w.shape] * (1 + len(self.live)),
            output_dtypes=[kind] * (1 + len(self.live)),
        )
        new = dict(zip(self.live, found[1:], strict=True))
        rest = {s: tensors[s].astype(kind) for s in self.states if s not in new}
        return [found[0], *(({**new, **rest})[s] for s in self.states)]


def _wanted(kernel: Kernel) -> tuple[str, ...]:
    return () if kernel.tensors is None else names_of(kernel.tensors)


def _flat(array: Array) -> Array:
    """The array with an axis: a 0-d one would come as a reference, not as a pointer."""
    return array.reshape(1) if array.ndim == 0 else array


@cache
def _count(size: int) -> Array:
    return mx.array(size, dtype=mx.uint32)


def call_for(
    rule: Rule,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Call | None:
    """The call of a rule's kernel for these live states, choices and scalars; None without one."""
    kernel = kernel_of(rule)
    return None if kernel is None else covering(kernel, arrays, choices, known)


def covering(
    kernel: Kernel,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Call | None:
    """The call of a kernel, if it covers these live states, choices and scalars."""
    body = kernel.body(tuple(s.name for s in arrays if s.domain == "element"))
    if body is None:
        return None
    on = dict(choices)
    given = {*on, *known, *kernel.tensor_scalars}
    if not given.issuperset((*kernel.scalars, *kernel.conditions, *kernel.choices)):
        return None
    if any(name in known and name not in on for name in _decisions(kernel)):
        return None  # conditions are arrays here, and Python code cannot branch on them
    return Call(kernel, body, tuple(s.name for s in arrays), on, known)


def _decisions(kernel: Kernel) -> tuple[str, ...]:
    """The conditions that Python code asks for."""
    return tuple(name for name in kernel.conditions if name in _wanted(kernel))


# The choice, and the trial before it


def step(
    kernel: str,
    reference: Step,
    w: Array,
    rule: Rule,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> Step:
    """The step by a kernel; else the reference, unless kernels are demanded."""
    found = refusal(rule, w.dtype, w.size)
    if found is None:
        call, found = _tried(reference, w.dtype, rule, arrays, choices, known)
        if call is not None:
            return call
        if kernel == "auto":
            _warn(rule.name, found)
    if kernel == "metal":
        raise RuntimeError(f'kernel="metal" cannot be had: {found}; use "auto" or "mlx"')
    return reference


#: What was tried, by all that a kernel depends on.
_outcomes: dict[Any, tuple[Call | None, str]] = {}


def _tried(
    reference: Step,
    dtype: Any,
    rule: Rule,
    arrays: tuple[State, ...],
    choices: tuple[tuple[str, bool], ...],
    known: tuple[str, ...],
) -> tuple[Call | None, str]:
    """A call that agrees with the reference, or what is wrong with it."""
    kernel = kernel_of(rule)
    asked = () if kernel is None else (*kernel.choices, *kernel.conditions, *_wanted(kernel))
    key = dtype, rule, arrays, tuple(c for c in choices if c[0] in asked), known
    if key not in _outcomes:
        call = call_for(rule, arrays, choices, known)
        if call is None:
            _outcomes[key] = None, f"the kernel of {rule.name!r} does not cover these choices"
        else:
            found = differences(call, reference, arrays, dtype)
            _outcomes[key] = (call, "") if found is None else (None, found)
    return _outcomes[key]


def differences(call: Call, reference: Step, arrays: Sequence[State], dtype: Any) -> str | None:
    """Where the kernel disagrees with the reference on a small array; None if it does not."""
    index = mx.arange(_TRIAL, dtype=mx.float32)
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
    old = reference.run(w, grad, states, [numbers[name] for name in reference.scalars])
    mx.eval(old)
    try:
        new = call.run(w, grad, states, [numbers[name] for name in call.scalars])
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
def _warn(name: str, found: str) -> None:
    warnings.warn(
        f"the Metal kernel of {name!r} is not used, although MLX runs on Metal: {found}. The "
        f"compiled MLX function takes its place",
        RuntimeWarning,
        stacklevel=warning_level(),
    )
