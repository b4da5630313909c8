"""Records torch's optimizers after torch's clipping into recorded/torch_around.npz.

Run as a script where torch is installed; nothing of the project is needed.  All is float64, as in
record_torch.py.
"""

from __future__ import annotations

import torch
from cases import CHECKPOINTS, GROUPS, PARAMETERS, STEPS, Case, change, gradients, starts
from cases_around import CASES_AROUND
from record_torch import state_of
from recording import Recorder


def record(case: Case, recorder: Recorder) -> None:
    """Run one case and add its checkpoints."""
    arguments = dict(case.arguments)
    norm, value = arguments.pop("max_grad_norm", None), arguments.pop("max_grad_value", None)
    weights = [torch.from_numpy(values).requires_grad_() for values in starts()]
    groups = [
        {"params": [w for w, p in zip(weights, PARAMETERS, strict=True) if p.group == index], **own}
        for index, own in enumerate(GROUPS)
    ]
    optimizer = getattr(torch.optim, case.optimizer)(groups, foreach=False, **arguments)
    schedule = case.schedule()
    for step, grads in enumerate(gradients(), start=1):
        change(case, optimizer.param_groups, schedule.get(step, {}))
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = None if grad is None else torch.from_numpy(grad)
        if norm is not None:
            torch.nn.utils.clip_grad_norm_(weights, norm, foreach=False)
        if value is not None:
            torch.nn.utils.clip_grad_value_(weights, value, foreach=False)
        optimizer.step()
        if step in CHECKPOINTS:
            saved = optimizer.state_dict()["state"]
            recorder.add(
                case, step, [state_of(w, saved.get(index, {})) for index, w in enumerate(weights)]
            )


def main() -> None:
    """Record every case."""
    torch.set_default_dtype(torch.float64)
    recorder = Recorder()
    for case in CASES_AROUND.values():
        record(case, recorder)
    version = torch.__version__.partition("+")[0]
    recorder.write("torch", version, cases=CASES_AROUND, name="torch_around")
    print(f"recorded {len(CASES_AROUND)} cases of {STEPS} steps from torch {version}")


if __name__ == "__main__":
    main()
