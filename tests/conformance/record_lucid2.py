"""Records the trajectories of Lucid 2.9's optimizers into recorded/lucid2.npz.

Run as a script where lucid-dl 2.9.0 is installed; nothing of the project is needed.  An argument
names another folder than recorded/ to write to.  It takes the cases whose arguments
that version has.  0-d parameters are left out: its Adam family crashes there.
"""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lucid.optim
import numpy as np
from cases import (
    CASES,
    CHECKPOINTS,
    PARAMETERS,
    RESUME_AT,
    Case,
    change,
    gradients,
    starts,
)
from lucid import Float64, nn
from recording import FOLDER, Recorder

PACKAGE = "lucid-dl"


def arguments(case: Case) -> dict[str, Any] | None:
    """The case's arguments, or None if Lucid has no such argument; those left at zero may lack."""
    known = inspect.signature(getattr(lucid.optim, case.optimizer)).parameters
    changed = {key for values in case.changes.values() for key in values}
    wanted = {key for key, value in case.arguments.items() if value} | changed
    if not wanted <= known.keys():
        return None
    return {key: value for key, value in case.arguments.items() if key in known}


def record(case: Case, recorder: Recorder, accepted: dict[str, Any]) -> None:
    """Run one case and add its checkpoints."""
    weights = [
        nn.Parameter(values.copy(order="K"), dtype=Float64) if p.shape else None
        for p, values in zip(PARAMETERS, starts(), strict=True)
    ]
    members = [
        [w for w, p in zip(weights, PARAMETERS, strict=True) if p.group == index and w is not None]
        for index in range(len(case.groups))
    ]
    optimizer = getattr(lucid.optim, case.optimizer)(members[0], **accepted)
    for own, params in zip(case.groups[1:], members[1:], strict=True):
        optimizer.add_param_group({"params": params, **own})
    schedule = case.schedule()
    for step, grads in enumerate(gradients(), start=1):
        change(case, optimizer.param_groups, schedule.get(step, {}))
        for weight, grad in zip(weights, grads, strict=True):
            if weight is not None:
                weight.grad = grad
        optimizer.step()
        if step in CHECKPOINTS:
            recorder.add(case, step, [_state(optimizer, weight) for weight in weights])
        if step == RESUME_AT:
            recorder.add_groups(case, optimizer.state_dict()["param_groups"])


def _state(optimizer: Any, weight: Any) -> dict[str, Any] | None:
    if weight is None:
        return None
    assert weight.data.dtype == np.float64
    return {"w": weight.data, **optimizer.state.get(weight, {})}


def main() -> None:
    """Record every case that Lucid 2.9 has, or those that are named behind the folder."""
    recorder = Recorder()
    names = sys.argv[2:] or list(CASES)
    accepted = {name: arguments(CASES[name]) for name in names}
    taken = {name: given for name, given in accepted.items() if given is not None}
    for name, given in taken.items():
        record(CASES[name], recorder, given)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    recorder.write("lucid2", version(PACKAGE), folder, {name: CASES[name] for name in taken})
    print(f"recorded {len(taken)} of {len(CASES)} cases from {PACKAGE} {version(PACKAGE)}")


if __name__ == "__main__":
    main()
