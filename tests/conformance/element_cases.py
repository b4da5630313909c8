"""The cases of the optimizers of elements, tensors, rows and columns that torch lacks.

See ``more_cases`` for others.  The data are those of ``cases``.  Each optimizer has two: with what
it is given here, and with every option, a decay, the gradient's other sign, and changes between
steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cases import WITHOUT_DECAY, Case

#: Our dialect that reads an optimizer as the library does.
DIALECTS = {
    "AdaBound": "pytorch_optimizer",
    "AdaMod": "pytorch_optimizer",
    "AdaPNM": "pytorch_optimizer",
    "AccSGD": "paper",
    "DiffGrad": "pytorch_optimizer",
    "EXAdam": "paper",
    "FTRL": "paper",
    "Grams": "paper",
    "Gravity": "pytorch_optimizer",
    "Kate": "paper",
    "LaProp": "pytorch_optimizer",
    "MARS": "pytorch_optimizer",
    "PID": "paper",
    "PNM": "paper",
    "Padam": "pytorch_optimizer",
    "QHM": "paper",
    "SGDW": "pytorch_optimizer",
    "SRMM": "pytorch_optimizer",
    "Signum": "paper",
    "SimplifiedAdEMAMix": "pytorch_optimizer",
    "Tiger": "paper",
    "VSGD": "paper",
    # What follows reduces over tensors.
    "AdaNorm": "pytorch_optimizer",
    "AdamG": "paper",
    "Aida": "pytorch_optimizer",
    "FAdam": "paper",
    "Fromage": "paper",
    "LAMB": "pytorch_optimizer",
    "NovoGrad": "paper",
    "StableAdamW": "paper",
    "AdamP": "pytorch_optimizer",
    "A2GradExp": "pytorch_optimizer",
    "A2GradInc": "pytorch_optimizer",
    "A2GradUni": "pytorch_optimizer",
    "AdaShift": "paper",
    "Amos": "paper",
    "ApolloDQN": "paper",
    "Rose": "pytorch_optimizer",
    "SGDP": "paper",
    "SGDSaI": "pytorch_optimizer",
    # And these over rows and columns.
    "AdamMini": "paper",
    "Adalite": "pytorch_optimizer",
    "CAME": "paper",
    "SM3": "paper",
}

#: The library's names of classes, where they differ from ours.
CLASSES = {"LAMB": "Lamb", "Padam": "PAdam", "Rose": "ROSE", "Signum": "SignSGD"}
CLASSES |= dict.fromkeys(("A2GradExp", "A2GradInc", "A2GradUni"), "A2Grad")

ADAM: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}
OTHER: dict[str, Any] = {"betas": (0.8, 0.99), "eps": 1e-3}
#: For each optimizer what its cases are given, and what is changed before step 20.
GIVEN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "AdaBound": (ADAM, {"final_lr": 0.02, "gamma": 0.01, "amsgrad": True}, OTHER),
    "AdaMod": (
        {**ADAM, "betas": (0.9, 0.999, 0.999)},
        {"betas": (0.9, 0.99, 0.9)},
        {"betas": (0.8, 0.99, 0.8), "eps": 1e-3},
    ),
    "AdaPNM": (
        {**ADAM, "betas": (0.9, 0.999, 1.0)},
        {"betas": (0.9, 0.99, 0.5), "amsgrad": False},
        {"betas": (0.8, 0.99, 2.0), "eps": 1e-3},
    ),
    "AccSGD": ({"lr": 0.001}, {"kappa": 100.0, "xi": 5.0, "constant": 0.5}, {"xi": 8.0}),
    "DiffGrad": (ADAM, {"betas": (0.9, 0.99)}, OTHER),
    "EXAdam": (ADAM, {"betas": (0.9, 0.99)}, OTHER),
    "FTRL": (
        {"lr": 0.05},
        {"lr_power": -0.6, "beta": 1.0, "lambda_1": 0.5, "lambda_2": 0.1},
        {"lambda_1": 0.01},
    ),
    "Grams": ({**ADAM, "eps": 1e-6}, {"betas": (0.9, 0.99)}, OTHER),
    # Without the random start, whose numbers are the library's own.
    "Gravity": ({"lr": 0.01, "alpha": 0.0}, {"beta": 0.5}, {"beta": 0.99}),
    "Kate": ({"lr": 0.01, "eps": 1e-8}, {"delta": 0.1, "eps": 1e-4}, {"delta": 1.0}),
    "LaProp": ({**ADAM, "eps": 1e-15}, {"betas": (0.9, 0.99), "eps": 1e-6}, OTHER),
    "MARS": (
        {"lr": 0.01, "betas": (0.95, 0.99)},
        {"gamma": 0.1},
        {"betas": (0.8, 0.99), "eps": 1e-3},
    ),
    "PID": (
        {"lr": 0.01, "momentum": 0.9},
        {"dampening": 0.1, "derivative": 3.0, "integral": 2.0},
        {"momentum": 0.5},
    ),
    "PNM": ({"lr": 0.01, "betas": (0.9, 1.0)}, {}, {"betas": (0.8, 0.5)}),
    "Padam": (ADAM, {"partial": 0.125}, OTHER),
    "QHM": (
        {"lr": 0.05, "momentum": 0.999, "nu": 0.7},
        {"momentum": 0.9},
        {"momentum": 0.5, "nu": 0.9},
    ),
    "SGDW": ({"lr": 0.05}, {"momentum": 0.9}, {"momentum": 0.5}),
    "SRMM": ({"lr": 0.01}, {"beta": 0.7, "memory_length": 8}, {}),
    "Signum": ({"lr": 0.01, "momentum": 0.9}, {}, {"momentum": 0.5}),
    "SimplifiedAdEMAMix": (
        {"lr": 0.001, "betas": (0.99, 0.95)},
        {"alpha": 2.0, "beta1_warmup": 30, "min_beta1": 0.5},
        {"betas": (0.9, 0.99), "eps": 1e-3},
    ),
    "Tiger": ({"lr": 0.01, "beta": 0.965, "weight_decay": 0.01}, {}, {"beta": 0.5}),
    "VSGD": ({"lr": 0.01}, {"ghattg": 10.0, "ps": 1e-6, "tau1": 0.7, "tau2": 0.8}, {"eps": 1e-3}),
    "AdaNorm": ({**ADAM, "betas": (0.9, 0.99)}, {"r": 0.8, "amsgrad": True}, OTHER),
    "AdamG": (
        {"lr": 0.5, "betas": (0.95, 0.999, 0.95)},
        {"betas": (0.9, 0.99, 0.9)},
        {"betas": (0.8, 0.99, 0.8), "eps": 1e-3},
    ),
    "Aida": ({**ADAM, "eps": 1e-6}, {"amsgrad": True}, OTHER),
    "FAdam": (ADAM, {"clip": 0.5, "p": 0.4, "eps_2": 0.1}, OTHER),
    "Fromage": ({"lr": 0.01}, {}, {}),
    "LAMB": ({**ADAM, "eps": 1e-6}, {"grad_averaging": False}, OTHER),
    "NovoGrad": ({"lr": 0.01, "betas": (0.95, 0.98)}, {"grad_averaging": True}, OTHER),
    "StableAdamW": ({**ADAM, "betas": (0.9, 0.99)}, {}, OTHER),
    # Weights that are invariant in all rows, as a whole, and not at all.
    "AdamP": (ADAM, {"delta": 1.0, "wd_ratio": 0.5, "nesterov": True}, OTHER),
    "Amos": (
        {"lr": 0.1, "beta": 0.99},
        {"momentum": 0.9, "c_coef": 2.0, "d_coef": 0.5},
        {"beta": 0.9, "momentum": 0.5},
    ),
    "AdaShift": (ADAM, {"by_tensor": False}, OTHER),
    "A2GradExp": ({}, {"beta": 1.0, "lips": 2.0, "rho": 0.9}, {"beta": 20.0, "rho": 0.5}),
    "A2GradInc": ({}, {"beta": 1.0, "lips": 2.0}, {"beta": 20.0}),
    "A2GradUni": ({}, {"beta": 1.0, "lips": 2.0}, {"lips": 5.0}),
    "ApolloDQN": ({"lr": 0.01}, {"beta": 0.8, "belief": True, "eps": 1e-2}, {"beta": 0.5}),
    "Rose": (
        {"lr": 0.01, "weight_decay": 0.0},
        {"centralize": False, "stabilize": False, "decoupled_weight_decay": True},
        {"stabilize": True},
    ),
    "SGDP": (
        {"lr": 0.01, "momentum": 0.9},
        {"dampening": 0.1, "delta": 1.0, "wd_ratio": 0.5, "nesterov": True},
        {"momentum": 0.5},
    ),
    "SGDSaI": ({"lr": 0.01}, {"momentum": 0.8, "eps": 0.1}, {"momentum": 0.5}),
    "AdamMini": (ADAM, {"by_row": False}, OTHER),
    "Adalite": (
        {"lr": 0.01},
        {"tau": 4.0, "ratio_min": 1.0, "g_norm_min": 1e-3, "eps1": 1e-4},
        {"betas": (0.8, 0.999), "tau": 2.0},
    ),
    "CAME": (
        {"lr": 0.01, "betas": (0.9, 0.99, 0.999)},
        {"d": 0.5, "eps": (1e-12, 1e-6)},
        {"betas": (0.8, 0.9, 0.99)},
    ),
    "SM3": ({"lr": 0.01}, {"momentum": 0.9, "beta": 0.9, "eps": 1e-12}, {"momentum": 0.5}),
}


def _cases() -> Iterator[Case]:
    for name, (given, options, changed) in GIVEN.items():
        decay = {} if name in WITHOUT_DECAY else {"weight_decay": 0.1}
        yield Case(name, name, given)
        full = {**given, **options, **decay, "maximize": True}
        yield Case(f"{name}-options", name, full, {20: changed})


ELEMENT_CASES: dict[str, Case] = {case.name: case for case in _cases()}
#: The cases of FTRL that keras has, which is told the learning rate.
KERAS_CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("FTRL", "FTRL", {"lr": 0.05}),
        Case("FTRL-options", "FTRL", {**GIVEN["FTRL"][0], **GIVEN["FTRL"][1]}),
    )
}
#: The case of each for single precision, in which differences of gradients that hold a decay, as
#: PID and ApolloDQN take them, would cancel. Adalite has none: exponentials of the squares of large
#: weights lose all digits.
SINGLE = {
    name: ELEMENT_CASES[name if name in ("PID", "ApolloDQN") else f"{name}-options"]
    for name in GIVEN
    if name != "Adalite"
}
