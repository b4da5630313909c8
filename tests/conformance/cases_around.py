"""The cases of what is done to gradients before a step: clipping by norm and by value.

They use the start values and gradients of cases.py, whose norm lies above 1 in about half of the
steps. `max_grad_norm` and `max_grad_value` are arguments of our optimizers; in torch they are calls
of the functions of torch.nn.utils before the step, the norm's first.
"""

from __future__ import annotations

from collections.abc import Iterator

from cases import Case

OPTIMIZERS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
}
CLIPS = {
    "norm": {"max_grad_norm": 0.5},
    "value": {"max_grad_value": 0.3},
    "both": {"max_grad_norm": 0.5, "max_grad_value": 0.2},
    "norm-maximize": {"max_grad_norm": 0.5, "maximize": True},
    "value-maximize": {"max_grad_value": 0.3, "maximize": True},
}


def _all() -> Iterator[Case]:
    for optimizer, common in OPTIMIZERS.items():
        for name, clip in CLIPS.items():
            yield Case(f"{optimizer}-{name}", optimizer, {**common, **clip})


CASES_AROUND: dict[str, Case] = {case.name: case for case in _all()}
