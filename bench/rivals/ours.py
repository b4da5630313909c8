"""Our own steps on NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from cases import Case

import lucidgen
import lucidgen.optim


class Steps:
    def __init__(self, case: Case, weights: list[Any], kernel: str) -> None:
        self.parameters = [lucidgen.Parameter(self.array(value)) for value in weights]
        made = getattr(lucidgen.optim, case.optimizer)
        self.optimizer = made(self.parameters, kernel=kernel, **case.settings, **case.dialect)

    def array(self, values: Any) -> Any:
        return values.copy()

    def give(self, gradients: Iterable[Any]) -> None:
        for parameter, grad in zip(self.parameters, gradients, strict=True):
            parameter.grad = self.array(grad)

    def step(self) -> None:
        self.optimizer.step()

    def drop(self) -> None:
        self.optimizer.zero_grad()

    def weights(self) -> list[Any]:
        return [np.asarray(parameter.data) for parameter in self.parameters]


def steps(case: Case, weights: list[Any], kernel: str) -> Steps:
    return Steps(case, weights, kernel)
