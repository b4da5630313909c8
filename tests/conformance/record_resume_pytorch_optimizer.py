"""Records runs of pytorch_optimizer that are stopped halfway, with their state dicts.

Run as a script where pytorch_optimizer is installed; nothing of the project is needed.  Everything
is float64.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pytorch_optimizer
import torch
from cases import RESUME_AT, STEPS, loss_of
from in_double import norm_in_double
from pytorch_optimizer.optimizer import alig
from pytorch_optimizer_runs import RUNS
from resume_cases import Stops, begin, named_gradients

#: QHAdam's sums of powers of the betas, which are made in single precision.
SUMS = ("beta1_weight", "beta2_weight")


def record(name: str, stops: Stops) -> None:
    """Run to the end; keep the weights and the state dict at the stop, the weights at the end."""
    case = RUNS[name]
    weights = {
        # AdamP takes only rows that lie together.
        key: torch.from_numpy(np.ascontiguousarray(w)).requires_grad_()
        for key, w in begin().items()
    }
    optimizer = getattr(pytorch_optimizer, case.theirs)(
        list(weights.values()), foreach=False, **case.given
    )
    if case.theirs == "QHAdam":
        _in_double(optimizer)
    for step, grads in enumerate(named_gradients(), start=1):
        for key, weight in weights.items():
            weight.grad = torch.from_numpy(grads[key].copy())
        loss = loss_of(case.theirs, step)
        optimizer.step(*([] if loss is None else [lambda loss=loss: loss]))
        if step in (RESUME_AT, STEPS):
            stops.add_weights(name, step, {k: w.detach().numpy() for k, w in weights.items()})
        if step == RESUME_AT:
            stops.add_state(name, optimizer.state_dict())


@torch.no_grad()
def _in_double(optimizer: Any) -> None:
    """Make the sums of powers in double precision, like the rest."""
    (group,) = optimizer.param_groups
    for weight in group["params"]:
        weight.grad = torch.zeros_like(weight)
    optimizer.init_group(group)
    for state in optimizer.state.values():
        state.update({key: state[key].double() for key in SUMS})


def main() -> None:
    """Record every run."""
    alig.get_global_gradient_norm = norm_in_double
    stops = Stops("pytorch_optimizer", version("pytorch_optimizer"))
    for name in RUNS:
        record(name, stops)
    stops.write()
    print(f"recorded {len(RUNS)} runs of {STEPS} steps from pytorch_optimizer")


if __name__ == "__main__":
    main()
