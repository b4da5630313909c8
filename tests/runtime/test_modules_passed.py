"""A steady step and a steady update pass through few modules of the runtime, and it stays so.

What is asked once, when an optimizer is made or after something has changed, is not in their way.
Generated modules are not counted. A ceiling is what was needed when it was written: a change that
must raise one says why. What a step knows of arrays that stay in their places is kept. Functions of
MLX make new ones: to look at each takes less time than to keep what the next step throws away, and
passes one module more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter, optim


def passed(call: Callable[[], Any]) -> set[str]:
    """The modules of the runtime whose functions a call runs."""
    found = set()

    def note(frame: Any, event: str, _: Any) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.startswith("lucidgen.runtime."):
            found.add(name.removeprefix("lucidgen.runtime."))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize(
    ("make", "kernel", "stays", "most"),
    [
        (np.asarray, "numpy", True, 10),
        (np.asarray, "cpp", True, 10),
        (mx.array, "cpp", True, 9),
        (mx.array, "mlx", False, 11),
    ],
    ids=["NumPy", "loops", "loops on MLX", "MLX"],
)
def test_a_steady_step_passes_few_modules(make: Any, kernel: str, stays: bool, most: int) -> None:
    params = [Parameter(make(np.ones(4, np.float32))) for _ in range(2)]
    for param in params:
        param.grad = make(np.full(4, 0.5, np.float32))
    optimizer = optim.Adam(params, kernel=kernel)
    mx.disable_compile()
    try:
        for _ in range(3):
            optimizer.step()
        found = passed(optimizer.step)
    finally:
        mx.enable_compile()
    assert "step.last_step" in found
    assert ("step.sorting" not in found) is stays
    assert len(found) <= most, sorted(found)


def test_a_steady_update_passes_few_modules() -> None:
    params = {"a": mx.ones(4), "b": {"c": mx.ones(3)}}
    grads = {"a": mx.full(4, 0.5), "b": {"c": mx.full(3, 0.5)}}
    optimizer = optim.Adam(lr=0.1)
    mx.disable_compile()
    try:
        optimizer.init(params)
        for _ in range(2):
            optimizer.apply_gradients(grads, params)
        found = passed(lambda: optimizer.apply_gradients(grads, params))
    finally:
        mx.enable_compile()
    assert "trees.update" in found
    # One of them is the layout, which says where the states of a parameter are.
    assert len(found) <= 16, sorted(found)
