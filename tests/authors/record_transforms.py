"""Records what the wrappers of pytorch_optimizer make of torch's optimizers.

Run as a script where pytorch_optimizer is installed; nothing of the project is needed. Writes
recorded_transforms.npz: the gradients, and the weights at the start and after every step; of
vectors and of convolutions, too, where it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_optimizer import Lion, Lookahead, OrthoGrad
from pytorch_optimizer.optimizer.agc import agc
from pytorch_optimizer.optimizer.gradient_centralization import centralize_gradient
from pytorch_optimizer.optimizer.grokfast import gradfilter_ema

SHAPE, STEPS = (3, 4), 20
OTHERS = ((5,), (4, 3, 2, 2))
Optimizer = Any


class OnChanged:
    """SGD on gradients that a function of the library has changed."""

    def __init__(self, weight: torch.nn.Parameter, change: Callable[..., Any]) -> None:
        self.weight, self.change = weight, change
        self.optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)

    def step(self) -> None:
        with torch.no_grad():
            self.weight.grad = self.change(self.weight, self.weight.grad)
        self.optimizer.step()


def clipped(weight: Any, grad: Any) -> Any:
    return agc(weight, grad, agc_eps=0.5, agc_clip_val=0.3)


def centralized(weight: Any, grad: Any) -> Any:
    centralize_gradient(grad)
    return grad


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
    "CautiousLion": lambda weight: Lion(
        [weight], lr=0.01, betas=(0.9, 0.5), weight_decay=0.1, cautious=True, foreach=False
    ),
    "AGCSGD": lambda weight: OnChanged(weight, clipped),
    "CentralizedSGD": lambda weight: OnChanged(weight, centralized),
}


def trained(make: Callable[[Any], Optimizer], start: Any, grads: Any) -> Any:
    """The weights after every step."""
    weight = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer, weights = make(weight), []
    for grad in grads:
        weight.grad = torch.from_numpy(grad.copy())
        optimizer.step()
        weights.append(weight.detach().numpy().copy())
    return np.stack(weights)


def main() -> None:
    """Run all and write the file."""
    random = np.random.default_rng(20261128)
    found = {}
    for shape in (SHAPE, *OTHERS):
        start, grads = random.standard_normal(shape), random.standard_normal((STEPS, *shape))
        end = "" if shape == SHAPE else f"-{len(shape)}"
        found |= {f"start{end}": start, f"grads{end}": grads}
        for name in RUNS if shape == SHAPE else ("AGCSGD", "CentralizedSGD"):
            found[f"{name}{end}"] = trained(RUNS[name], start, grads)
    np.savez_compressed(Path(__file__).with_name("recorded_transforms.npz"), **found)


if __name__ == "__main__":
    main()
