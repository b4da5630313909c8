"""Records the trajectories of pytorch_optimizer's optimizers into recorded/pytorch_optimizer.npz.

Run as a script where pytorch_optimizer is installed; nothing of the project is needed.  The library
counts steps per group, gradient or none; each parameter has an optimizer of its own here, which
steps where there is a gradient, so that its count is the parameter's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pytorch_optimizer
import torch
from cases import (
    CHECKPOINTS,
    GROUPS,
    PARAMETERS,
    RESUME_AT,
    STEPS,
    Array,
    Case,
    gradients,
    starts,
)
from more_cases import MORE_CASES
from recording import Recorder, State

#: QHAdam's sums of powers of the betas, each an array of one number.
WEIGHTS = {"beta1_weight", "beta2_weight"}
#: Our names of arguments, where the library's differ; it has one warmup for both quantities.
NAMES = {
    "decoupled_weight_decay": "weight_decouple",
    "alpha_warmup": "t_alpha_beta3",
    "beta3_warmup": "t_alpha_beta3",
}
#: Where our default is another, or has another name.
OURS: dict[str, dict[str, Any]] = {
    "SignSGD": {"momentum": 0.0},
    "AdEMAMix": {"weight_decouple": True},
    "MADGRAD": {"lr": 1e-2},
}


def arguments(case: Case) -> dict[str, Any]:
    """The case's arguments as the library takes them."""
    given = {NAMES.get(key, key): value for key, value in case.arguments.items()}
    if case.optimizer == "ADOPT" and not given.pop("clip", True):
        given["clip_lambda"] = None
    if case.optimizer == "Adan":
        given.pop("maximize", None)
    return {**OURS.get(case.optimizer, {}), **given}


def record(
    case: Case,
    recorder: Recorder,
    ours: Callable[[State, int], State] = lambda state, _: state,
    create: Callable[..., Any] | None = None,
    seen: Callable[[Array], Array] = lambda values: values,
) -> None:
    """Run one case and add its checkpoints: states, with `ours` of them and a number of steps.

    `create` makes an optimizer of groups and options, if not the class of the case's name;
    parameters and gradients are what `seen` makes of them.
    """
    weights = [torch.from_numpy(seen(values)).requires_grad_() for values in starts()]
    make = create or getattr(pytorch_optimizer, case.optimizer)
    optimizers = [
        make([{"params": [weight], **case.groups[p.group]}], foreach=False, **arguments(case))
        for weight, p in zip(weights, PARAMETERS, strict=True)
    ]
    schedule = case.schedule()
    for step, grads in enumerate(gradients(), start=1):
        for optimizer, weight, p, grad in zip(optimizers, weights, PARAMETERS, grads, strict=True):
            (group,) = optimizer.param_groups
            _change(optimizer, group, schedule.get(step, {}), case.groups[p.group])
            if grad is not None:
                weight.grad = torch.from_numpy(seen(np.array(_sign(case) * grad)))
                _in_double(optimizer, group, weight)
                optimizer.step()
        if step in CHECKPOINTS:
            states = [
                ours(_state(o, w), o.param_groups[0].get("step", 0))
                for o, w in zip(optimizers, weights, strict=True)
            ]
            recorder.add(case, step, states)
        if step == RESUME_AT:
            recorder.add_groups(case, _groups(optimizers))


def _sign(case: Case) -> float:
    """-1 where Adan maximizes: the library's begins with a first gradient of the wrong sign."""
    return -1.0 if case.optimizer == "Adan" and case.arguments.get("maximize") else 1.0


def _change(
    optimizer: Any, group: dict[str, Any], values: dict[str, Any], own: dict[str, Any]
) -> None:
    """Change entries of a group; AggMo's velocities go on under their new betas."""
    group.update({key: value for key, value in values.items() if key not in own})
    if isinstance(optimizer, pytorch_optimizer.AggMo):
        for state in optimizer.state.values():
            buffers = state["momentum_buffer"].values()
            state["momentum_buffer"] = dict(zip(group["betas"], buffers, strict=True))


@torch.no_grad()
def _in_double(optimizer: Any, group: dict[str, Any], weight: torch.Tensor) -> None:
    """QHAdam keeps its sums of powers in single precision; here they are double like the rest."""
    if isinstance(optimizer, pytorch_optimizer.QHAdam):
        optimizer.init_group(group)
        state = optimizer.state[weight]
        state |= {key: state[key].double() for key in WEIGHTS}


def _state(optimizer: Any, weight: torch.Tensor) -> dict[str, Any]:
    saved = dict(optimizer.state[weight]) if weight in optimizer.state else {}
    saved = {k: v for k, v in saved.items() if v is not None and not isinstance(v, int)}
    if isinstance(saved.get("momentum_buffer"), dict):
        buffers = saved.pop("momentum_buffer")  # that of 0 is the gradient
        kept = {i: buffer for i, (beta, buffer) in enumerate(buffers.items(), start=1) if beta}
        saved |= {f"momentum_buffer{i}": buffer for i, buffer in kept.items()}
    if "grad_queue" in saved:  # the last gradients, the oldest one first
        newest = reversed(saved.pop("grad_queue"))
        saved |= {f"grad_{k}": grad for k, grad in enumerate(newest, start=1)}
    for key, value in saved.items():
        assert isinstance(value, float) or value.dtype == torch.float64, key
    arrays = {key: np.array(value) for key, value in saved.items()}
    arrays |= {key: arrays[key].reshape(()) for key in arrays.keys() & WEIGHTS}
    return {"w": weight.detach().numpy().copy(), **arrays}


def _groups(optimizers: list[Any]) -> list[dict[str, Any]]:
    """The groups as one optimizer would have saved them."""
    found = []
    for index in range(len(GROUPS)):
        members = [i for i, p in enumerate(PARAMETERS) if p.group == index]
        values = optimizers[members[0]].state_dict()["param_groups"][0]
        found.append({**values, "params": members})
    return found


def main() -> None:
    """Record every case."""
    recorder = Recorder()
    for case in MORE_CASES.values():
        record(case, recorder)
    recorder.write("pytorch_optimizer", version("pytorch_optimizer"), cases=MORE_CASES)
    print(f"recorded {len(MORE_CASES)} cases of {STEPS} steps from pytorch_optimizer")


if __name__ == "__main__":
    main()
