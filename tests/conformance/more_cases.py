"""The cases of the optimizers that torch does not have, and which readings other libraries have.

The data (parameters, gradients, checkpoints) are those of ``cases``.  A case's arguments are ours;
the recording scripts say what a library calls them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cases import Case

#: Our dialect that reads an optimizer as the library does, and the optimizers that it has.
PYTORCH_OPTIMIZER = {
    "Lion": "paper",
    "SignSGD": "paper",
    "Adan": "pytorch_optimizer",
    "AdaBelief": "paper",
    "Yogi": "pytorch_optimizer",
    "ADOPT": "pytorch_optimizer",
    "AdEMAMix": "paper",
    "QHAdam": "pytorch_optimizer",
    "AggMo": "paper",
    "MADGRAD": "pytorch_optimizer",
}
OPTAX = {
    "Lion": "paper",
    "SignSGD": "paper",
    "AdaBelief": "paper",
    "Yogi": "pytorch_optimizer",
    "ADOPT": "paper",
    "AdEMAMix": "paper",
    "MADGRAD": "pytorch_optimizer",
    "SimplifiedAdEMAMix": "paper",
}

#: For each optimizer its case with options; the others are made from it, see `_cases`.
FULL: dict[str, dict[str, Any]] = {
    "Lion": {"lr": 0.01, "betas": (0.8, 0.95)},
    "SignSGD": {"lr": 0.01, "momentum": 0.9},
    "Adan": {"lr": 0.01, "betas": (0.9, 0.8, 0.95), "eps": 1e-3},
    "AdaBelief": {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6},
    "Yogi": {"lr": 0.01, "betas": (0.8, 0.99), "initial_accumulator": 1e-4, "eps": 1e-4},
    "ADOPT": {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-3},
    "AdEMAMix": {"lr": 0.01, "betas": (0.8, 0.99, 0.995), "alpha": 2.0, "eps": 1e-3},
    "QHAdam": {"lr": 0.01, "betas": (0.9, 0.99), "nus": (0.7, 0.9)},
    "AggMo": {"lr": 0.01, "betas": (0.5, 0.9, 0.95)},
    "MADGRAD": {"lr": 0.01, "momentum": 0.5, "eps": 1e-4},
}


def _cases(optimizer: str, full: dict[str, Any]) -> Iterator[Case]:
    """Defaults; a usual step with and without decay; every option; changes between steps."""
    yield Case(f"{optimizer}-defaults", optimizer, {})
    yield Case(optimizer, optimizer, {"lr": 0.01})
    yield Case(
        f"{optimizer}-weight_decay=0.1-maximize",
        optimizer,
        {"lr": 0.01, "weight_decay": 0.1, "maximize": True},
    )
    yield Case(f"{optimizer}-options", optimizer, full)
    changing = {key: value for key, value in full.items() if key in ("betas", "momentum", "eps")}
    start = {"betas": (0.3, 0.8, 0.99)} if optimizer == "AggMo" else {}
    yield Case(
        f"{optimizer}-changing",
        optimizer,
        {"lr": 0.01, "weight_decay": 0.0, **start},
        {12: {"weight_decay": 0.1}, 20: changing},
    )


def _special() -> Iterator[Case]:
    yield Case("ADOPT-clip=False", "ADOPT", {"lr": 0.01, "clip": False})
    decoupled = {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}
    yield Case("ADOPT-decoupled_weight_decay", "ADOPT", decoupled)
    rectify = {"lr": 0.01, "weight_decay": 0.1, "rectify": True}
    yield Case("AdaBelief-rectify", "AdaBelief", rectify, {30: {"betas": (0.8, 0.99)}})
    yield Case("AdEMAMix-warmup", "AdEMAMix", {"lr": 0.01, "alpha_warmup": 30, "beta3_warmup": 30})


MORE_CASES: dict[str, Case] = {
    case.name: case
    for case in (*(c for name, full in FULL.items() for c in _cases(name, full)), *_special())
}


def _optax() -> Iterator[Case]:
    """The cases whose arguments optax has; it must be told the learning rate and the momentum."""
    for optimizer in OPTAX:
        arguments: dict[str, Any] = {"lr": 0.01}
        if optimizer == "SignSGD":
            arguments["momentum"] = 0.9
        if optimizer == "Lion":
            arguments["weight_decay"] = 0.1
        if optimizer == "SimplifiedAdEMAMix":
            arguments |= {"alpha": 2.0, "weight_decay": 0.1}
        yield Case(f"{optimizer}-plain", optimizer, arguments)
    for name in ("SignSGD-options", "AdaBelief-options", "ADOPT-options", "ADOPT-clip=False"):
        yield MORE_CASES[name]
    for name in ("Lion-options", "AdEMAMix-options", "MADGRAD-options"):
        case = MORE_CASES[name]
        yield Case(
            f"{name}-weight_decay=0.1", case.optimizer, {**case.arguments, "weight_decay": 0.1}
        )


OPTAX_CASES: dict[str, Case] = {case.name: case for case in _optax()}
