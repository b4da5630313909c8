"""The cases of the optimizers that add up over groups of parameters; see ``more_cases``.

The data are those of ``cases``.  Each optimizer has two: with what it is given here, and with every
option, a decay, the gradient's other sign, and changes between steps.  First distances are chosen
such that they grow, in steps of many sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cases import Case

#: Our dialect that reads an optimizer as pytorch_optimizer does, and as optax does.
DIALECTS = {
    "Prodigy": "pytorch_optimizer",
    "DAdaptAdam": "pytorch_optimizer",
    "DAdaptLion": "pytorch_optimizer",
    "DAdaptSGD": "pytorch_optimizer",
    "DAdaptAdaGrad": "pytorch_optimizer",
    "AvaGrad": "pytorch_optimizer",
    "Adai": "pytorch_optimizer",
    "AliG": "paper",
    "AdamS": "pytorch_optimizer",
}
#: Those of which the library corrects biases by the steps of the group, whoever takes part: they
#: are recorded of the parameters that always do.
BY_GROUP = ("AvaGrad", "Adai", "AdamS")
OPTAX_DIALECTS = {"Prodigy": "optax", "DoG": "paper", "DoWG": "optax", "PolyakSGD": "optax"}

#: For each optimizer what its cases are given, and what is changed before step 20.
GIVEN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "Prodigy": (
        {"lr": 1.0, "d0": 1e-4},
        {
            "beta3": 0.9,
            "d_coef": 2.0,
            "growth_rate": 1.2,
            "bias_correction": True,
            "safeguard_warmup": True,
            "eps": 1e-6,
        },
        {"betas": (0.8, 0.99), "eps": 1e-3},
    ),
    "DAdaptAdam": (
        {"lr": 1.0, "d0": 1e-4, "eps": 1e-6},
        {"growth_rate": 1.1, "bias_correction": True, "weight_decouple": True},
        {"betas": (0.8, 0.99), "eps": 1e-3},
    ),
    "DAdaptLion": (
        {"lr": 1.0, "d0": 1e-3},
        {"weight_decouple": True, "betas": (0.9, 0.99)},
        {"betas": (0.8, 0.9)},
    ),
    "DAdaptSGD": (
        {"lr": 1.0, "d0": 1e-2},
        {"momentum": 0.5, "growth_rate": 1.05, "weight_decouple": True},
        {"momentum": 0.7},
    ),
    "DAdaptAdaGrad": (
        {"lr": 1.0, "d0": 1e-2},
        {"momentum": 0.5, "growth_rate": 1.05, "eps": 1e-6},
        {"momentum": 0.7},
    ),
    "AvaGrad": (
        {"lr": 0.1, "eps": 0.1, "weight_decouple": True},
        {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decouple": False},
        {"betas": (0.9, 0.9)},
    ),
    "Adai": (
        {"lr": 0.01, "betas": (0.1, 0.99), "eps": 1e-3},
        {"dampening": 0.9, "weight_decouple": True, "eps": 1e-2},
        {"betas": (0.3, 0.9)},
    ),
    "AdamS": (
        {"lr": 0.01, "weight_decay": 0.1},
        {"ams_bound": True, "adam_debias": True, "weight_decouple": False, "eps": 1e-6},
        {"betas": (0.8, 0.99), "eps": 1e-3},
    ),
}


def _cases() -> Iterator[Case]:
    for name, (given, options, changed) in GIVEN.items():
        yield Case(name, name, given)
        full = {**given, **options, "weight_decay": 0.1, "maximize": True}
        yield Case(f"{name}-options", name, full, {20: changed})
    yield Case("AdamS-fixed", "AdamS", {"lr": 0.01, "weight_decay": 0.001, "fixed_decay": True})
    # The library's has no decay, and does not change the sign of a loss that is maximized.
    yield Case("AliG", "AliG", {"lr": 0.1})
    for adjusted in (False, True):
        full = {"lr": 0.1, "momentum": 0.9, "adjusted_momentum": adjusted}
        name = "adjusted" if adjusted else "momentum"
        yield Case(f"AliG-{name}", "AliG", full, {20: {"momentum": 0.5}})
    # A decay that is part of the gradient, where the other one is the option.
    for name in ("DAdaptAdam", "DAdaptLion", "DAdaptSGD"):
        given = {**GIVEN[name][0], "d0": 1e-6, "weight_decay": 0.001}
        yield Case(f"{name}-coupled", name, given)
    # Single precision loses a distance that is small beside the weights.
    yield Case("Prodigy-far", "Prodigy", {"lr": 1.0, "d0": 1.0})


GROUP_CASES: dict[str, Case] = {case.name: case for case in _cases()}
#: The cases that optax has, which is told the learning rate.
OPTAX_CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("Prodigy", "Prodigy", {"lr": 1.0, "d0": 1e-4}),
        Case(
            "Prodigy-options",
            "Prodigy",
            {
                "lr": 1.0,
                "d0": 1e-2,
                "betas": (0.8, 0.99),
                "beta3": 0.9,
                "eps": 1e-6,
                "d_coef": 2.0,
                "safeguard_warmup": True,
                "weight_decay": 0.1,
            },
        ),
        Case("PolyakSGD", "PolyakSGD", {"lr": 0.1}),
        Case(
            "PolyakSGD-options",
            "PolyakSGD",
            {"lr": 0.2, "scaling": 0.5, "f_min": 0.125, "eps": 0.01, "positive": True},
        ),
        Case("PolyakSGD-below", "PolyakSGD", {"lr": 0.2, "f_min": 0.125}),
        Case("DoG", "DoG", {"lr": 1.0}),
        Case("DoG-options", "DoG", {"lr": 2.0, "reps_rel": 1e-3, "eps": 1e-4, "weight_decay": 0.1}),
        Case("DoWG", "DoWG", {"lr": 1.0}),
        Case("DoWG-options", "DoWG", {"lr": 0.5, "reps": 1e-2, "weight_decay": 0.1}),
    )
}
#: The case of each for single precision, in which 1 - (1 - eps) has an error of u / eps.
OTHERS = {"Prodigy": GROUP_CASES["Prodigy-far"], "Adai": GROUP_CASES["Adai-options"]}
SINGLE = {name: GROUP_CASES[name] for name in GIVEN} | OTHERS
SINGLE["AliG"] = GROUP_CASES["AliG-momentum"]
