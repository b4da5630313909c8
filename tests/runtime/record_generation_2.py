"""Record what generation 2 pickled, at the last revision that wrote such code.

The modules that those pickles name have moved since, and the pickles must still load. To record
them again: `git worktree add OLD e47d75f`, and run this file there with

    PYTHONPATH=OLD:OLD/generated python tests/runtime/record_generation_2.py FOLDER

Each pickle is a dict: what was pickled, and the weights that the old code reached by going on.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from lucidgen import Parameter
from lucidgen.optim import AdamW, ExponentialMovingAverage, lr_scheduler


def driven(optimizer: Any, scheduler: Any, steps: int) -> list[list[float]]:
    """The weights after so many steps with a gradient that depends on the weights."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for _ in range(steps):
        for p in params:
            p.grad = p.data * 2 + 1
        optimizer.step()
        scheduler.step()
    return [np.asarray(p.data, dtype=np.float64).tolist() for p in params]


def updated(optimizer: Any, weights: dict[str, Any], steps: int) -> dict[str, Any]:
    """The tree after so many updates."""
    for _ in range(steps):
        weights = optimizer.apply_gradients({k: v * 2 + 1 for k, v in weights.items()}, weights)
    return weights


def record(folder: Path) -> None:
    """Write one pickle for each kind of optimizer."""
    numpy = np.linspace(-1, 1, 5), np.linspace(-1, 1, 3).astype(np.float16)
    mlx = mx.array(numpy[0].astype(np.float32)), mx.array(numpy[1])
    for kind, arrays in (("numpy", numpy), ("mlx", mlx)):
        params = [(name, Parameter(array)) for name, array in zip("ab", arrays, strict=True)]
        optimizer = AdamW(
            params,
            lr=0.05,
            accumulation_steps=2,
            master_weights=True,
            max_grad_norm=1.0,
            no_decay=("b",),
        )
        average = ExponentialMovingAverage(params, decay=0.9)
        scheduler = lr_scheduler.SequentialLR(
            optimizer,
            [
                lr_scheduler.LinearLR(optimizer),
                lr_scheduler.ChainedScheduler(
                    [
                        lr_scheduler.MultiplicativeLR(optimizer, float),
                        lr_scheduler.CosineAnnealingLR(optimizer, T_max=9),
                    ]
                ),
            ],
            [3],
        )
        driven(optimizer, scheduler, 3)  # one gradient waits for the next step
        average.update()
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
        kept = pickle.dumps((optimizer, scheduler, plateau, average))
        write(folder / f"{kind}.pickle", kept, driven(optimizer, scheduler, 5))
    optimizer = AdamW(lr=0.05, weight_decay=0.1)
    weights = {"a": mlx[0]}
    optimizer.init(weights)
    weights = updated(optimizer, weights, 2)
    kept = pickle.dumps((optimizer, weights))
    write(folder / "tree.pickle", kept, np.array(updated(optimizer, weights, 3)["a"]).tolist())


def write(path: Path, kept: bytes, reached: Any) -> None:
    """Write a pickle of a pickle, so that the outer one can be read by any revision."""
    path.write_bytes(pickle.dumps({"kept": kept, "reached": reached}))


if __name__ == "__main__":
    record(Path(sys.argv[1]))
