"""The runs of keras that are stopped and resumed."""

from __future__ import annotations

from typing import Any

from resume_cases import Resume

RMS: dict[str, Any] = {"momentum": 0.5, "centered": True}


def _run(
    theirs: str,
    dialects: tuple[str, ...],
    given: dict[str, Any] | None = None,
    arguments: dict[str, Any] | None = None,
    ours: str = "",
    name: str = "",
) -> Resume:
    """A run at a learning rate of 0.01, which ours takes from the saved variables."""
    given = {"learning_rate": 0.01, **(given or {})}
    return Resume(
        name or theirs, theirs, given, ours or theirs, {"lr": 0.5, **(arguments or {})}, dialects
    )


RUNS = {
    run.name: run
    for run in (
        _run("SGD", ("keras", "torch"), {"momentum": 0.9}, {"momentum": 0.9}),
        _run(
            "SGD",
            ("keras", "torch"),
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "nesterov": True},
            name="nesterov",
        ),
        _run("Adam", ("keras",)),
        _run("Adam", ("keras",), {"amsgrad": True}, {"amsgrad": True}, name="amsgrad"),
        _run("AdamW", ("keras",)),
        _run("Nadam", ("keras",), ours="NAdam"),
        _run("Adamax", ("keras", "lucid2"), arguments={"eps": 1e-7}),
        _run("Adagrad", ("keras", "optax")),
        _run("Adadelta", ("keras", "torch"), arguments={"rho": 0.95, "eps": 1e-7}),
        _run("RMSprop", ("keras",)),
        _run(
            "RMSprop",
            ("keras", "lucid2"),
            {"rho": 0.9, "epsilon": 1e-6, **RMS},
            {"alpha": 0.9, "eps": 1e-6, **RMS},
            name="everything",
        ),
        _run("Lion", ("paper",)),
        _run("Ftrl", ("keras",), ours="FTRL"),
    )
}
