"""pytorch_optimizer's optimizers, as they step by default: one operation for many tensors."""

from __future__ import annotations

from typing import Any

import pytorch_optimizer
import torch
from cases import Case

from . import of_torch

#: Its names for these classes.
NAMES = {"LAMB": "Lamb", "LARS": "LARS", "Adafactor": "AdaFactor", "Prodigy": "Prodigy"}


class Steps(of_torch.Steps):
    def __init__(self, case: Case, weights: list[Any]) -> None:
        self.parameters = [torch.tensor(value, requires_grad=True) for value in weights]
        settings = case.settings
        if case.optimizer == "Adafactor":
            settings |= {"relative_step": False, "betas": (None, 0.999)}
        made = getattr(pytorch_optimizer, NAMES[case.optimizer])
        self.optimizer = made(self.parameters, **settings)
        self.step = self.optimizer.step


def steps(case: Case, weights: list[Any]) -> Steps:
    return Steps(case, weights)
