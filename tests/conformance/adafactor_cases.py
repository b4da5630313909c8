"""The conformance cases of Adafactor, whose states have shapes of their own.

What the recording script and the tests share, as `cases` is for the others: its parameters are
vectors, matrices, a tensor of three axes and a number. Beside them are states of rows and columns
in a recording, which holds them repeated over the elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cases import Array, Case

#: The states of rows and of columns, by our keys.
ROWS, COLUMNS = ("row_var",), ("col_var",)


def _cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "torch", "plain", {"lr": 0.05, "eps": (1e-7, 1e-3)}
    # torch's None for a parameter in float64; from step 12 on, steps shrink as 1/sqrt(t).
    yield "torch", "machine_epsilon", {"lr": 0.3, "eps": (2.0**-52, 1e-3), "weight_decay": 0.1}
    others = {"beta2_decay": -0.5, "d": 2.0, "eps": (1e-4, 0.5), "weight_decay": 0.1}
    yield "torch", "everything", {"lr": 0.1, **others, "maximize": True}
    small = {"eps": (1e-12, 1e-3)}
    yield "keras", "plain", {"lr": 0.05, **small}
    yield (
        "keras",
        "everything",
        {"lr": 0.3, "weight_decay": 0.1, "beta2_decay": -0.5, "d": 2.0, **small},
    )
    yield "mlx", "plain", {"lr": 0.05, **small}
    absolute = {"lr": 0.01, "relative_step": False, "scale_parameter": False, "weight_decay": 0.1}
    yield "mlx", "absolute", {**absolute, **small, "beta1": 0.9}
    yield "mlx", "warmup", {"lr": 0.05, "warmup_init": True, "weight_decay": 0.1, "d": 0.5, **small}


CASES = {
    library: {
        name: Case(name, "Adafactor", arguments)
        for of, name, arguments in _cases()
        if of == library
    }
    for library in dict.fromkeys(of for of, _, _ in _cases())
}


def folded(key: str, values: Array) -> Array:
    """A state as it is kept, from one that is repeated over the elements of its parameter."""
    if key in ROWS and values.ndim > 1:
        return values[..., :1]
    return values[..., :1, :] if key in COLUMNS and values.ndim > 1 else values
