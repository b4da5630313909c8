"""Records the optimizers of ``element_cases`` into recorded/elements.npz.

Run as a script where pytorch_optimizer is installed; nothing of the project is needed.  How a case
is run is `record_pytorch_optimizer`'s; here is only what these are called there.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from cases import STEPS, Case
from element_cases import CLASSES, ELEMENT_CASES
from record_pytorch_optimizer import record
from recording import Recorder, State

#: The library's names of arguments, where they differ from ours.
ARGUMENTS = {"amsgrad": "ams_bound"}
#: What is given in addition: a coupled decay, vectors treated as matrices are, states in double.
MORE: dict[str, dict[str, Any]] = {
    "FAdam": {"momentum_dtype": torch.float64, "fim_dtype": torch.float64},
    "PID": {"weight_decouple": False},
    "Padam": {"weight_decouple": False},
    "QHM": {"weight_decouple": False},
    "MARS": {"optimize_1d": True},
}
#: Sums that the library never reads, an average of parameters that is the parameter, and what LAMB
#: and StableAdamW note down.
NOT_OURS = {"exp_avg_lr_2", "num_sum", "mov_avg_param", "weight_norm", "adam_norm", "trust_ratio"}
#: Our keys, where the library has others.
KEYS = {
    "AdaNorm": {"exp_avg_var": "exp_avg_sq", "max_exp_avg_var": "max_exp_avg_sq"},
    "FAdam": {"momentum": "exp_avg"},
}
#: The two momenta of alternate steps: the one of the last step, and the one before.
ALTERNATE = {"PNM": ("pos_momentum", "neg_momentum"), "AdaPNM": ("exp_avg", "neg_exp_avg")}


def in_library(case: Case) -> Case:
    """The case with the library's names."""
    changes = {step: _renamed(values) for step, values in case.changes.items()}
    given = {**MORE.get(case.optimizer, {}), **_renamed(case.arguments)}
    return Case(case.name, CLASSES.get(case.optimizer, case.optimizer), given, changes)


def _renamed(values: Any) -> dict[str, Any]:
    return {ARGUMENTS.get(key, key): value for key, value in values.items()}


def ours(case: Case, state: State, steps: int) -> State:
    """A state of the library under our keys, after a number of steps of its parameter."""
    keys = KEYS.get(case.optimizer, {})
    kept = {keys.get(key, key): value for key, value in state.items() if key not in NOT_OURS}
    if "exp_grad_norm" in kept:
        kept["exp_grad_norm"] = kept["exp_grad_norm"].reshape(())
    if case.optimizer in ALTERNATE and len(kept) > 1:
        pair = [kept.pop(key) for key in ALTERNATE[case.optimizer]]
        kept["exp_avg"], kept["neg_exp_avg"] = pair if steps % 2 else pair[::-1]
    if case.optimizer == "Kate" and len(kept) > 1:
        kept |= {f"{key}_squared": np.square(kept.pop(key)) for key in ("b", "m")}
    return kept


def main() -> None:
    """Record every case."""
    recorder = Recorder()
    for case in ELEMENT_CASES.values():
        record(in_library(case), recorder, lambda *found, case=case: ours(case, *found))
    recorder.write(
        "pytorch_optimizer", version("pytorch_optimizer"), cases=ELEMENT_CASES, name="elements"
    )
    print(f"recorded {len(ELEMENT_CASES)} cases of {STEPS} steps from pytorch_optimizer")


if __name__ == "__main__":
    main()
