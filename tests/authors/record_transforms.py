"""Records what the wrappers of pytorch_optimizer make of torch's optimizers.

Run as a script where pytorch_optimizer is installed; nothing of the project is needed. Writes
recorded_transforms.npz: the gradients, and the weights at the start and after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_optimizer import Lookahead, OrthoGrad
from pytorch_optimizer.optimizer.grokfast import gradfilter_ema

SHAPE, STEPS = (3, 4), 20
Optimizer = Any


class Grokfast:
    """AdamW on gradients that the library's function has filtered."""

    def __init__(self, weight: torch.nn.Parameter) -> None:
        self.optimizer = torch.optim.AdamW([weight], lr=0.01, weight_decay=0.1)
        self.model = torch.nn.Module()
        self.model.weight = weight
        self.slow: Any = None

    def step(self) -> None:
        self.slow = gradfilter_ema(self.model, self.slow, alpha=0.9, lamb=1.5)
        self.optimizer.step()


RUNS: Mapping[str, Callable[[torch.nn.Parameter], Optimizer]] = {
    "LookaheadSGD": lambda weight: Lookahead(
        torch.optim.SGD([weight], lr=0.1, momentum=0.9), k=3, alpha=0.25
    ),
    "LookaheadAdamW": lambda weight: Lookahead(
        torch.optim.AdamW([weight], lr=0.01, weight_decay=0.1)
    ),
    "OrthogonalSGD": lambda weight: OrthoGrad(torch.optim.SGD([weight], lr=0.1, momentum=0.9)),
    "GrokfastAdamW": Grokfast,
}


def main() -> None:
    """Run all and write the file."""
    random = np.random.default_rng(20261128)
    start, grads = random.standard_normal(SHAPE), random.standard_normal((STEPS, *SHAPE))
    found = {"start": start, "grads": grads}
    for name, make in RUNS.items():
        weight = torch.nn.Parameter(torch.from_numpy(start.copy()))
        optimizer, weights = make(weight), []
        for grad in grads:
            weight.grad = torch.from_numpy(grad.copy())
            optimizer.step()
            weights.append(weight.detach().numpy().copy())
        found[name] = np.stack(weights)
    np.savez_compressed(Path(__file__).with_name("recorded_transforms.npz"), **found)


if __name__ == "__main__":
    main()
