"""Who competes, and what each of them needs to be installed.

Owns the list. Imports none of the libraries: what a rival does with its own is in the module that
the list names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Protocol

from cases import Case


class Steps(Protocol):
    """The steps of a rival on parameters of its own."""

    def give(self, gradients: Iterable[Any]) -> None:
        """Take over copies of these NumPy arrays, as arrays that no step has seen."""

    def step(self) -> None:
        """Take a step; what it computes is there, and can be used, when it returns."""

    def drop(self) -> None:
        """Let the gradients go."""

    def weights(self) -> list[Any]:
        """The weights, as NumPy arrays."""


@dataclass(frozen=True)
class Rival:
    """One that takes part.

    `needs` are the modules without which it cannot, and `package` the one whose version counts.
    `is_slow_to_start` says that parameters of new arrays cost it a minute of compiling, not less.
    """

    name: str
    module: str
    needs: tuple[str, ...] = ()
    package: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    is_slow_to_start: bool = False

    def is_installed(self) -> bool:
        """Whether this Python has what it needs, found without importing more than parents."""
        try:
            return all(find_spec(name) for name in self.needs)
        except ModuleNotFoundError:
            return False

    def version(self) -> str:
        """The version of its library here; empty if there is none."""
        try:
            return version(self.package) if self.package else ""
        except PackageNotFoundError:
            return ""

    def steps(self, case: Case, weights: list[Any]) -> Steps:
        """Parameters with these starting values, and an optimizer."""
        made: Steps = import_module(f"rivals.{self.module}").steps(case, weights, **self.options)
        return made


_OURS = ("lucidgen",)
_TORCH, _OPTAX = ("torch",), ("optax", "jax")
_LUCID = ("lucid.nn", "mlx.core")

PROBE = "memory probe"
OURS_NUMPY = "lucidgen, NumPy: cpp"
OURS_MLX = "lucidgen, MLX: auto"
MLX_EAGER, MLX_COMPILED = "mlx.optimizers eager", "mlx.optimizers compiled"
TORCH_FUSED, TORCH_FOREACH = "torch fused", "torch foreach"
PYTORCH_OPTIMIZER, OPTAX = "pytorch_optimizer", "optax jit"
LUCID_NUMPY, LUCID_MLX = "Lucid, NumPy", "Lucid, MLX"

RIVALS = (
    Rival(PROBE, "probe"),
    Rival(OURS_NUMPY, "ours", _OURS, "", {"kernel": "cpp"}),
    Rival("lucidgen, NumPy: numpy", "ours", _OURS, "", {"kernel": "numpy"}),
    Rival(OURS_MLX, "ours_mlx", (*_OURS, "mlx.core"), "mlx", {"kernel": "auto"}),
    Rival("lucidgen, MLX: mlx", "ours_mlx", (*_OURS, "mlx.core"), "mlx", {"kernel": "mlx"}),
    Rival("lucidgen, MLX: metal", "ours_mlx", (*_OURS, "mlx.core"), "mlx", {"kernel": "metal"}),
    Rival(MLX_EAGER, "of_mlx", ("mlx.optimizers",), "mlx", {"compiled": False}),
    Rival(MLX_COMPILED, "of_mlx", ("mlx.optimizers",), "mlx", {"compiled": True}),
    Rival(TORCH_FUSED, "of_torch", _TORCH, "torch", {"mode": "fused"}),
    Rival(TORCH_FOREACH, "of_torch", _TORCH, "torch", {"mode": "foreach"}),
    Rival("torch compile", "of_torch", _TORCH, "torch", {"mode": "compile"}, True),
    Rival(
        *(PYTORCH_OPTIMIZER, "of_pytorch_optimizer"),
        *((*_TORCH, "pytorch_optimizer"), "pytorch_optimizer"),
    ),
    Rival(OPTAX, "of_optax", _OPTAX, "optax"),
    Rival(LUCID_NUMPY, "of_lucid", _LUCID, "lucid-dl", {"device": "cpu"}),
    Rival(LUCID_MLX, "of_lucid", _LUCID, "lucid-dl", {"device": "gpu"}),
)


def rival(name: str) -> Rival:
    """The rival of this name."""
    return next(rival for rival in RIVALS if rival.name == name)
