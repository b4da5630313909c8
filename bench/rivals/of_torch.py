"""torch's optimizers: fused, one operation for all tensors ("foreach"), and compiled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from cases import Case


class Steps:
    def __init__(self, case: Case, weights: list[Any], mode: str) -> None:
        self.parameters = [torch.tensor(value, requires_grad=True) for value in weights]
        options: dict[str, Any] = {} if mode == "compile" else {mode: True}
        made = getattr(torch.optim, case.optimizer)
        self.optimizer = made(self.parameters, **case.settings, **options)
        self.step = self.optimizer.step
        if mode == "compile":
            self.step = torch.compile(self.step)

    def give(self, gradients: Iterable[Any]) -> None:
        for parameter, grad in zip(self.parameters, gradients, strict=True):
            parameter.grad = torch.tensor(grad)

    def drop(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def weights(self) -> list[Any]:
        return [parameter.detach().numpy() for parameter in self.parameters]


def steps(case: Case, weights: list[Any], mode: str) -> Steps:
    return Steps(case, weights, mode)
