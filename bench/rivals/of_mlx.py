"""The optimizers of MLX itself, called eagerly and as its documentation compiles them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
from cases import Case


class Steps:
    def __init__(self, case: Case, weights: list[Any], compiled: bool) -> None:
        settings = case.settings
        settings["learning_rate"] = settings.pop("lr")
        if case.optimizer == "AdamW":
            settings["bias_correction"] = True
        self.optimizer = getattr(mlx.optimizers, case.optimizer)(**settings)
        self.arrays = {str(i): mx.array(value) for i, value in enumerate(weights)}
        self.optimizer.init(self.arrays)
        self.gradients: dict[str, Any] = {}
        self.state = [self.arrays, self.optimizer.state]
        self.update = self.updated
        if compiled:
            self.update = mx.compile(self.updated, inputs=self.state, outputs=self.state)

    def updated(self, gradients: dict[str, Any]) -> None:
        self.arrays.update(self.optimizer.apply_gradients(gradients, self.arrays))

    def give(self, gradients: Iterable[Any]) -> None:
        self.gradients = {str(i): mx.array(grad) for i, grad in enumerate(gradients)}
        mx.eval(self.gradients)

    def step(self) -> None:
        self.update(self.gradients)
        mx.eval(self.state)

    def drop(self) -> None:
        self.gradients = {}

    def weights(self) -> list[Any]:
        return [np.asarray(array) for array in self.arrays.values()]


def steps(case: Case, weights: list[Any], compiled: bool) -> Steps:
    return Steps(case, weights, compiled)
