"""One step over all groups: check everything, then compute, then store.

Owns the order of things: nothing changes before every group, parameter and gradient is known to be
good and every backend is prepared. Names no backend: ``kernel_choice`` says which are asked. Which
parameters are updated alike is in ``sorting``, what is known of them already in ``last_step``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..backends import kernel_choice
from ..backends.protocol import Call
from ..groups.bucket import Part
from ..groups.states import States
from . import clipping
from .last_step import LastStep
from .sorting import Checked


def step(
    groups: Sequence[Checked],
    states: States,
    last: LastStep,
    kernel: str = "auto",
    max_grad_norm: float | None = None,
) -> Any:
    """Update every parameter that has a gradient.

    Returns
    -------
    float, 0-d array or None
        The norm of all gradients, if they are clipped to ``max_grad_norm``.
    """
    sorted_ = last.parts(groups, states)
    parts = list(chain.from_iterable(sorted_))
    norm = None
    if max_grad_norm is not None:
        norm = _norm(parts)
        factor = clipping.factor(norm, max_grad_norm)
        if type(factor) is not float or factor != 1:
            for part in parts:
                part.bucket = part.bucket.scaled(factor)
    for call in _prepared(parts, kernel, last):
        call.run()
    for part in parts:
        _advance(part)
    last.remember(groups, sorted_)
    return norm


def _prepared(parts: Sequence[Part], kernel: str, last: LastStep) -> list[Call]:
    """The calls that update all parts: each backend takes what it can, in its turn."""
    on_mlx = [part for part in parts if part.kind is not np.ndarray]
    on_numpy = [part for part in parts if part.kind is np.ndarray] if on_mlx else parts
    calls: list[Call] = []
    for rest in filter(None, (on_mlx, on_numpy)):
        for backend in kernel_choice.backends(kernel, rest[0].kind):
            made, rest = backend.prepare(rest, last.own)
            calls += made
            if not rest:
                break
    return calls


def _advance(part: Part) -> None:
    """Store the step count and the scalar states."""
    bucket = part.bucket
    new = {**bucket.scalars, "step": bucket.t} if bucket.t else bucket.scalars
    entries = part.entries or [slot.entry for slot in part.slots]
    for key, value in new.items():
        for entry in entries:
            entry[key] = value


def _norm(parts: Sequence[Part]) -> Any:
    """The norm of all gradients: of MLX arrays alone an array, which nobody waits for."""
    on_numpy = [grad for part in parts if part.kind is np.ndarray for grad in part.grads]
    on_mlx = [grad for part in parts if part.kind is not np.ndarray for grad in part.grads]
    of_mlx = clipping.mlx_norm(on_mlx) if on_mlx else 0.0
    if on_mlx and not on_numpy:
        return of_mlx
    return math.hypot(clipping.numpy_norm(on_numpy), float(of_mlx))
