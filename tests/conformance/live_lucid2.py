"""Runs Lucid 2.9's optimizers, stops them halfway, and pickles what a user would have then.

Run as a script where lucid-dl 2.9.0 is installed, with the file to write as its argument: for each
optimizer of LIVE the weights and the state dict after RESUME_AT steps, and the weights at the end.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import lucid.optim
from cases import RESUME_AT, STEPS
from lucid import Float64, nn
from resume_cases import begin, named_gradients

LIVE: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
    "NAdam": {"lr": 0.01},
    "RAdam": {"lr": 0.01},
    "Adamax": {"lr": 0.01},
    "ASGD": {"lr": 0.01, "momentum": 0.9},
    "Adagrad": {"lr": 0.01},
    "Adadelta": {"lr": 1.0},
    "RMSprop": {"lr": 0.001, "momentum": 0.5, "centered": True},
    "Rprop": {"lr": 0.01},
}


def run(name: str) -> dict[str, Any]:
    """One optimizer from the start to the end."""
    weights = [nn.Parameter(w.copy(), dtype=Float64) for w in begin().values()]
    optimizer = getattr(lucid.optim, name)(weights, **LIVE[name])
    found = {}
    for step, grads in enumerate(named_gradients(), start=1):
        for weight, grad in zip(weights, grads.values(), strict=True):
            weight.grad = grad
        optimizer.step()
        if step in (RESUME_AT, STEPS):
            found[step] = [weight.data.copy() for weight in weights]
        if step == RESUME_AT:
            found["state"] = optimizer.state_dict()
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(pickle.dumps({name: run(name) for name in LIVE}))
