"""The runs of pytorch_optimizer that are stopped and resumed."""

from __future__ import annotations

from typing import Any

from more_cases import PYTORCH_OPTIMIZER
from resume_cases import Resume

#: What each run is given besides a learning rate of 0.01, which ours takes from the saved groups.
GIVEN: dict[str, dict[str, Any]] = {
    "Lion": {"betas": (0.8, 0.95), "weight_decay": 0.1},
    "SignSGD": {"momentum": 0.8},
    "Adan": {"weight_decay": 0.1},
    "AdaBelief": {"weight_decay": 0.1},
    "Yogi": {"initial_accumulator": 1e-4},
    "ADOPT": {"weight_decay": 0.1, "weight_decouple": True},
    "AdEMAMix": {"t_alpha_beta3": 40},
    "QHAdam": {"nus": (0.7, 0.9)},
    "AggMo": {},
    "MADGRAD": {"momentum": 0.5},
}
RUNS = {
    name: Resume(name, name, {"lr": 0.01, **given}, name, {"lr": 0.5}, (PYTORCH_OPTIMIZER[name],))
    for name, given in GIVEN.items()
}
