"""The runs of optax that are stopped and resumed."""

from __future__ import annotations

from typing import Any

from resume_cases import Resume

MOMENTUM: dict[str, Any] = {"lr": 0.05, "momentum": 0.9}
RMS: dict[str, Any] = {"lr": 0.001, "alpha": 0.9, "momentum": 0.5, "centered": True, "eps": 1e-6}


def _run(
    name: str, ours: str, given: dict[str, Any], arguments: dict[str, Any], *of: str
) -> Resume:
    return Resume(name, name, {"learning_rate": 0.01, **given}, ours, {"lr": 0.01, **arguments}, of)


RUNS = {
    run.name: run
    for run in (
        Resume("sgd", "sgd", {"learning_rate": 0.05, "momentum": 0.9}, "SGD", MOMENTUM, ("torch",)),
        Resume(
            "nesterov",
            "sgd",
            {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
            "SGD",
            {**MOMENTUM, "nesterov": True},
            ("torch",),
        ),
        # An average of gradients, and the sum that does the same at another learning rate.
        Resume(
            "ema",
            "ema",
            {"learning_rate": 0.05},
            "SGD",
            {**MOMENTUM, "dampening": 0.9},
            ("torch",),
        ),
        Resume(
            "ema as a sum",
            "ema",
            {"learning_rate": 0.05},
            "SGD",
            {"lr": 0.05 * (1 - 0.9), "momentum": 0.9},
            ("torch",),
        ),
        Resume(
            "rmsprop",
            "rmsprop",
            {
                "learning_rate": 0.001,
                "decay": 0.9,
                "eps": 1e-6,
                "momentum": 0.5,
                "centered": True,
            },
            "RMSprop",
            RMS,
            ("optax", "keras", "lucid2"),
        ),
        _run("adam", "Adam", {}, {}, "optax", "torch"),
        _run("injected", "Adam", {}, {"lr": 1.0}, "optax", "torch"),
        _run("scheduled", "Adam", {}, {}, "optax", "torch"),
        _run("masked", "Adam", {}, {}, "optax"),
        _run("amsgrad", "Adam", {}, {"amsgrad": True}, "optax"),
        _run("adamw", "AdamW", {"weight_decay": 0.1}, {"weight_decay": 0.1}, "optax", "torch"),
        _run("nadam", "NAdam", {}, {}, "optax"),
        _run("radam", "RAdam", {}, {}, "optax"),
        _run("adamax", "Adamax", {}, {}, "optax", "torch"),
        _run("adagrad", "Adagrad", {}, {"eps": 1e-7}, "optax", "keras"),
        _run("adadelta", "Adadelta", {}, {}, "torch"),
        _run("rprop", "Rprop", {}, {}, "optax"),
        _run("lion", "Lion", {"weight_decay": 0.1}, {"weight_decay": 0.1}, "paper"),
        _run("signum", "SignSGD", {}, {"momentum": 0.9}, "paper"),
        Resume("Signum", "signum", {"learning_rate": 0.01}, "Signum", {"lr": 0.01}, ("paper",)),
        _run("adabelief", "AdaBelief", {}, {}, "paper"),
        _run("yogi", "Yogi", {}, {}, "pytorch_optimizer"),
        _run("adopt", "ADOPT", {}, {}, "paper"),
        _run("ademamix", "AdEMAMix", {}, {}, "paper"),
        _run("simplified", "SimplifiedAdEMAMix", {"alpha": 2.0}, {"alpha": 2.0}, "paper"),
        _run("madgrad", "MADGRAD", {}, {}, "pytorch_optimizer"),
        _run("lamb", "LAMB", {"weight_decay": 0.1}, {"weight_decay": 0.1}, "paper"),
        _run("novograd", "NovoGrad", {}, {"betas": (0.9, 0.25), "eps": 1e-6}, "paper"),
    )
}
