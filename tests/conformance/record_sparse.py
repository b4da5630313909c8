"""Records the trajectories of torch's SparseAdam into recorded/sparse.npz.

Run as a script where torch is installed; nothing of the project is needed.  Everything is float64.
The library is given sparse gradients of the rows that are not zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from cases import CHECKPOINTS, PARAMETERS, RESUME_AT, STEPS, Array, Case, change, gradients, starts
from record_torch import state_of
from recording import Recorder
from sparse_cases import SPARSE_CASES


def sparse(grad: Array) -> torch.Tensor:
    """The rows that are not zero, of a vector its elements."""
    return torch.from_numpy(np.atleast_1d(grad)).to_sparse(1)


def held(weight: torch.Tensor, state: dict[str, Any]) -> dict[str, Any]:
    """What a parameter holds; SparseAdam counts steps in whole numbers."""
    return state_of(weight, {k: float(v) if k == "step" else v for k, v in state.items()})


def record(case: Case, recorder: Recorder) -> None:
    """Run one case and add its checkpoints."""
    weights = [torch.from_numpy(np.atleast_1d(w)).requires_grad_() for w in starts()]
    members = [
        [i for i, p in enumerate(PARAMETERS) if p.group == index]
        for index in range(len(case.groups))
    ]
    optimizer = torch.optim.SparseAdam(
        [{"params": [weights[i] for i in of]} for of in members], **case.arguments
    )
    schedule = case.schedule()
    for step, grads in enumerate(gradients(case.sparse), start=1):
        change(case, optimizer.param_groups, schedule.get(step, {}))
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = None if grad is None else sparse(grad)
        optimizer.step()
        if step in CHECKPOINTS:
            recorder.add(case, step, [held(w, optimizer.state.get(w, {})) for w in weights])
        if step == RESUME_AT:
            recorder.add_groups(case, optimizer.state_dict()["param_groups"])


def main() -> None:
    """Record every case."""
    recorder = Recorder()
    for case in SPARSE_CASES.values():
        record(case, recorder)
    version = torch.__version__.partition("+")[0]
    recorder.write("torch", version, cases=SPARSE_CASES, name="sparse")
    print(f"recorded {len(SPARSE_CASES)} cases of {STEPS} steps from torch {version}")


if __name__ == "__main__":
    main()
