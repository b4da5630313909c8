"""Records what torch's schedulers write into recorded/torch_schedules.npz.

Run as a script where torch is installed; nothing of the project is needed. Besides the values of
every step it records what is saved at SAVED_AT, to be loaded here.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from schedule_cases import CASES, RATES, ScheduleCase, fingerprint, plain, run

FOLDER = Path(__file__).parent / "recorded"
SAVED_AT = 37
#: All schedulers, wherever torch has them.
SCHEDULERS = SimpleNamespace(**vars(torch.optim.lr_scheduler), SWALR=torch.optim.swa_utils.SWALR)


def optimizer_of(case: ScheduleCase) -> torch.optim.Optimizer:
    """An optimizer with two groups."""
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in RATES]
    if case.optimizer == "Adam":
        return torch.optim.Adam(groups)
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def saved(case: ScheduleCase) -> dict[str, Any] | None:
    """What the scheduler of a case saves after some calls, without the object of a function."""
    optimizer = optimizer_of(case)
    scheduler = case.make(SCHEDULERS, optimizer)
    if not hasattr(scheduler, "state_dict"):
        return None
    for call in range(SAVED_AT):
        optimizer.step()
        scheduler.step(*(() if case.metric is None else (case.metric(call),)))
    groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    return {"scheduler": plain(scheduler.state_dict()), "groups": plain(groups)}


def main() -> None:
    """Record every case."""
    warnings.simplefilter("ignore")
    arrays = {}
    states = {}
    for name, case in CASES.items():
        arrays[name] = np.array(run(case, SCHEDULERS, optimizer_of(case)))
        states[name] = saved(case)
    version = torch.__version__.partition("+")[0]
    about = {"library": "torch", "version": version, "cases": fingerprint(), "saved_at": SAVED_AT}
    np.savez_compressed(
        FOLDER / "torch_schedules.npz",
        about=np.array(json.dumps(about)),
        states=np.array(json.dumps(states)),
        **arrays,
    )
    print(f"recorded {len(CASES)} schedules from torch {version}")


if __name__ == "__main__":
    main()
