"""Lucid's own optimizers on its own parameters: NumPy arrays on "cpu", MLX arrays on "gpu"."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import numpy as np
from cases import Case

warnings.filterwarnings("ignore", "Metal GPU acceleration is not supported")
import lucid.nn  # noqa: E402
import lucid.optim  # noqa: E402


class Steps:
    def __init__(self, case: Case, weights: list[Any], device: str) -> None:
        made = [lucid.nn.Parameter(value.copy()) for value in weights]
        self.on_mlx = device == "gpu"
        self.parameters = [parameter.to(device) for parameter in made] if self.on_mlx else made
        self.optimizer = getattr(lucid.optim, case.optimizer)(self.parameters, **case.settings)

    def give(self, gradients: Iterable[Any]) -> None:
        for parameter, grad in zip(self.parameters, gradients, strict=True):
            parameter.grad = mx.array(grad) if self.on_mlx else grad.copy()
        if self.on_mlx:
            mx.eval([parameter.grad for parameter in self.parameters])

    def step(self) -> None:
        self.optimizer.step()
        if self.on_mlx:
            states = [self.optimizer.state[parameter] for parameter in self.parameters]
            mx.eval([parameter.data for parameter in self.parameters], states)

    def drop(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def weights(self) -> list[Any]:
        return [np.asarray(parameter.data) for parameter in self.parameters]


def steps(case: Case, weights: list[Any], device: str) -> Steps:
    return Steps(case, weights, device)
