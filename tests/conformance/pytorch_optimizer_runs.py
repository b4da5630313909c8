"""The runs of pytorch_optimizer that are stopped and resumed."""

from __future__ import annotations

from typing import Any

from element_cases import CLASSES, DIALECTS
from more_cases import PYTORCH_OPTIMIZER
from resume_cases import Resume

#: What each run is given besides a learning rate of 0.01, which ours takes from the saved groups.
GIVEN: dict[str, dict[str, Any]] = {
    "Lion": {"betas": (0.8, 0.95), "weight_decay": 0.1},
    "SignSGD": {"momentum": 0.8},
    "Adan": {"weight_decay": 0.1},
    "AdaBelief": {"weight_decay": 0.1, "rectify": True},
    "Yogi": {"initial_accumulator": 1e-4},
    "ADOPT": {"weight_decay": 0.1, "weight_decouple": True},
    "AdEMAMix": {"t_alpha_beta3": 40},
    "QHAdam": {"nus": (0.7, 0.9)},
    "AggMo": {},
    "MADGRAD": {"momentum": 0.5},
    "AdaMod": {"weight_decay": 0.1},
    "AccSGD": {"kappa": 100.0},
    "DiffGrad": {"weight_decay": 0.1},
    "EXAdam": {"weight_decay": 0.1},
    "FTRL": {"lambda_1": 0.1},
    "Grams": {"weight_decay": 0.1},
    "PID": {"momentum": 0.8, "weight_decouple": False},
    "Padam": {"partial": 0.125},
    "QHM": {"momentum": 0.8, "nu": 0.7},
    "SGDW": {"momentum": 0.8, "weight_decay": 0.1},
    "Signum": {"momentum": 0.8},
    "Tiger": {},
    "AdamG": {"betas": (0.9, 0.99, 0.9)},
    "Aida": {"eps": 1e-6},
    "NovoGrad": {"weight_decay": 0.1},
    "AdamP": {"weight_decay": 0.1, "delta": 1.0, "nesterov": True},
    "SGDP": {"weight_decay": 0.1, "delta": 1.0, "momentum": 0.8},
    "SGDSaI": {"momentum": 0.8, "weight_decay": 0.1},
}
RUNS = {
    name: Resume(
        name,
        CLASSES.get(name, name),
        {"lr": 0.01, **given},
        name,
        {"lr": 0.5},
        ({**PYTORCH_OPTIMIZER, **DIALECTS}[name],),
    )
    for name, given in GIVEN.items()
}
#: It has another name for its learning rate, which is the largest one.
RUNS["AliG"] = Resume(
    "AliG",
    "AliG",
    {"max_lr": 0.01, "momentum": 0.9, "adjusted_momentum": True},
    "AliG",
    {"lr": 0.5},
    ("paper",),
)
RUNS["AdamS"] = Resume(
    "AdamS",
    "AdamS",
    {"lr": 0.01, "weight_decay": 0.1, "ams_bound": True},
    "AdamS",
    {"lr": 0.5, "ams_bound": True},
    ("pytorch_optimizer",),
)
