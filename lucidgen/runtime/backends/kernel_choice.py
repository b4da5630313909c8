"""The argument ``kernel``: what may update arrays.

Owns its values and the refusal of what cannot be had. MLX is imported only to find out whether a
demand for a GPU can be met.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from ..rules.rule import Rule

#: What may update arrays. "cpp": only compiled C++ loops, wherever arrays are in the memory of the
#: CPU. About NumPy's: NumPy itself; about MLX's: only kernels on Metal or CUDA, or MLX's own
#: functions. What a choice does not speak of is as under "auto", the fastest that there is; but
#: "numpy" compiles nothing for MLX's arrays either.
CHOICES = ("auto", "numpy", "cpp", "metal", "cuda", "mlx")


#: What "auto" means where this variable is set.
VARIABLE = "LUCIDGEN_KERNEL"


def checked_kernel(kernel: str, label: str, rule: Rule | None) -> str:
    """The argument ``kernel``, refused if it is no choice or cannot be had."""
    named = kernel
    if kernel == "auto" and os.environ.get(VARIABLE):
        kernel, named = os.environ[VARIABLE], VARIABLE
    if kernel not in CHOICES:
        named = "kernel" if named == kernel else named
        raise ValueError(f"{label}: {named} must be one of {', '.join(CHOICES)}, got {kernel!r}")
    if kernel == "cpp" and named == "cpp" and rule is not None and rule.cpp is None:
        raise ValueError(
            f'{label}: kernel="cpp", but the dialect {rule.dialect!r} has no C++ loop: it reduces '
            f'over tensors; use "auto" or "numpy"'
        )
    if kernel in ("metal", "cuda"):
        try:
            backend: Any = importlib.import_module(".gpu.trial", __package__)
        except ImportError as error:
            raise RuntimeError(f'{label}: kernel="{kernel}" needs MLX: {error}') from error
        backend.demand(kernel, label)
    return kernel


def on_numpy(kernel: str) -> str:
    """What the choice means for NumPy arrays."""
    return kernel if kernel in ("numpy", "cpp") else "auto"
