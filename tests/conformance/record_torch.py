"""Records the trajectories of torch's optimizers into recorded/torch.npz.

Run as a script where torch is installed; nothing of the project is needed.  Everything is float64:
torch keeps NAdam's product of mu in its default type, so that is float64 too.  Start values and
gradients are representable in float32, so this one recording also judges float32 results.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from cases import (
    CASES,
    CHECKPOINTS,
    PARAMETERS,
    RESUME_AT,
    STEPS,
    Case,
    change,
    gradients,
    starts,
)
from recording import Recorder


def has(case: Case) -> bool:
    """Whether torch has the case's arguments."""
    return (
        case.arguments.keys()
        <= inspect.signature(getattr(torch.optim, case.optimizer)).parameters.keys()
    )


def record(case: Case, recorder: Recorder) -> None:
    """Run one case and add its checkpoints."""
    weights = [torch.from_numpy(values).requires_grad_() for values in starts()]
    groups = [
        {"params": [w for w, p in zip(weights, PARAMETERS, strict=True) if p.group == index], **own}
        for index, own in enumerate(case.groups)
    ]
    optimizer = getattr(torch.optim, case.optimizer)(groups, foreach=False, **case.arguments)
    schedule = case.schedule()
    for step, grads in enumerate(gradients(), start=1):
        change(case, optimizer.param_groups, schedule.get(step, {}))
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = None if grad is None else torch.from_numpy(grad)
        optimizer.step()
        if step in CHECKPOINTS:
            saved = optimizer.state_dict()["state"]
            recorder.add(
                case, step, [state_of(w, saved.get(index, {})) for index, w in enumerate(weights)]
            )
        if step == RESUME_AT:
            recorder.add_groups(case, optimizer.state_dict()["param_groups"])


def state_of(weight: torch.Tensor, saved: dict[str, Any]) -> dict[str, Any]:
    """What a parameter holds, by its key in state_dict, and its value under "w"."""
    if saved.get("step") == 0:  # Adagrad makes its state before there is a step
        saved = {}
    values = {key: value for key, value in saved.items() if value is not None}
    for key, value in values.items():
        assert torch.as_tensor(value).dtype in (torch.float64, torch.float32), key
    arrays = {key: torch.as_tensor(value).numpy() for key, value in values.items()}
    return {"w": weight.detach().numpy().copy(), **{k: np.array(v) for k, v in arrays.items()}}


def main() -> None:
    """Record every case."""
    torch.set_default_dtype(torch.float64)
    recorder = Recorder()
    taken = {name: case for name, case in CASES.items() if has(case)}
    for case in taken.values():
        record(case, recorder)
    version = torch.__version__.partition("+")[0]
    recorder.write("torch", version, cases=taken)
    print(f"recorded {len(taken)} cases of {STEPS} steps from torch {version}")


if __name__ == "__main__":
    main()
